"""Titles of data in the language of the environment: signals, tasks, features, columns of tables, by their names.

English titles stand beside what they name: in cells, tasks and features. `zh/titles.json` has the Chinese ones by kind
and name, for this module and for the page (web/src/data/localized.ts, which has the same rules). A name may have "*",
which the title has as {1}, {2}.
"""

from __future__ import annotations

import json
import re
from functools import cache

from gatescope.messages import FOLDER
from gatescope.messages.languages import ENGLISH, LANGUAGES

TITLES = {code: FOLDER / code / "titles.json" for code in LANGUAGES if code != ENGLISH}


def title_of(kind: str, names: str | tuple[str, ...], english: str, language: str) -> str:
    """Return the title of something in a language; the English one if the translation lacks it.

    Args:
        kind: such as "signal", "feature" or "column".
        names: its name, or several of which the first known one counts.
        english: its English title.
        language: the language.
    """
    entries = _titles(language).get(kind, {}) if language != ENGLISH else {}
    for name in (names,) if isinstance(names, str) else names:
        if name in entries:
            return entries[name]
        for pattern, form in entries.items():
            if "*" in pattern and (match := _pattern(pattern).fullmatch(name)):
                parts = [title_of(kind, part, part, language) for part in match.groups()]
                return re.sub(r"\{(\d)\}", lambda field, parts=(name, *parts): parts[int(field[1])], form)
    return english


@cache
def _titles(language: str) -> dict[str, dict[str, str]]:
    return json.loads(TITLES[language].read_text(encoding="utf-8"))


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(map(re.escape, name.split("*"))), re.DOTALL)
