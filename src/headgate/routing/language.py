"""A cheap guess which language a text is written in: by its script, else by stop words. No model, no table of n-grams.

Rules of this file:
- "" is an answer: two stop words of one language, and more than of any other, are the least that counts. A word or two, code or
  a list of names have no language here.
- Scripts are told by their distinct characters: an English question about one Chinese word stays English.
- Languages that share a script are told apart by letters that only one of them uses; what is rarer goes with its larger neighbour.
"""

from __future__ import annotations

LOOKED_AT = 2000
"""Characters, from the beginning."""
_STRIPPED = ".,;:!?¿¡\"'()[]{}«»„“”…"

_RANGES: tuple[tuple[int, int, str], ...] = (
    (0x0041, 0x024F, "latin"),
    (0x0370, 0x03FF, "el"),
    (0x0400, 0x052F, "cyrillic"),
    (0x0590, 0x05FF, "he"),
    (0x0600, 0x06FF, "arabic"),
    (0x0900, 0x097F, "hi"),
    (0x0980, 0x09FF, "bn"),
    (0x0B80, 0x0BFF, "ta"),
    (0x0E00, 0x0E7F, "th"),
    (0x1E00, 0x1EFF, "latin"),
    (0x3040, 0x30FF, "ja"),
    (0x3400, 0x9FFF, "han"),
    (0xAC00, 0xD7AF, "ko"),
)
"""First and last code point of a script, and the language it means if it means one."""

_STOP_WORDS: dict[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the of and to is in that it for you with this are what how be on my please can from was have i a not which",
        "de": "der die das und ist nicht ein eine ich du zu den mit wie für auf von bitte was sich dem im auch kann wir es mir",
        "fr": "le la les et est un une des de que qui pour dans pas je vous ce avec sur quel quelle comment au du il nous mon",
        "es": "el la los las y es un una de que en por para no con qué cómo se del lo mi al como cuál está su me",
        "pt": "o a os as e é um uma de que em por para não com como se do da no na qual meu você dos ao está",
        "it": "il la le e è un una di che in per non con come si del della gli lo mi quale sono al questo cosa i nel",
        "nl": "de het een en is van niet dat ik je in te voor met wat hoe op zijn er aan kan mijn deze wij uit",
        "pl": "i w nie na się jest to że do z jak co czy dla mi o po od ten mnie ale jaki proszę która oraz",
        "tr": "ve bir bu ne için de da ile mi nasıl çok olan gibi var daha ben bana en hangi değil lütfen olarak",
        "sv": "och är det en ett att som på för jag inte med av den vad hur kan till om har vi du de min",
        "id": "yang dan di ini itu dengan untuk dari apa tidak saya adalah pada bagaimana ke dalam akan bisa atau tolong",
        "vi": "là và của có không cho tôi một các được này những trong với để thế nào như người",
    }.items()
}


def guess(text: str) -> str:
    """The ISO 639-1 code of the language, or "" where it does not show."""
    sample = text[:LOOKED_AT]
    script = _script(sample)
    if script == "latin":
        return _by_stop_words(sample)
    if script == "cyrillic":
        return "uk" if any(letter in sample for letter in "іїєґІЇЄҐ") else "ru"
    if script == "arabic":
        return "fa" if any(letter in sample for letter in "پچژگ") else "ar"
    return "zh" if script == "han" else script


def _script(sample: str) -> str:
    """The script most of whose characters occur; kana make a text Japanese, also among more Chinese characters."""
    if sample.isascii():
        return "latin"
    found: dict[str, int] = {}
    for char in set(sample):
        code = ord(char)
        for first, last, script in _RANGES:
            if first <= code <= last:
                if char.isalpha():
                    found[script] = found.get(script, 0) + 1
                break
    if not found:
        return ""
    most = max(found, key=lambda script: found[script])
    return "ja" if most == "han" and found.get("ja", 0) * 10 > found["han"] else most


def _by_stop_words(sample: str) -> str:
    words = {word.strip(_STRIPPED) for word in sample.lower().split()}
    hits = sorted(((len(words & stops), language) for language, stops in _STOP_WORDS.items()), reverse=True)
    (best, language), (second, _) = hits[0], hits[1]
    return language if best >= 2 and best > second else ""
