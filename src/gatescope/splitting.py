"""Splitting a text into words and punctuation marks, also in scripts without spaces.

A rule that has split the training text of a run must not change, so every rule has a number, and a vocabulary of words
stores the number of its rule.

* Rule 1 (vocabularies without a number): runs of letters, digits and underscores. A sentence of Chinese, Japanese or
  Thai is one word, and a vowel sign of Hindi is a punctuation mark.
* Rule 2: scripts without spaces are split into characters, each with its marks; marks of all other scripts belong to
  their word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

LATEST = 2
"""The rule of new vocabularies."""

# Bopomofo, kana, Han; Thai, Lao, Tibetan, Myanmar, Khmer, Tai Le and New Tai Lue, Tai Tham, Balinese, Javanese.
SPACELESS = (
    "\u3005-\u3007\u3021-\u3029\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U0001b000-\U0001b16f\U00020000-\U000323af"
    "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e80-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec6\u0edc-\u0edf\u0f00\u0f40-\u0f6c"
    "\u0f88-\u0f8c\u1000-\u102a\u103f\u1050-\u1055\u105a-\u105d\u1061\u1065\u1066\u106e-\u1070\u1075-\u1081\u108e"
    "\u1780-\u17b3\u17d7\u17dc\u1950-\u19ca\u1a00-\u1a16\u1a20-\u1a54\u1b05-\u1b33\ua984-\ua9b2\uaa60-\uaa76"
)
"""The letters of scripts without spaces, each a word of its own, as ranges of a regular expression."""

# Combining accents, joiners and variation selectors; then the marks of scripts without spaces and of other scripts.
_MARKS_EVERYWHERE = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d\u20d0-\u20f0\ufe00-\ufe0f\ufe20-\ufe2f"
_MARKS_SPACELESS = (
    "\u3099\u309a\uff9e\uff9f\U000e0100-\U000e01ef\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece"
    "\u0f18\u0f19\u0f35\u0f37\u0f39\u0f3e\u0f3f\u0f71-\u0f84\u0f86\u0f87\u0f8d-\u0fbc\u102b-\u103e\u1056-\u1059"
    "\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d\u17b4-\u17d3\u17dd"
    "\u1a17-\u1a1b\u1a55-\u1a7f\u1b00-\u1b04\u1b34-\u1b44\ua980-\ua983\ua9b3-\ua9c0"
)
_MARKS_SPACED = (
    "\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc"
    "\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a\u07a6-\u07b0\u07eb-\u07f3\u0898-\u089f\u08ca-\u08e1\u08e3-\u0903\u093a-\u094f"
    "\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09d7\u09e2\u09e3\u0a01-\u0a03\u0a3c-\u0a51\u0a70\u0a71\u0a75"
    "\u0a81-\u0a83\u0abc-\u0acd\u0ae2\u0ae3\u0b01-\u0b03\u0b3c-\u0b57\u0b62\u0b63\u0b82\u0bbe-\u0bd7\u0c00-\u0c04"
    "\u0c3c-\u0c56\u0c62\u0c63\u0c81-\u0c83\u0cbc-\u0cd6\u0ce2\u0ce3\u0d00-\u0d03\u0d3b-\u0d57\u0d62\u0d63"
    "\u0d81-\u0d83\u0dca-\u0ddf\u0df2\u0df3\u135d-\u135f\u1712-\u1715\u180b-\u180d"
)
_MARK = f"[{_MARKS_EVERYWHERE}{_MARKS_SPACELESS}{_MARKS_SPACED}]"
_RUN = rf"(?:[^\W{SPACELESS}]+{_MARK}*)+"
_JOINER = "['\N{RIGHT SINGLE QUOTATION MARK}-]"

WORDS: Mapping[int, re.Pattern[str]] = MappingProxyType(
    {
        1: re.compile(r"\w+(?:['\N{RIGHT SINGLE QUOTATION MARK}-]\w+)*|[^\w\s]"),
        2: re.compile(rf"[{SPACELESS}]{_MARK}*|{_RUN}(?:{_JOINER}{_RUN})*|[^\w\s]{_MARK}*"),
    }
)
"""Rule -> expression that matches a word or punctuation mark."""

_SPACELESS = re.compile(f"[{SPACELESS}]")


def words_of(text: str, rule: int = LATEST) -> list[str]:
    """Return the words and punctuation marks of a text, spelled as in the text.

    Args:
        text: any text.
        rule: the number of the rule.
    """
    return pattern_for(text, rule).findall(text)


def pattern_for(text: str, rule: int = LATEST) -> re.Pattern[str]:
    """Return the expression that finds the words of a text.

    All rules agree on ASCII, where the expression of rule 1 is the fastest.

    Args:
        text: the text that will be split.
        rule: the number of the rule.
    """
    return WORDS[1 if text.isascii() else rule]


def chunks_of(text: str, rule: int = LATEST) -> list[str]:
    """Return the parts of a text between white space, split into words if they are of a script without spaces.

    Args:
        text: any text.
        rule: the number of the rule.
    """
    chunks = text.split()
    if rule == 1 or text.isascii() or not _SPACELESS.search(text):
        return chunks
    return [part for chunk in chunks for part in (words_of(chunk, rule) if _SPACELESS.search(chunk) else [chunk])]
