"""OpenAI's legacy Completions as its official client reads them. The client has no accumulator for their streams: it
parses each chunk, and texts are joined here.

`problems` checks requests against the published OpenAPI description, and refuses members it does not have.
"""

from __future__ import annotations

from typing import Any

import openai
from openai._streaming import Stream
from openai.types import Completion

from oracles import ReadChoice, Reading
from oracles.openai_chat import _members, _usage, client, validator

STOPS = {"stop": "stop", "length": "length", "content_filter": "content_filter"}
_ASK: dict[str, Any] = {"model": "m", "prompt": "x"}


def whole(document: bytes) -> Reading:
    answer = client(document, "application/json").completions.create(**_ASK)
    assert isinstance(answer, Completion)
    return _read([answer])


def stream(body: bytes) -> Reading:
    try:
        answers = client(body, "text/event-stream").completions.create(**_ASK, stream=True)
        assert isinstance(answers, Stream)
        return _read(list(answers))
    except openai.APIError as error:
        return Reading(error=error.message)


def _read(answers: list[Completion]) -> Reading:
    texts: dict[int, str] = {}
    ends: dict[int, str] = {}
    usage: Any = None
    for answer in answers:
        for place, choice in enumerate(answer.choices or ()):
            raw = choice.model_dump(exclude_unset=True)
            index = raw.get("index", place)
            texts[index] = texts.get(index, "") + (raw.get("text") or "")
            if raw.get("finish_reason"):
                ends[index] = raw["finish_reason"]
        usage = answer.usage or usage
    choices = [
        ReadChoice(text=text, stop=STOPS.get(ends[index], "other") if index in ends else "stop")
        for index, text in sorted(texts.items())
    ]
    return Reading(choices=choices, usage=_usage(usage.model_dump(exclude_unset=True)) if usage else None)


def logprobs(document: bytes) -> Any:
    """The parallel lists of a whole reply's first choice."""
    answer = client(document, "application/json").completions.create(**_ASK)
    assert isinstance(answer, Completion)
    return answer.choices[0].logprobs


def problems(request: dict[str, Any]) -> list[str]:
    errors = validator("CreateCompletionRequest").iter_errors(request)
    found = [f"{error.json_path}: {error.message[:200]}" for error in errors]
    return found + [f"unknown member {key}" for key in sorted(request.keys() - _members("CreateCompletionRequest"))]
