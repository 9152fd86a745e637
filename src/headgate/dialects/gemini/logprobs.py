"""logprobsResult <-> the token list of OpenAI chat, which is the neutral form."""

from __future__ import annotations

from typing import Any

from headgate.dialects.base import Json
from headgate.errors import UpstreamMalformed

from .checks import an_object, lists, string


def read_logprobs(result: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    tops = lists(result, "topCandidates")
    tokens = []
    for index, chosen in enumerate(lists(result, "chosenCandidates")):
        top = an_object(tops[index], "topCandidates") if index < len(tops) else {}
        others = [_token(item) for item in lists(top, "candidates")]
        tokens.append({**_token(chosen), "top_logprobs": others})
    return tuple(tokens)


def _token(item: Any) -> dict[str, Any]:
    fields = an_object(item, "a token of logprobsResult")
    text = string(fields, "token")
    logprob = fields.get("logProbability", 0.0)
    if not isinstance(logprob, int | float) or isinstance(logprob, bool):
        raise UpstreamMalformed("logProbability in the upstream's answer is not a number")
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "surrogatepass"))}


def write_logprobs(tokens: list[dict[str, Any]]) -> Json:
    """Token ids, which only Google has, are left out."""
    return {
        "chosenCandidates": [_candidate(token) for token in tokens],
        "topCandidates": [
            {"candidates": [_candidate(top) for top in token.get("top_logprobs") or ()]} for token in tokens
        ],
    }


def _candidate(token: dict[str, Any]) -> Json:
    return {"token": token.get("token", ""), "logProbability": token.get("logprob", 0.0)}
