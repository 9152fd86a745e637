"""What models there are, what they cost, and how much they take. `Catalog.load()`, then `find`, is all that others
need.

The data is compiled from the genai-prices project (MIT, see LICENSE-genai-prices) by `python -m
headgate.catalog.compile`.
"""

from .loader import Catalog
from .model import Model

__all__ = ["Catalog", "Model"]
