"""Headgate: one governed endpoint between applications and every model provider."""

__version__ = "0.1.0"
