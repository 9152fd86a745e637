"""A fault laboratory: a provider that breaks on purpose, a caller that looks closely, and the scenarios that join them.

Nothing that serves imports this room: `headgate doctor` and the tests do. It knows a gateway by its address and a key alone, so that
what it measures is what a caller and a provider see.
"""
