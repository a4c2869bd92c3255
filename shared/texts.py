"""What residents and staff read, in both languages side by side: `say("in English", "中文")`.

The two travel as one string through FastAPI's summaries and descriptions and are told apart where a language is known.
"""

from __future__ import annotations

from typing import Any, Final

LANGUAGES: Final = ("zh", "en")
_BAR: Final = "\u241f"  # a control picture nobody types


def say(en: str, zh: str) -> str:
    """One string that holds both."""
    return f"{en}{_BAR}{zh}"


def choose(text: str, lang: str) -> str:
    """The half of `text` in `lang`; a text that is the same in both is returned as it is."""
    en, bar, zh = text.partition(_BAR)
    return zh if bar and lang == "zh" else en


def is_bilingual(text: str) -> bool:
    """Whether `text` was made by `say`."""
    return _BAR in text


def translated(document: Any, lang: str) -> Any:
    """A JSON document with every bilingual string in it reduced to `lang`."""
    if isinstance(document, str):
        return choose(document, lang)
    if isinstance(document, dict):
        return {choose(key, lang): translated(value, lang) for key, value in document.items()}
    if isinstance(document, list):
        return [translated(value, lang) for value in document]
    return document


def language(accept_language: str | None) -> str:
    """`zh` unless the reader prefers English (RFC 9110 weights; the first of equals wins)."""
    if not accept_language:
        return "zh"
    best, lang = 0.0, "zh"
    for part in accept_language[:200].split(","):
        tag, _, weight = part.strip().partition(";")
        tag = tag.strip().lower()
        try:
            q = float(weight.strip().removeprefix("q=")) if weight else 1.0
        except ValueError:
            q = 0.0
        known = "zh" if tag.startswith("zh") or tag == "*" else "en" if tag.startswith("en") else None
        if known and q > best:
            best, lang = q, known
    return lang
