"""LiteLLM's content filter (its regular expressions and words), as pattern guards.

Rules of this file:
- A guard of LiteLLM that a request must ask for becomes one that observes: here guards are for all requests.
- What the content filter knows by a name (email, us_ssn, ...) becomes our expression for the same thing, and is told.
- An expression that has no longest match gets a bound, and is told; one that does not compile is lost, and is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headgate.cli.importers.source import FOR_INFORMATION, Reason, View
from headgate.errors import ConfigError
from headgate.guards.base import Guard
from headgate.guards.pattern import compile as compile_guards

BOUND = 256

MODES: dict[str, tuple[str, ...]] = {
    "pre_call": ("request",),
    "during_call": ("answer", "tool_arguments"),
    "post_call": ("answer", "tool_arguments"),
}
"""The content filter's modes -> where it looks."""

ACTIONS = {"BLOCK": "block", "MASK": "redact"}

PREBUILT: dict[str, str] = {
    "email": r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}\.[A-Za-z]{2,24}\b",
    "us_ssn": r"\b\d{3}-\d{2}-\d{4}\b",
    "visa": r"\b4\d{3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b",
    "mastercard": r"\b(?:5[1-5]\d{2}|2[2-7]\d{2})[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b",
    "amex": r"\b3[47]\d{2}[ -]?\d{6}[ -]?\d{5}\b",
    "aws_access_key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "github_token": r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b",
}
"""Names of the content filter's own patterns -> our expression for the same thing."""

_NOT_SERVED: Reason = ("lost", "of LiteLLM's guards only the content filter's patterns and words are converted")
_FILTER: dict[str, Reason] = {
    "categories": ("lost", "there are no categories of content; a pattern may stand for some"),
    "blocked_words_file": ("lost", "write its words as patterns"),
}


def guards(source: View) -> list[dict[str, object]]:
    """The guards of our config, in the order of the source."""
    out: list[dict[str, object]] = []
    for entry in source.sections("guardrails"):
        name = entry.text("guardrail_name") or "guard"
        params = entry.section("litellm_params")
        if params.raw("guardrail") != "litellm_content_filter":
            params.tell(*_NOT_SERVED)
            continue
        frame = _frame(params)
        for label, guard in _found(params):
            taken = {str(other["name"]) for other in out}
            plain = f"{name}-{label}"
            number = next(at for at in range(1, len(taken) + 2) if (plain if at == 1 else f"{plain}-{at}") not in taken)
            out.append({"name": plain if number == 1 else f"{plain}-{number}", **guard, **frame})
        params.rest(_FILTER)
        entry.rest({"guardrail_info": FOR_INFORMATION})
    return out


def _frame(params: View) -> dict[str, object]:
    """What all guards of one filter share: where it looks, and whether it acts."""
    modes = params.texts("mode") or ["pre_call"]
    for mode in modes:
        if mode not in MODES:
            params.tell("lost", "this mode is not known here", "mode")
    places = list(dict.fromkeys(place for mode in modes for place in MODES.get(mode, ())))
    frame: dict[str, object] = {"places": places or ["request"]}
    if not params.flag("default_on"):
        params.tell(
            "advice", "requests had to ask for it; here it sees all of them, and only observes: set `mode: enforce`"
        )
        frame["mode"] = "observe"
    return frame


def _found(params: View) -> Iterator[tuple[str, dict[str, object]]]:
    tag = params.text("pattern_redaction_format") or "[{pattern_name}_REDACTED]"
    for view in params.sections("patterns"):
        built_in = view.raw("pattern_name")
        label = view.text("name") or built_in or "pattern"
        pattern = PREBUILT.get(built_in or "") if view.raw("pattern_type") == "prebuilt" else view.text("pattern")
        if pattern is None:
            view.tell("lost", "there is no expression for this pattern here")
            continue
        if built_in:
            view.tell("advice", "the expression is ours: see whether it finds what you mean", "pattern_name")
        replacement = tag.replace("{pattern_name}", label.upper())
        yield from _guard(view, label, Guard(name=label, pattern=pattern, replacement=replacement))
        view.rest({})
    word_tag = params.text("keyword_redaction_tag") or "[KEYWORD_REDACTED]"
    for view in params.sections("blocked_words"):
        if word := view.raw("keyword"):
            begin, end = (r"\b" if re.match(r"\w", sign, re.ASCII) else "" for sign in (word[0], word[-1]))
            pattern = f"{begin}{re.escape(word)}{end}".replace("$", "$$").replace(r"\ ", " ")
            label = re.sub(r"\W+", "-", word).strip("-") or "word"
            yield from _guard(view, label, Guard(name=label, pattern=pattern, replacement=word_tag, ignore_case=True))
        view.rest({"description": FOR_INFORMATION})


def _guard(view: View, label: str, guard: Guard) -> Iterator[tuple[str, dict[str, object]]]:
    """The guard in our syntax, if it compiles."""
    written: dict[str, object] = {"pattern": guard.pattern, "action": ACTIONS.get(view.raw("action") or "", "block")}
    if written["action"] == "redact":
        written["replacement"] = guard.replacement
    if guard.ignore_case:
        written["ignore_case"] = True
    plain = guard.pattern.replace("$$", "$")
    try:
        compile_guards([Guard(name=label, pattern=plain, ignore_case=guard.ignore_case)])
    except ConfigError:
        try:
            compile_guards([Guard(name=label, pattern=plain, max_length=BOUND, ignore_case=guard.ignore_case)])
        except ConfigError as error:
            view.tell("lost", error.message)
            return
        view.tell("advice", f"its matches have no longest: they are cut at {BOUND} characters", "pattern")
        written["max_length"] = BOUND
    yield label, written
