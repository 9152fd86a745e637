"""A converted config as YAML text, with what was not converted as comments at its head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from headgate.cli.importers.source import Note, grouped

HEADS = {
    "lost": "Not converted:",
    "advice": "Converted; look at these:",
    "needless": "Not needed here:",
}


class Plain(str):
    """A text that is written without quotes: a number as it is."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _plain(dumper: yaml.SafeDumper, text: Plain) -> yaml.Node:
    return dumper.represent_scalar(f"tag:yaml.org,2002:{'int' if text.isdecimal() else 'float'}", str(text))


_Dumper.add_representer(Plain, _plain)


def told(notes: list[Note]) -> list[str]:
    """The notes as lines of text, by kind."""
    lines: list[str] = []
    groups = grouped(notes)
    for kind, head in HEADS.items():
        of_kind = [(where, text) for k, where, text in groups if k == kind]
        if of_kind:
            lines += ["", head]
            lines += [
                f"  line{'s' * (len(at) > 1)} {', '.join(map(str, at))}: {' '.join(text.split())}"
                for at, text in of_kind
            ]
    return lines[1:]


def document(config: Mapping[str, object], title: str, notes: list[Note]) -> str:
    """The config file's text."""
    head = "".join(f"# {line}".rstrip() + "\n" for line in [title, "", *told(notes)])
    parts = [
        yaml.dump({key: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
        for key, value in config.items()
    ]
    return head.rstrip("#\n ") + "\n\n" + "\n".join(parts)
