"""Short names of features, for chips and tables, and the names of features in other languages.

A feature has a name for programs, "quotes.double", a title, "inside double quotes", and a short name of at most 24
letters. Short names stand in `messages/en/feature_names.json`, by the name of the feature: `*` stands for a part that
differs, such as a character, and `{1}` for the first such part. Other languages have them in `titles.json`.
"""

from __future__ import annotations

import json
import re
from functools import cache, partial

from gatescope.features.pairs import ABOVE, AND, NOT
from gatescope.messages import FOLDER
from gatescope.messages.languages import ENGLISH, language

MAX_SHORT_LETTERS = 24
_SHORT, _LONG = "feature_short", "feature"  # the kinds of names in titles.json
_FIELD = re.compile(r"\{(\d)\}")


@cache
def short_name(name: str, title: str) -> str:
    """Return the short name of a feature in English, at most 24 letters.

    Args:
        name: the name of the feature, of one category ("character.is=a"), of a pair ("a & not b"), or of a count above
            a number ("counts.a > 0").
        title: its title; a feature without a short name is called by it if it is short, otherwise by its name.
    """
    return _name(ENGLISH, _SHORT, name, title)


def local_names(name: str, title: str) -> tuple[str, str]:
    """Return the short name and the title of a feature in the language of this context.

    Args:
        name: the name of the feature, as for `short_name`.
        title: its English title; it stays if the language has none.
    """
    code = language()
    return _name(code, _SHORT, name, title), title if code == ENGLISH else _name(code, _LONG, name, title)


def _name(code: str, kind: str, name: str, title: str) -> str:
    joined = _joined(code, kind, name) or _of_catalogue(code, kind, name)
    if joined is None:
        if kind == _LONG or len(title) <= MAX_SHORT_LETTERS:
            return title
        joined = name.partition(".")[2].replace("_", " ") or name
    return _shortened(joined, MAX_SHORT_LETTERS) if kind == _SHORT else joined


def _of_catalogue(code: str, kind: str, name: str) -> str | None:
    """Return what the catalogue has for a single feature; None if it has nothing."""
    for pattern, form in _patterns(code, kind):
        match = pattern.fullmatch(name)
        if match:
            return _FIELD.sub(partial(_group, match), form)
    return None


def _group(match: re.Match[str], field: re.Match[str]) -> str:
    return match[int(field[1])]


def _joined(code: str, kind: str, name: str) -> str | None:
    """Return the name of a pair, or of a count above a number; None for other features.

    The name of a feature may itself contain " & ": the parts must be known.
    """
    for mark in (f"{AND}{NOT}", AND, ABOVE):
        parts = name.split(mark)
        for cut in range(1, len(parts)):
            first = _of_catalogue(code, kind, mark.join(parts[:cut]))
            rest = mark.join(parts[cut:])
            second = rest if mark == ABOVE else _of_catalogue(code, kind, rest)
            if first is None or second is None:
                continue
            form = _catalogue(code, _SHORT)[f"*{mark}*"]
            if kind == _SHORT:
                room = MAX_SHORT_LETTERS - len(_FIELD.sub("", form))
                first = _shortened(first, max(room // 2, room - len(second)))
                second = _shortened(second, room - len(first))
            return form.replace("{1}", first).replace("{2}", second)
    return None


def _shortened(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1].rstrip()}…"


@cache
def _catalogue(code: str, kind: str) -> dict[str, str]:
    """Return the names of features with "*" for what differs -> their names of a kind."""
    if code == ENGLISH:
        content = {_SHORT: json.loads((FOLDER / code / "feature_names.json").read_text(encoding="utf-8"))}
    else:
        content = json.loads((FOLDER / code / "titles.json").read_text(encoding="utf-8"))
    return content.get(kind, {})


@cache
def _patterns(code: str, kind: str) -> list[tuple[re.Pattern[str], str]]:
    """Return the names as regular expressions, the longest first. Titles of tasks begin with the name of the task."""
    names = {name.rpartition("/")[2]: form for name, form in reversed(_catalogue(code, kind).items())}
    ordered = sorted(names.items(), key=lambda pair: -len(pair[0].replace("*", "")))
    expressions = [(re.escape(name).replace(r"\*", "(.+)"), form) for name, form in ordered if "." in name]
    return [(re.compile(expression, re.DOTALL), form) for expression, form in expressions]
