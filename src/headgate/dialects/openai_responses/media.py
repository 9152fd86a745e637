"""Images, files and sounds of a message: content parts <-> Media.

Rules of this file:
- Data URLs are taken apart and put together; what they hold is never decoded.
- A file that is text already goes up as text: every model reads it.
"""

from __future__ import annotations

from typing import Any

from headgate.dialects.base import Accepts, Json
from headgate.model.prompt import Loss, Media, foreign

from .tables import AUDIO_MIME, FAMILY, FILE_EXTRAS, IMAGE_EXTRAS, IMAGE_MAGIC
from .values import a_dict, a_string, rest, string_or_none


def data_url(url: str) -> tuple[str, str] | None:
    """(mime, base64) of a data URL that holds base64."""
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return None
    return head[5:-7], data


def image(part: dict[str, Any], at: str) -> Media:
    url, file_id = string_or_none(part, "image_url", at), string_or_none(part, "file_id", at)
    own = rest(part, "type", "image_url", "file_id", "detail")
    media = Media(kind="image", detail=string_or_none(part, "detail", at), extras={FAMILY: own} if own else {})
    return _source(media, url, file_id, f"{at}.image_url")


def document(part: dict[str, Any], at: str) -> Media:
    data = string_or_none(part, "file_data", at)
    own = rest(part, "type", "file_data", "file_url", "file_id", "filename")
    media = Media(kind="document", name=string_or_none(part, "filename", at), extras={FAMILY: own} if own else {})
    if data is not None:
        inside = data_url(data)
        media.mime, media.data = inside if inside is not None else (None, data)
        return media
    url, file_id = string_or_none(part, "file_url", at), string_or_none(part, "file_id", at)
    return _source(media, url, file_id, f"{at}.file_data")


def audio(part: dict[str, Any], at: str) -> Media:
    sound = a_dict(part.get("input_audio"), f"{at}.input_audio")
    data = a_string(sound.get("data"), f"{at}.input_audio.data")
    word = a_string(sound.get("format"), f"{at}.input_audio.format")
    return Media(kind="audio", mime=AUDIO_MIME.get(word, f"audio/{word}"), data=data)


def _source(media: Media, url: str | None, file_id: str | None, at: str) -> Media:
    if url is not None:
        inside = data_url(url)
        if inside is None:
            media.url = url
        else:
            media.mime, media.data = inside
    else:
        media.file_id = a_string(file_id, at)
    return media


def write(media: Media, accepts: Accepts, where: str) -> tuple[Json | None, list[Loss]]:
    """The content part, or None where the target does not take it; and what was lost."""
    losses = list(foreign(media.extras, FAMILY, where))
    own = media.extras.get(FAMILY, {})
    taken = {"image": accepts.images, "document": accepts.documents}.get(media.kind, False)
    if media.kind == "document" and media.text is not None:
        return {"type": "input_text", "text": f"{media.name}\n\n{media.text}" if media.name else media.text}, losses
    if not taken:
        return None, [*losses, Loss(f"{where}.{media.kind}", "the target takes none", media)]
    known = IMAGE_EXTRAS if media.kind == "image" else FILE_EXTRAS
    losses += [Loss(f"{where}.{name}", "not known here", value) for name, value in own.items() if name not in known]
    if media.kind == "image" and media.name is not None:
        losses.append(Loss(f"{where}.image.name", "an image has no name here", media.name))
    part: Json = _image(media) if media.kind == "image" else _file(media)
    return part | {name: value for name, value in own.items() if name in known}, losses


def _image(media: Media) -> Json:
    part: Json = {"type": "input_image", "detail": media.detail or "auto"}
    if media.file_id is not None:
        return part | {"file_id": media.file_id}
    return part | {"image_url": media.url if media.url is not None else _url(media)}


def _file(media: Media) -> Json:
    part: Json = {"type": "input_file"}
    if media.name is not None:
        part["filename"] = media.name
    if media.file_id is not None:
        return part | {"file_id": media.file_id}
    if media.url is not None:
        return part | {"file_url": media.url}
    if media.mime is None:
        return part | {"file_data": media.data}
    # The API demands a name beside data.
    return {"filename": f"file.{media.mime.rpartition('/')[2]}", **part, "file_data": _url(media)}


def _url(media: Media) -> str:
    data = media.data or ""
    mime = media.mime or next((mime for magic, mime in IMAGE_MAGIC if data.startswith(magic)), "image/png")
    return f"data:{mime};base64,{data}"
