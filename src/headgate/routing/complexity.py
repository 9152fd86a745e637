"""How hard a request is, from 0 to 100, by signals that can be read off it. No model, no memory: the same request, the same score.

Rules of this file:
- A feature is a count times a weight, up to a cap; `FEATURES` is the table, and the result says what each one gave. Nothing is
  negative: more of anything never makes a request simpler.
- Words are looked for in the beginning and the end of the user's last message, where people say what they want; a pasted
  document between them counts by its length. Bounds keep the cost of 400 kB near that of 4 kB.
- Words are told by their first six bytes, in the languages that most requests are written in: one look into a set, however long
  the list. What is no ASCII is found anywhere in a text, and looked for only in texts that are not.
"""

from __future__ import annotations

from math import log2
from typing import Any

from msgspec import Struct

from headgate.routing.reading import Reading

HEAD, TAIL = 1500, 500
"""Characters of the last message in which words are looked for."""
NODES = 2000
"""Members of a JSON schema that are looked at."""


class Feature(Struct, frozen=True):
    weight: float
    cap: float
    counts: str


FEATURES: dict[str, Feature] = {
    "length": Feature(3.0, 15.0, "doublings of the last message's length beyond 200 characters"),
    "context": Feature(1.5, 9.0, "doublings of the whole conversation's length beyond 4,000 characters"),
    "turns": Feature(1.5, 9.0, "the user's messages beyond the first"),
    "tools": Feature(1.5, 12.0, "tools that are offered"),
    "code": Feature(3.0, 15.0, "fences, and words of programming languages"),
    "trace": Feature(8.0, 8.0, "a stack trace"),
    "reasoning": Feature(8.0, 32.0, "different words that ask for reasoning (prove, design, compare, step by step)"),
    "constraints": Feature(3.0, 12.0, "conditions that the answer must meet (must, at least, without), listed points"),
    "maths": Feature(4.0, 12.0, "formulas, and digits beyond a few"),
    "schema": Feature(2.5, 10.0, "levels of the JSON schema that the answer must fit"),
}


def _beginnings(words: str) -> frozenset[bytes]:
    return frozenset(word.encode() for word in words.split())


_REASONING = _beginnings(
    "prove proves proved provin proof proofs derive derivi deriva optimi compar contras analys analyz evalua design archit"
    " trade- tradeo refact debug debugg diagno strate justif critiq reason infer infers algori simula formal theore synthe"
    " invest implem migrat review hypoth counte bewei beweis herlei vergle entwir entwic prouve justifi demues demost"
    " evalu diagra projet avalie dimost proget confro"
)
_PHRASES = ("step by step", "explain why", "root cause", "pros and cons", "paso a paso", "passo a passo", "worst case")
_CONSTRAINTS = _beginnings(
    "must least exactl without unless ensure avoid never don't cannot constr requir should assum assume only muss mindes"
    " höchst ohne doit moins sans debe menos sin deve senza almeno"
)
_CODE = _beginnings(
    "def func fn impl struct async await lambda const void includ npm elif nullpt printl printf git docker sudo kubect"
    " varcha stdin stdout pytest regex json yaml sql python javasc typesc rust golang c++ html css bash"
)
_TRACES = _beginnings("traceb gorout segfau stackt")
_TRACE_LINES = ("\n    at ", "\n\tat ", "Caused by:", "panic: ", 'File "')
_POINTS = ("\n- ", "\n* ", "\n1. ", "\n2. ", "\n3. ")
_FORMULAS = ("$$", "\\", "^", "O(")
_OTHER: dict[str, tuple[str, ...]] = {
    "reasoning": (
        *(
            "démontr",
            "conçoi",
            "étape par étape",
            "begründe",
            "schritt für schritt",
            "diseñ",
            "evalúa",
            "докаж",
            "сравн",
        ),
        *("проанализ", "объясни", "证明", "推导", "比较", "优化", "分析", "设计", "逐步", "証明", "比較", "最適化"),
        *("設計", "段階的", "증명", "비교", "분석", "설계", "단계별"),
    ),
    "constraints": (
        "höchstens",
        "required",
        "не более",
        "не менее",
        "必须",
        "至少",
        "不能",
        "不要",
        "必ず",
        "以上",
        "반드시",
    ),
    "maths": ("∫", "∑", "√", "≤", "≥", "∀", "∃", "²", "π", "∞"),
}
"""What is looked for anywhere, in texts that are not plain ASCII: letters of several bytes, scripts that do not part words."""
_SPACED = bytes.maketrans(b'.,;:!?()[]{}"`/<>=*#|', b" " * 21)
_MARKS, _DIGITS = b"{}[];=<>_", b"0123456789"
_BYTES = 6
"""Of a word that tell it: inflections do not count twice, and need no list."""


class Score(Struct, frozen=True):
    """`features` gave points, the most first."""

    value: float
    features: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        return ", ".join(f"{name} +{points:g}" for name, points in self.features) or "nothing that makes it hard"


def score(reading: Reading) -> Score:
    counts = _in_text(reading.last) | {
        "length": _doublings(len(reading.last), 200),
        "context": _doublings(reading.chars, 4000),
        "turns": max(0, reading.turns - 1),
        "tools": len(reading.tools),
        "schema": _depth(reading.schema),
    }
    features = []
    for name, feature in FEATURES.items():
        points = round(min(feature.cap, counts[name] * feature.weight), 1)
        if points:
            features.append((name, points))
    features.sort(key=lambda pair: -pair[1])
    return Score(min(100.0, round(sum(points for _, points in features), 1)), tuple(features))


def _in_text(text: str) -> dict[str, float]:
    looked = text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"
    plain = looked.lower()
    data = plain.encode(errors="replace")
    words = {word[:_BYTES] for word in set(data.translate(_SPACED).split())}
    found = {
        "code": 2 * min(3, text.count("```") // 2) + len(words & _CODE) / 2 + _among(_MARKS, data) / 16,
        "trace": min(1, len(words & _TRACES) + _found(_TRACE_LINES, looked)),
        "reasoning": len(words & _REASONING) + _found(_PHRASES, plain),
        "constraints": len(words & _CONSTRAINTS) + _found(_POINTS, looked) / 2,
        "maths": _found(_FORMULAS, looked) + max(0, _among(_DIGITS, data) - 8) / 24,
    }
    if not looked.isascii():
        for name, needles in _OTHER.items():
            found[name] += _found(needles, plain)
    return found


def _found(needles: tuple[str, ...], text: str) -> int:
    """How many different ones of these occur."""
    return sum(needle in text for needle in needles)


def _among(characters: bytes, data: bytes) -> int:
    """How many bytes are among these."""
    return len(data) - len(data.translate(None, characters))


def _doublings(length: int, beyond: int) -> float:
    return max(0.0, log2(length / beyond)) if length else 0.0


def _depth(schema: dict[str, Any] | None) -> int:
    """Levels of objects and lists in a JSON schema's description, the outermost counted; 0 without a schema."""
    if schema is None:
        return 0
    deepest, looked = 1, 0
    waiting: list[tuple[Any, int]] = [(schema, 1)]
    while waiting and looked < NODES:
        value, depth = waiting.pop()
        looked += 1
        deepest = max(deepest, depth)
        members = value.values() if isinstance(value, dict) else value
        waiting += [(member, depth + _level(member)) for member in members if isinstance(member, dict | list)]
    return deepest


def _level(value: dict[str, Any] | list[Any]) -> int:
    return 1 if isinstance(value, dict) and "type" in value else 0
