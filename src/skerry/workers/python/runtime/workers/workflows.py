"""What Workflows raise; Workflows themselves are not part of this node."""

from __future__ import annotations


class NonRetryableError(Exception):
    """A step that must not be tried again."""
