"""Laws of every family: it fits any text, reads each text from its start, and looks ahead only if its title ends so."""

import re
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gatescope.features
from gatescope.features import FAMILIES, Family, Feature, annotate, pattern, tokens
from gatescope.features.brackets import family as brackets
from gatescope.features.spans import AHEAD

EVERY = {
    **FAMILIES,
    "angle": brackets(angle=True),
    "tokens": tokens.family("python"),
    "expression": pattern("call", r"\w+\((?P<inside>[^()\n]*)\)"),
}
PIECES = [
    *"abAB sIt\t\n\n.!?,:;'\"`()[]{}<>@#/\\-_0159\r",
    *[
        "the ",
        "will be ",
        "What ",
        "don't",
        "'tis",
        "\n\n",
        "    ",
        '"""',
        "``",
        "http://",
        "www.",
        "0x1F",
        "def f(x):",
    ],
    *[
        "“",
        "”",
        "‘",
        "’",
        "«",
        "»",
        "「",
        "」",
        "。",
        "！",
        "我",
        "é",
        "\u3000",
        "\U0001f600",
        "\ud800",
        "1,000.5",
        "12:30",
    ],
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.characters(), max_size=25).map("".join)
FEWER = settings(max_examples=20)  # enough, because each text has many kinds of pieces
SMALL_ALPHABET = st.text(alphabet="abX\n", max_size=25)


def values_of(features: list[Feature]) -> dict[str, list[object]]:
    """Return name -> a value for each character: a category by its name, None for a missing value."""
    return {
        feature.name: [
            None
            if (feature.kind == "count" and np.isnan(value)) or (feature.kind == "category" and value < 0)
            else feature.categories[value]
            if feature.kind == "category"
            else value.item()
            for value in feature.values
        ]
        for feature in features
    }


@pytest.mark.parametrize("name", EVERY)
def test_family_fits_any_text(name: str) -> None:
    names_of_texts: list[set[str]] = []

    @settings(FEWER)
    @given(text=TEXTS | SMALL_ALPHABET)
    @example(text="")
    @example(text="\n")
    @example(text="a")
    def check(text: str) -> None:
        features = annotate([text], [EVERY[name]])
        for feature in features:
            assert feature.values.shape == (len(text),)
            assert feature.values.dtype in (np.bool_, np.float32, np.int16)
            assert re.fullmatch(rf"{EVERY[name].name}\.\S+", feature.name)
            assert feature.title
            if feature.kind == "count":
                assert (feature.values[~np.isnan(feature.values)] >= 0).all()
            if feature.kind == "category":
                assert feature.values.max(initial=-1) < len(feature.categories) == len(set(feature.categories))
        names_of_texts.append({feature.name for feature in features if feature.kind != "category"})

    check()
    if name != "counts":
        assert all(names == names_of_texts[0] for names in names_of_texts), (
            "the names of the features do not depend on the text"
        )


@pytest.mark.parametrize("name", EVERY)
def test_values_do_not_depend_on_later_characters(name: str) -> None:
    """The value at a character is that of the text up to it, unless the title ends with "(looks ahead)"."""

    @settings(FEWER)
    @given(text=TEXTS | SMALL_ALPHABET, data=st.data())
    def check(text: str, data: st.DataObject) -> None:
        cut = data.draw(st.integers(0, len(text)))
        family = EVERY[name].fit([text])
        whole = [feature for feature in annotate_fitted(text, family) if AHEAD not in feature.title]
        beginning = values_of(annotate_fitted(text[:cut], family))
        for key, values in values_of(whole).items():
            assert beginning[key] == values[:cut], key

    check()


SINGLE_QUOTES = "'‘’"
WITHOUT_SINGLE_QUOTES = st.lists(
    st.sampled_from([piece for piece in PIECES if not set(piece) & set(SINGLE_QUOTES)])
    | st.characters(exclude_characters=SINGLE_QUOTES),
    max_size=25,
).map("".join)


@given(text=WITHOUT_SINGLE_QUOTES, data=st.data())
def test_quotes_look_ahead_only_at_single_quotes(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    family = FAMILIES["quotes"].fit([text])
    whole, beginning = (values_of(annotate_fitted(part, family)) for part in (text, text[:cut]))
    for key, values in whole.items():
        assert beginning[key] == values[:cut], key


def annotate_fitted(text: str, family: Family) -> list[Feature]:
    """Return the features of a text by a family that was already fitted to texts."""
    return annotate([text], [Family(family.name, family.title, family.annotate)])


@pytest.mark.parametrize("name", EVERY)
def test_annotate_reads_each_text_from_its_start(name: str) -> None:
    @settings(FEWER)
    @given(texts=st.lists(TEXTS, max_size=3) | st.lists(SMALL_ALPHABET, max_size=3))
    def check(texts: list[str]) -> None:
        together = values_of(annotate(texts, [EVERY[name]]))
        family = EVERY[name].fit(texts)
        alone = [values_of(annotate_fitted(text, family)) for text in texts]
        for key, values in together.items():
            absent = [False if isinstance(values[0], bool) else None] if values else []
            assert values == [
                v for text, part in zip(texts, alone, strict=True) for v in part.get(key, absent * len(text))
            ]

    check()


def test_catalogue_has_every_family_by_its_name() -> None:
    """Every module with a FAMILY that reads a text is in the catalogue."""
    modules = [import_module(f"gatescope.features.{file.name}") for file in iter_modules(gatescope.features.__path__)]
    families = [module.FAMILY for module in modules if hasattr(module, "FAMILY")]
    assert {family.name for family in families if family.of_trace is None} == set(FAMILIES)
    assert all(name == family.name for name, family in FAMILIES.items())
    features = annotate(['The text (of "many").\n'], FAMILIES.values())
    assert len({feature.name for feature in features}) == len(features)
