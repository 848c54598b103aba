"""AI.run: the life of one inference request, as an ordered list of steps."""

from skerry.ai.ai import AI, Step

__all__ = ["AI", "Step"]
