"""Logs, metrics, traces: observers of finished exchanges. Only the composition root imports this room."""
