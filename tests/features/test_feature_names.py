"""Short names of features: at most 24 letters, for every feature, in every language."""

from __future__ import annotations

import json

import pytest

from gatescope import TASKS
from gatescope.features import FAMILIES, annotate, choose, local_names, short_name
from gatescope.features.feature_names import MAX_SHORT_LETTERS, _of_catalogue
from gatescope.messages import FOLDER
from gatescope.messages.languages import in_language

PROSE = 'The cat (it) said "yes" to http://x.org on 3 May 2020. Is it 0x1F? No.\n\n  - a\n' * 8


def every_name() -> dict[str, str]:
    """Return name -> title of the features of prose, code, words, strings and tasks."""
    families = [*FAMILIES.values(), *choose("def f(x):\n    return '#a'  # b\n" * 9, "python"), *choose("aaXbb\nabX\n")]
    features = {
        feature.name: feature for family in families for feature in annotate([PROSE + "aaXbb\naabb\n"], [family])
    }
    names = {binary.name: binary.title for feature in features.values() for binary in feature.binaries()}
    for task in TASKS.values():
        names |= {f"task.{name}": title for name, title in getattr(task, "quantity_titles", {}).items()}
    return names


def test_every_feature_has_a_short_name_in_every_language() -> None:
    for name, title in every_name().items():
        for code in ("en", "zh"):
            assert _of_catalogue(code, "feature_short", name), (code, name)
        assert 0 < len(short_name(name, title)) <= MAX_SHORT_LETTERS
        with in_language("zh"):
            short, long = local_names(name, title)
            assert len(short) <= MAX_SHORT_LETTERS
            assert long != title or not title.isascii()


def test_catalogues_have_the_same_names_and_fields() -> None:
    english = json.loads((FOLDER / "en/feature_names.json").read_text(encoding="utf-8"))
    chinese = json.loads((FOLDER / "zh/titles.json").read_text(encoding="utf-8"))["feature_short"]
    assert list(english) == list(chinese)
    for name, form in english.items():
        assert {field for field in "123" if f"{{{field}}}" in form} == {
            field for field in "123" if f"{{{field}}}" in chinese[name]
        }


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("task.owed", "b's left"),
        ("counts.a", "a's so far"),
        ("counts.a_minus_b", "a's minus b's"),
        ("counts.a > 0", "a's so far > 0"),
        ("character.is=x", "at x"),
        ("neighbours.previous=& & quotes.any", "after & & inside quotes"),
        ("task.reading & not neighbours.next=X", "reading, not before X"),
        ("tokens.attribute & not english.sentence_start", "in an at…, not first wo…"),
        ("own.mine", "what I call it"),
    ],
)
def test_short_names(name: str, short: str) -> None:
    assert short_name(name, "what I call it") == short
    assert len(short) <= MAX_SHORT_LETTERS


def test_a_feature_with_a_long_title_is_called_by_its_name() -> None:
    assert short_name("own.my_feature", "a title that is far too long for a chip") == "my feature"
