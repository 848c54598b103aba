"""Anthropic's Messages API, as Workers AI offers it beside OpenAI's."""
