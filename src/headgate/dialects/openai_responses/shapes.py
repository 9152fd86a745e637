"""Shapes that answers and requests share: citations, strings of the unknown, usage.

Rules of this file:
- `leaves` names every string that may be text; what is not is named in `tables.OPAQUE`.
- A citation that is more than a URL keeps its native annotation in extras, so that it goes back unchanged.
- Input includes cached tokens, output includes reasoning, in both directions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from headgate.errors import UpstreamMalformed
from headgate.model.events import Path
from headgate.model.prompt import Citation
from headgate.model.usage import Usage

from .tables import FAMILY, OPAQUE, SERVER_TOOLS

_URL = frozenset(("type", "url", "title", "start_index", "end_index"))


def leaves(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every string of `value` that may be text, and where it stands."""
    if isinstance(value, str):
        if value:
            yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            if not (isinstance(item, str) and (key in OPAQUE or key.endswith("_id"))):
                yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))


def citation(annotation: dict[str, Any]) -> Citation:
    start, end = annotation.get("start_index"), annotation.get("end_index")
    url, title = annotation.get("url"), annotation.get("title", annotation.get("filename"))
    plain = annotation.keys() == _URL and annotation["type"] == "url_citation" and type(start) is type(end) is int
    return Citation(
        url=url if isinstance(url, str) else None,
        title=title if isinstance(title, str) else None,
        start=start if type(start) is int else None,
        end=end if type(end) is int else None,
        extras={} if plain else {FAMILY: {"annotation": annotation}},
    )


def annotation(given: Citation, length: int) -> dict[str, Any] | None:
    """The annotation of a text of `length` characters; None where there is neither a native one nor a URL. A citation
    that does not say where it belongs belongs to the whole text."""
    own = given.extras.get(FAMILY, {}).get("annotation")
    if not isinstance(own, dict):
        own = {}
    elif own.get("type") != "url_citation":
        return own
    if given.url is None:
        return own or None
    return {
        "type": "url_citation",
        "start_index": given.start if given.start is not None else 0,
        "end_index": given.end if given.end is not None else length,
        "url": given.url,
        "title": given.title or "",
        **own,
    }


def read_usage(native: dict[str, Any], response: dict[str, Any]) -> Usage:
    """`native` is `response["usage"]`; the response also tells the tier and the server tools that were used."""
    given, made = _object(native, "input_tokens_details"), _object(native, "output_tokens_details")
    tier = response.get("service_tier")
    return Usage(
        input=_count(native, "input_tokens"),
        output=_count(native, "output_tokens"),
        cache_read=_count(given, "cached_tokens"),
        cache_write=_count(given, "cache_write_tokens"),
        reasoning=_count(made, "reasoning_tokens"),
        input_audio=_count(given, "audio_tokens"),
        output_audio=_count(made, "audio_tokens"),
        requests=_requests(response),
        service_tier=tier if isinstance(tier, str) else None,
        native=native,
    )


def _requests(response: dict[str, Any]) -> dict[str, int]:
    """Server-tool uses: items of the output. A web search is billed where it searched, not where it opened a page."""
    output = response.get("output")
    used: dict[str, int] = {}
    for item in output if isinstance(output, list) else ():
        name = SERVER_TOOLS.get(str(item.get("type"))) if isinstance(item, dict) else None
        if name is None:
            continue
        action = item.get("action")
        if name == "web_search" and isinstance(action, dict) and action.get("type") not in ("search", None):
            continue
        used[name] = used.get(name, 0) + 1
    return used


def write_usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def strings(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _count(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != value // 1:
        raise UpstreamMalformed(f"usage.{name} is not a count")
    return int(value)


def _object(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UpstreamMalformed(f"usage.{name} is not an object")
    return value
