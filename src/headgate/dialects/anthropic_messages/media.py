"""Images and documents of a request as content blocks.

Rules of this file:
- Images: JPEG, PNG, GIF and WebP. A type nobody said is read off the first bytes.
- Documents: PDF as base64 or address, everything textual as a text source. Other types have no place here.
- A file id is good only where it was made: one of another family is a loss, and so are sound and film.
"""

from __future__ import annotations

import base64
import binascii

from headgate.dialects.base import Json
from headgate.model.prompt import Media

from .draft import Draft
from .tables import FAMILY, IMAGE_MAGIC, IMAGES


def media_block(draft: Draft, part: Media) -> Json | None:
    own = part.extras.get(FAMILY, {})
    if "search_result" in own:
        block: Json = own["search_result"]
        return block
    what = f"messages.{part.kind}"
    accepted = {"image": draft.target.accepts.images, "document": draft.target.accepts.documents}
    if part.kind not in accepted:
        draft.lose(what, f"this dialect has no {part.kind}", part)
        return None
    source = own.get("source")
    if not accepted[part.kind]:
        why = f"this target takes no {part.kind}s"
    elif source is None:
        source, why = (_image if part.kind == "image" else _document)(draft, part)
    if source is None or not accepted[part.kind]:
        draft.lose(what, why, part)
        return None
    if part.detail is not None:
        draft.lose(f"{what}.detail", "this dialect has no level of detail", part.detail)
    extras = {name: {k: v for k, v in fields.items() if k != "source"} for name, fields in part.extras.items()}
    block = {"type": part.kind, "source": source, **draft.own(extras, part.kind, what)}
    if part.name is not None:
        if part.kind == "document":
            block["title"] = part.name
        else:
            draft.lose(f"{what}.name", "images have no name here", part.name)
    return block


def _image(draft: Draft, part: Media) -> tuple[Json | None, str]:
    if part.data is not None:
        known = next((mime for magic, mime in IMAGE_MAGIC if part.data.startswith(magic)), None)
        mime = part.mime if part.mime in IMAGES else known if part.mime in (None, "image/jpg", "image/*") else part.mime
        if mime in IMAGES or draft.own_family:
            return {"type": "base64", "media_type": mime, "data": part.data}, ""
        return None, f"this dialect takes no images of type {mime}"
    return _reference(draft, part)


def _document(draft: Draft, part: Media) -> tuple[Json | None, str]:
    if part.text is not None:
        return {"type": "text", "media_type": "text/plain", "data": part.text}, ""
    if part.data is None:
        return _reference(draft, part)
    mime = part.mime or ("application/pdf" if part.data.startswith("JVBER") else "")
    if mime == "application/pdf" or draft.own_family:
        return {"type": "base64", "media_type": mime, "data": part.data}, ""
    if mime.startswith("text/") or mime in _TEXTUAL:
        try:
            text = base64.b64decode(part.data, validate=True).decode()
        except (binascii.Error, ValueError):
            return None, "its data is not text in UTF-8"
        return {"type": "text", "media_type": "text/plain", "data": text}, ""
    return None, f"this dialect takes no documents of type {mime or 'unknown'}"


_TEXTUAL = frozenset(("application/json", "application/xml", "application/yaml", "application/x-yaml"))


def _reference(draft: Draft, part: Media) -> tuple[Json | None, str]:
    if part.url is not None:
        if part.url.startswith(("http://", "https://")) or draft.own_family:
            return {"type": "url", "url": part.url}, ""
        return None, "the provider cannot fetch this address"
    if part.file_id is not None and draft.own_family:
        return {"type": "file", "file_id": part.file_id}, ""
    return None, "the file is held by another provider"
