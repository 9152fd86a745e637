"""Where an answer's text comes from: groundingMetadata, citationMetadata and urlContextMetadata <-> citations.

Rules of this file:
- Google measures segments in bytes of a part's UTF-8; neutral offsets are characters. A segment repeats its text:
  where bytes and text disagree (offsets that count another part's text) the text is searched for; failing that, there
  is no offset.
- Every supported segment gives one citation for each of its chunks. Chunks that support no segment still are sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from headgate.dialects.base import Json
from headgate.model.events import Path
from headgate.model.prompt import Citation

from .checks import an_object, count, lists, objects, string
from .tables import FAMILY

Texts = Sequence[tuple[int, str]]
"""(part, its text so far) of an answer's text parts, in order."""
Told = tuple[int, Citation]
"""The part that a citation belongs to, and the citation."""


def citations(candidate: dict[str, Any], texts: Texts) -> Iterator[Told]:
    if not texts:
        return
    yield from _grounded(objects(candidate, "groundingMetadata"), texts)
    yield from _recited(objects(candidate, "citationMetadata"), texts)
    yield from _fetched(candidate, texts[-1][0])


def _grounded(grounding: dict[str, Any], texts: Texts) -> Iterator[Told]:
    chunks = [_source(an_object(chunk, "groundingChunks")) for chunk in lists(grounding, "groundingChunks")]
    used: set[int] = set()
    for item in lists(grounding, "groundingSupports"):
        support = an_object(item, "groundingSupports")
        segment = objects(support, "segment")
        text = string(segment, "text")
        part, start, end = _located(texts, count(segment, "startIndex"), count(segment, "endIndex"), text)
        for index in lists(support, "groundingChunkIndices"):
            if type(index) is int and 0 <= index < len(chunks):
                used.add(index)
                url, title, quote = chunks[index]
                yield part, Citation(url=url, title=title, quote=quote, start=start, end=end)
    for index, (url, title, quote) in enumerate(chunks):
        if index not in used:
            yield texts[-1][0], Citation(url=url, title=title, quote=quote)


def _source(chunk: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """(url, title, quote) of a grounding chunk, of whatever kind it is."""
    for value in chunk.values():
        if type(value) is dict:
            url = string(value, "uri") or string(value, "sourceUri")
            return url or None, string(value, "title") or None, string(value, "text") or None
    return None, None, None


def _recited(metadata: dict[str, Any], texts: Texts) -> Iterator[Told]:
    for item in lists(metadata, "citations") or lists(metadata, "citationSources"):
        source = an_object(item, "citationMetadata")
        part, start, end = _located(texts, count(source, "startIndex"), count(source, "endIndex"), None)
        extras = {FAMILY: {"license": source["license"]}} if source.get("license") else {}
        url, title = string(source, "uri") or None, string(source, "title") or None
        yield part, Citation(url=url, title=title, start=start, end=end, extras=extras)


def _fetched(candidate: dict[str, Any], part: int) -> Iterator[Told]:
    """Pages that the URL context tool read, where no grounding tells what they support."""
    if lists(objects(candidate, "groundingMetadata"), "groundingChunks"):
        return
    for item in lists(objects(candidate, "urlContextMetadata"), "urlMetadata"):
        page = an_object(item, "urlMetadata")
        url, status = string(page, "retrievedUrl"), page.get("urlRetrievalStatus")
        if url and status in (None, "URL_RETRIEVAL_STATUS_SUCCESS", 1):
            yield part, Citation(url=url)


def _located(texts: Texts, start: int, end: int, said: str | None) -> tuple[int, int | None, int | None]:
    """(part, start, end) in characters of the segment at these bytes."""
    for part, text in texts:
        found = _characters(text, start, end)
        if found is not None and (said is None or text[found[0] : found[1]] == said):
            return part, *found
    for part, text in texts:
        at = text.find(said) if said else -1
        if at >= 0 and said:
            return part, at, at + len(said)
    return texts[-1][0], None, None


def _characters(text: str, start: int, end: int) -> tuple[int, int] | None:
    if text.isascii():
        return (start, end) if 0 <= start < end <= len(text) else None
    data = text.encode("utf-8", "surrogatepass")
    if not 0 <= start < end <= len(data):
        return None
    first = len(data[:start].decode("utf-8", "ignore"))
    return first, first + len(data[start:end].decode("utf-8", "ignore"))


def segments(candidate: dict[str, Any], position: int) -> Iterator[Path]:
    """Where a candidate's supports repeat the answer's text, also that of frames before."""
    base: Path = ("candidates", position, "groundingMetadata", "groundingSupports")
    for number, support in enumerate(lists(objects(candidate, "groundingMetadata"), "groundingSupports")):
        if objects(an_object(support, "groundingSupports"), "segment").get("text"):
            yield (*base, number, "segment", "text")


def grounding(texts: Iterable[tuple[int, str, list[Citation]]]) -> Json:
    """groundingMetadata that tells these citations; {} where there are none."""
    chunks: list[Json] = []
    supports: list[Json] = []
    places: dict[tuple[str | None, str | None, str | None], int] = {}
    for part, text, cited in texts:
        for citation in cited:
            key = (citation.url, citation.title, citation.quote)
            if key not in places:
                places[key] = len(chunks)
                chunks.append(_chunk(citation))
            if citation.start is not None and citation.end is not None and citation.start < citation.end:
                supports.append(
                    {
                        "segment": _segment(part, text, citation.start, citation.end),
                        "groundingChunkIndices": [places[key]],
                    }
                )
    if not chunks:
        return {}
    return {"groundingChunks": chunks, **({"groundingSupports": supports} if supports else {})}


def _chunk(citation: Citation) -> Json:
    fields = {"uri": citation.url, "title": citation.title, "text": citation.quote}
    told = {name: value for name, value in fields.items() if value is not None}
    return {"retrievedContext": told} if citation.quote is not None or citation.url is None else {"web": told}


def _segment(part: int, text: str, start: int, end: int) -> Json:
    first = len(text[:start].encode("utf-8", "surrogatepass"))
    said = text[start:end]
    segment: Json = {"startIndex": first, "endIndex": first + len(said.encode("utf-8", "surrogatepass")), "text": said}
    return {"partIndex": part, **segment} if part else segment
