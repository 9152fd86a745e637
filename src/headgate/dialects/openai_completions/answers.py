"""Answers of Completions, whole or streamed, read into events; their logprobs into chat's form and back.

Rules of this file:
- A choice is one text. Where the client asked for `echo`, it begins with the prompt.
- The terminal mark is [DONE], or an error.
- Logprobs are parallel lists here and a list of tokens in chat: {"token", "logprob", "top_logprobs": [{"token",
  "logprob"}]}.
"""

from __future__ import annotations

from typing import Any

from headgate.dialects.openai_chat import decode
from headgate.dialects.openai_chat.message import leaves, listing, mapping, string
from headgate.dialects.openai_chat.turn import Turn
from headgate.errors import UpstreamMalformed
from headgate.model.events import PartDelta, Path, Repeat

_CHOICE_KEYS = frozenset(
    (
        "text",
        "index",
        "logprobs",
        "log_probs",
        "finish_reason",
        "stop_reason",
        "content_filter_results",
        "delta",
        "seed",
        "token_ids",
        "prompt_token_ids",
        "usage",
        "error",
    )
)
Token = dict[str, Any]


class Decoder(decode.Decoder):
    """Chat's decoder, whose choices hold a text instead of a message."""

    __slots__ = ()
    choice_keys = _CHOICE_KEYS
    plain_answers = False

    def said(self, turn: Turn, choice: dict[str, Any], path: Path, document: dict[str, Any]) -> None:
        text = string(choice.get("text"), "text")
        if text:
            turn.say("text", text, (*path, "text"))
        logprobs = choice.get("logprobs")
        if logprobs:
            tokens = tuple(to_tokens(mapping(logprobs, "logprobs")))
            part = turn.prose("text")
            turn.out.append(PartDelta(choice=turn.index, part=part, kind="text", logprobs=tokens, whole=turn.whole))
            self._repeats.append(Repeat(path=(*path, "logprobs"), choice=turn.index, part=part, kind="drop"))
        if choice.get("delta"):
            leaves(choice["delta"], (*path, "delta"), turn.index, self._out)


def to_tokens(logprobs: dict[str, Any]) -> list[Token]:
    """Parallel lists as chat's list of tokens. Newer servers send chat's form here, which passes."""
    if "content" in logprobs:
        return [mapping(token, "logprob") for token in listing(logprobs["content"] or [], "logprobs")]
    tokens = listing(logprobs.get("tokens") or [], "tokens")
    values = listing(logprobs.get("token_logprobs") or [], "token_logprobs")
    tops = listing(logprobs.get("top_logprobs") or [], "top_logprobs")
    found: list[Token] = []
    for index, token in enumerate(tokens):
        if not isinstance(token, str):
            raise UpstreamMalformed("a token of the upstream is not a string")
        top = mapping(tops[index], "top_logprobs") if index < len(tops) and tops[index] else {}
        found.append(
            {
                "token": token,
                "logprob": values[index] if index < len(values) else None,
                "top_logprobs": [{"token": other, "logprob": value} for other, value in top.items()],
            }
        )
    return found


def from_tokens(tokens: list[Token], offset: int) -> dict[str, Any]:
    """Chat's list of tokens as parallel lists. `offset`: characters of the text before them."""
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(str(token.get("token", "")))
    return {
        "tokens": [token.get("token", "") for token in tokens],
        "token_logprobs": [token.get("logprob") for token in tokens],
        "top_logprobs": [
            {top.get("token", ""): top.get("logprob") for top in token.get("top_logprobs") or ()} for token in tokens
        ],
        "text_offset": offsets,
    }
