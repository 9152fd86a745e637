"""The listener and its routes: from a request's bytes to an Exchange, and from a Flow back to bytes."""
