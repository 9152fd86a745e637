"""Pure values. This package imports nothing of ours, and everything of ours may import it."""
