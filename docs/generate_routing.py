"""Writes docs/routing.md: the words of conditions and the signals of complexity, from the tables that decide by them. Run it after
changing those."""

from __future__ import annotations

from pathlib import Path

from headgate.routing.complexity import FEATURES
from headgate.routing.conditions import FUNCTIONS, MACROS
from headgate.routing.facts import WORDS

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
    return head + "\n".join(lines) + "\n" + tail


if __name__ == "__main__":
    TARGET.write_text(render())
