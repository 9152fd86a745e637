"""The database of one machine: SQLite in one file. The only package that speaks to SQLite.

`open_stores(path)` gives the three stores over one file; any number of processes may have it open.
"""

from .stores import Stores, open_stores

__all__ = ["Stores", "open_stores"]
