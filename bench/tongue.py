"""Texts of several kinds, and a tokenizer that is denser than those in use: what a provider bills by in the soak.

Rules of this file:
- A word's every six letters are a token (two of Cyrillic), with the space before them, and two of JSON's signs side by side; any other
  sign, a digit, a Chinese character is one each. Those in use make fewer of the same text (longer words, several digits to a token), so
  that an estimate that holds here holds there.
- It has nothing in common with the gateway's estimate, which is what it is to judge.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any

_TOKEN = re.compile(r""" ?[A-Za-z]{1,6}| ?[Ѐ-ӿ]{1,2}|["{}\[\]:,]{1,2}| ?[^\w\s]|[ \n]+|.""", re.S)

TEXTS = (
    "A headgate is the structure at the head of a canal: it lets in as much water as the fields below it need, and measures it. ",
    "def flow(gate, level):\n    if level > gate.sill:\n        return 1.7 * gate.width * (level - gate.sill) ** 1.5\n    return 0.0\n",
    '{"gate":"north","open":true,"readings":[{"at":1767225600,"m3s":12.5},{"at":1767229200,"m3s":11.875}],"id":"7f3a-90b1"} ',
    "渠首是渠道的入口，它按下游田地的需要放水，并且计量每一立方米。",
    "Затвор открывают утром и закрывают вечером; каждый кубометр учтён. ",
    "| 2026-11-21 | 1204.75 | 18.2 % |\n| 2026-11-22 | 1187.03 | 17.9 % |\n| 2026-11-23 | 1311.40 | 19.6 % |\n",
    "Sluice open 🌊, level falling 📉, all is well ✅. My number is 078-05-1120. ",
)


def tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def said(draw: Random, count: int) -> list[str]:
    """So many tokens of one kind of text."""
    pieces = tokens(draw.choice(TEXTS))
    return (pieces * (count // len(pieces) + 1))[:count]


def counted(document: Any) -> int:
    """Tokens of every string of a JSON document: roles and types too, which stand for what a provider adds to each message."""
    if isinstance(document, str):
        return len(tokens(document))
    if isinstance(document, dict):
        return sum(map(counted, document.values()))
    return sum(map(counted, document)) if isinstance(document, list) else 0
