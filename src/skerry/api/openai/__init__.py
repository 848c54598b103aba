"""The OpenAI API, over the same models."""
