"""Queues: messages that are kept until a consumer acknowledges them."""
