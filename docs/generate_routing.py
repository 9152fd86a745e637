"""Writes docs/routing.md: the words of conditions, the signals of complexity and what is repeated, from the tables that decide by them.
Run it after changing those."""

from __future__ import annotations

from pathlib import Path

from headgate.providers.registry import all_providers
from headgate.routing.complexity import FEATURES
from headgate.routing.conditions import FUNCTIONS, MACROS
from headgate.routing.facts import WORDS
from headgate.routing.retry import ELSEWHERE, RETRY_SAME

HERE = Path(__file__).parent
TARGET = HERE / "routing.md"


def render() -> str:
    lines = ["| word | type | | example |", "|---|---|---|---|"]
    for name, word in WORDS.items():
        example = word.example.replace("|", "\\|")
        lines.append(f"| `{name}` | {word.type} | {word.about} | `{example}` |")
    functions = ", ".join(f"`{name}`" for name in sorted(FUNCTIONS))
    macros = ", ".join(f"`{name}`" for name in sorted(MACROS))
    lines += ["", f"Functions: {functions}; over lists and maps {macros}.", ""]
    lines += [
        "## Complexity",
        "",
        "`tiers` ask how hard a request is, from 0 to 100, by signals that can be read off it: no model is asked. The first tier whose"
        " `up_to` is not below the score takes the request; what is harder than all goes to the model's own `targets`.",
        "",
        "| signal | counts | points each | at most |",
        "|---|---|---|---|",
    ]
    lines += [f"| {name} | {f.counts} | {f.weight:g} | {f.cap:g} |" for name, f in FEATURES.items()]
    head, tail = ((HERE / f"routing_{part}.md").read_text() for part in ("head", "tail"))
    tail = tail.replace("{continuing}", _continuing())
    return head + "\n".join(lines) + "\n" + tail + "\n".join(_repeated()) + "\n"


def _continuing() -> str:
    """Who can go on from the beginning of an answer."""
    able = (
        name
        for name, provider in all_providers().items()
        if any(endpoint.accepts.prefill != "none" for endpoint in provider.endpoints)
    )
    return ", ".join(f"`{name}`" for name in sorted(able))


def _repeated() -> list[str]:
    others = ", ".join(f"`{status}`" for status in sorted(ELSEWHERE) if status < 500 and status not in RETRY_SAME)
    lines = [
        "",
        "## What is repeated",
        "",
        "By a provider's status, or by what became of the attempt. Before these go the provider's own word (`x-should-retry`) and codes"
        f" that make any status final. After each of these another target may be asked, as after {others}; any other status below 500 is"
        " the request's own fault, and nobody else is asked.",
        "",
        "| failure | again at the same target | because |",
        "|---|---|---|",
    ]
    lines += [f"| `{name}` | {'yes' if again.yes else 'no'} | {again.why} |" for name, again in RETRY_SAME.items()]
    return lines


if __name__ == "__main__":
    TARGET.write_text(render())
