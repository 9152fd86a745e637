"""Citations: native object <-> neutral.

Rules of this file:
- The native object rides along whole for its own family; the neutral members are what other dialects can show.
- A citation of another family is shown as a web search result. Its place in the text and its extras ride in
  `encrypted_index`, which clients send back unread: as a carrier.
"""

from __future__ import annotations

from typing import Any

from headgate.dialects import carrier
from headgate.model.prompt import Citation

from .tables import FAMILY, OURS


def read_citation(native: dict[str, Any]) -> Citation:
    def text(*names: str) -> str | None:
        return next((native[name] for name in names if isinstance(native.get(name), str)), None)

    opaque = text("encrypted_index")
    carried = carrier.unwrap(opaque) if opaque else None
    if carried is None:
        extras = {FAMILY: {"citation": native}}
        source = text("source") or ""  # of a search result that the client gave: an address, or any other name
        url = text("url") or (source if source.startswith(("http://", "https://")) else None)
        return Citation(url=url, title=text("title", "document_title"), quote=text("cited_text"), extras=extras)
    place = carried.pop(OURS, {})
    start, end = place.get("start"), place.get("end")
    return Citation(
        url=text("url") or None,
        title=text("title"),
        quote=text("cited_text") or None,
        start=start if isinstance(start, int) else None,
        end=end if isinstance(end, int) else None,
        extras=carried,
    )


def write_citation(given: Citation) -> dict[str, Any]:
    own = given.extras.get(FAMILY, {}).get("citation")
    if isinstance(own, dict):
        return own
    place = {name: at for name, at in (("start", given.start), ("end", given.end)) if at is not None}
    return {
        "type": "web_search_result_location",
        "url": given.url or "",
        "title": given.title,
        "cited_text": given.quote or "",
        "encrypted_index": carrier.wrap({**given.extras, OURS: place}),
    }
