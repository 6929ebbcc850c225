"""Sentences: the only folder that turns facts into prose. Pure."""
