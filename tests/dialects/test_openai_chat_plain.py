"""The short way of reading an answer is the long way: the same events, the same refusals, for answers that fit it and for those
that nearly do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.dialects.openai_chat import plain
from headgate.dialects.openai_chat.decode import Decoder
from headgate.dialects.openai_chat.tables import STOPS
from headgate.errors import UpstreamMalformed
from headgate.model.events import Decoded

PLAIN = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi", "refusal": None, "annotations": []}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    "service_tier": "default",
}
PLAIN["choices"][0] |= {"finish_reason": "stop", "logprobs": None}  # type: ignore[index]

odd = st.sampled_from(
    [None, "", "x", 0, 1, 2.0, -1, 2000, True, [], ["x"], {}, {"text": "y"}, "error", "chat.completion"]
)
counts = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"), odd)
)
message = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("role", "content", "refusal", "annotations", "tool_calls", "reasoning", "new"), odd)
)
choice = st.fixed_dictionaries(
    {},
    optional={
        "message": message | odd,
        "index": odd,
        "finish_reason": st.sampled_from(sorted(STOPS)) | odd,
        "logprobs": odd,
        "delta": message,
        "error": odd,
    },
)
top = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            ("id", "object", "created", "model", "system_fingerprint", "service_tier", "error", "new"), odd
        ),
        "choices": st.lists(choice, max_size=2) | odd,
        "usage": counts | odd,
    },
)


def read(data: bytes) -> Decoded | str:
    decoder = Decoder()
    try:
        decoded = decoder.whole(data)
    except UpstreamMalformed as error:
        return error.message
    assert decoder.complete and decoder.end() == ()
    return decoded


def changed(base: Any, change: Any) -> Any:
    """`base` with what `change` says of its members, at every depth."""
    if isinstance(base, dict) and isinstance(change, dict):
        return {name: changed(base.get(name), change.get(name, base.get(name))) for name in {**base, **change}}
    if isinstance(base, list) and isinstance(change, list) and base and change:
        return [changed(base[0], change[0]), *change[1:]]
    return change


@given(top)
@example({})
@example({"usage": {"total_tokens": 9}})
@example({"system_fingerprint": "fp", "usage": None})
def test_the_short_way_reads_what_the_long_way_reads(change: dict[str, Any]) -> None:
    data = msgspec.json.encode(changed(PLAIN, change))
    short = read(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "whole", lambda data: None)
        assert short == read(data)


def test_the_usual_answer_takes_the_short_way() -> None:
    assert plain.whole(msgspec.json.encode(PLAIN)) is not None
    assert plain.whole(b'{"choices": [{"message": {"content": "\xff"}, "finish_reason": "stop"}]}') is None
    assert plain.whole(msgspec.json.encode({**PLAIN, "new": 1})) is None
