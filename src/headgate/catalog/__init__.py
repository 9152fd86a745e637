"""What models there are, what they cost, and how much they take. `Catalog.load()`, then `find`, is all that others
need.

The data is compiled by `python -m headgate.catalog.compile`: names and prices from the genai-prices project, abilities from
the model list of LiteLLM (both MIT, see LICENSE-genai-prices and LICENSE-litellm).
"""

from .loader import Catalog
from .model import Model

__all__ = ["Catalog", "Model"]
