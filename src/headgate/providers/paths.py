"""Families of pass-through paths that several providers document alike; a provider's allow-list is composed of them.

Rules of this file:
- What generates text has a dialect and is never listed here: it would pass the guards and the meter by.
- A path that names a held object says so (`uses`), and so does a body (`names`): else one tenant could read another's.
- The first `{id}` of a pattern is the held object; what is nested in it belongs to it and is `{rest}`.
Source: the OpenAI API description (openai-openapi.yaml), https://platform.openai.com/docs/api-reference.
"""

from __future__ import annotations

from msgspec.structs import replace

from headgate.providers.base import Allow


def under(prefix: str, *families: tuple[Allow, ...]) -> tuple[Allow, ...]:
    """All paths of these families, which the provider has below `prefix`."""
    return tuple(replace(a, prefix=prefix) if prefix else a for family in families for a in family)


def allow(method: str, *patterns: str, uses: str | None = None) -> tuple[Allow, ...]:
    return tuple(Allow(method=method, pattern=pattern, uses=uses) for pattern in patterns)


def kept(kind: str, path: str, *, update: str = "", delete: bool = True) -> tuple[Allow, ...]:
    """List, create, retrieve, and where offered update (by this method) and delete, of one kind of held object."""
    one = f"{path}/{{id}}"
    return (
        Allow(method="GET", pattern=path, lists=kind),
        Allow(method="POST", pattern=path, creates=kind),
        Allow(method="GET", pattern=one, uses=kind),
        *((Allow(method=update, pattern=one, uses=kind),) if update else ()),
        *((Allow(method="DELETE", pattern=one, uses=kind),) if delete else ()),
    )


NO_COUNT = {"count": ""}
"""`Endpoint.paths` of a server that has the dialect but not its token count."""

MODELS = allow("GET", "/models", "/models/{rest}")
EMBEDDINGS = allow("POST", "/embeddings")
RERANK = allow("POST", "/rerank")
MODERATIONS = allow("POST", "/moderations")
IMAGES = allow("POST", "/images/generations", "/images/edits", "/images/variations")
GENERATED_IMAGES = IMAGES[:1]
SPEECH = allow("POST", "/audio/speech")
TRANSCRIPTIONS = allow("POST", "/audio/transcriptions")
TRANSLATIONS = allow("POST", "/audio/translations")
AUDIO = SPEECH + TRANSCRIPTIONS + TRANSLATIONS

FILES = (*kept("file", "/files"), *allow("GET", "/files/{id}/content", uses="file"))

_RESULTS = (("output_file_id", "file"), ("error_file_id", "file"))
BATCHES = (
    Allow(method="GET", pattern="/batches", lists="batch"),
    Allow(method="POST", pattern="/batches", creates="batch", names=(("input_file_id", "file"),)),
    Allow(method="GET", pattern="/batches/{id}", uses="batch", brings=_RESULTS),
    Allow(method="POST", pattern="/batches/{id}/cancel", uses="batch", brings=_RESULTS),
)

UPLOADS = (
    Allow(method="POST", pattern="/uploads", creates="upload"),
    Allow(method="POST", pattern="/uploads/{id}/parts", uses="upload"),
    Allow(method="POST", pattern="/uploads/{id}/complete", uses="upload", brings=(("file.id", "file"),)),
    Allow(method="POST", pattern="/uploads/{id}/cancel", uses="upload"),
)

KEPT_RESPONSES = (
    *allow("GET", "/responses/{id}", "/responses/{id}/input_items", uses="response"),
    *allow("DELETE", "/responses/{id}", uses="response"),
)
RESPONSES = (*KEPT_RESPONSES, *allow("POST", "/responses/{id}/cancel", uses="response"))
"""Stored responses; POST /responses itself is a dialect's."""

CONVERSATIONS = (
    *kept("conversation", "/conversations", update="POST")[1:],
    *allow("GET", "/conversations/{id}/items", "/conversations/{id}/items/{rest}", uses="conversation"),
    *allow("POST", "/conversations/{id}/items", uses="conversation"),
    *allow("DELETE", "/conversations/{id}/items/{rest}", uses="conversation"),
)

_FILE_LIST = (("file_ids", "file"), ("files.file_id", "file"))
VECTOR_STORES = (
    Allow(method="GET", pattern="/vector_stores", lists="vector_store"),
    Allow(method="POST", pattern="/vector_stores", creates="vector_store", names=_FILE_LIST),
    *allow("GET", "/vector_stores/{id}", "/vector_stores/{id}/{rest}", uses="vector_store"),
    *allow("DELETE", "/vector_stores/{id}", "/vector_stores/{id}/{rest}", uses="vector_store"),
    *allow("POST", "/vector_stores/{id}", "/vector_stores/{id}/search", uses="vector_store"),
    Allow(method="POST", pattern="/vector_stores/{id}/files", uses="vector_store", names=(("file_id", "file"),)),
    Allow(method="POST", pattern="/vector_stores/{id}/file_batches", uses="vector_store", names=_FILE_LIST),
    *allow("POST", "/vector_stores/{id}/files/{rest}", "/vector_stores/{id}/file_batches/{rest}", uses="vector_store"),
)

_TRAINING = (("training_file", "file"), ("validation_file", "file"))
FINE_TUNING = (
    Allow(method="GET", pattern="/fine_tuning/jobs", lists="fine_tuning_job"),
    Allow(method="POST", pattern="/fine_tuning/jobs", creates="fine_tuning_job", names=_TRAINING),
    *allow("GET", "/fine_tuning/jobs/{id}", "/fine_tuning/jobs/{id}/{rest}", uses="fine_tuning_job"),
    *allow("POST", "/fine_tuning/jobs/{id}/cancel", uses="fine_tuning_job"),
    *allow("POST", "/fine_tuning/jobs/{id}/pause", "/fine_tuning/jobs/{id}/resume", uses="fine_tuning_job"),
)

CONTAINERS = (
    Allow(method="GET", pattern="/containers", lists="container"),
    Allow(method="POST", pattern="/containers", creates="container", names=(("file_ids", "file"),)),
    *allow("GET", "/containers/{id}", "/containers/{id}/{rest}", uses="container"),
    *allow("DELETE", "/containers/{id}", "/containers/{id}/files/{rest}", uses="container"),
    Allow(method="POST", pattern="/containers/{id}/files", uses="container", names=(("file_id", "file"),)),
)

VIDEOS = (
    *kept("video", "/videos"),
    *allow("GET", "/videos/{id}/content", uses="video"),
    Allow(method="POST", pattern="/videos/{id}/remix", uses="video", creates="video"),
)

MESSAGE_BATCHES = (
    *kept("message_batch", "/messages/batches"),
    *allow("GET", "/messages/batches/{id}/results", uses="message_batch"),
    *allow("POST", "/messages/batches/{id}/cancel", uses="message_batch"),
)
"""https://docs.claude.com/en/api/creating-message-batches"""
