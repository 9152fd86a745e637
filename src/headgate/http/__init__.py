"""The listener and its routes: from ASGI to an Exchange, and from a Flow back to ASGI."""
