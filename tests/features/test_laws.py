"""Laws of every family: it fits any text, says nothing of what is to come, and reads each text from its start."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

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
FEWER = settings(max_examples=20)  # for each of a dozen families, of texts that hold much at once
FEW = st.text(alphabet="abX\n", max_size=25)


def values_of(features: list[Feature]) -> dict[str, list[object]]:
    """Name -> a value for each character: categories by their names, None where there is nothing."""
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


def fitted(family: Family, texts: list[str]) -> Family:
    return family if family.fitted is None else family.fitted(texts)


@pytest.mark.parametrize("name", EVERY)
def test_a_family_fits_any_text(name: str) -> None:
    always: list[set[str]] = []

    @settings(FEWER)
    @given(text=TEXTS | FEW)
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
        always.append({feature.name for feature in features if feature.kind != "category"})

    check()
    if name != "counts":
        assert all(names == always[0] for names in always), "which features there are does not depend on the text"


@pytest.mark.parametrize("name", EVERY)
def test_what_is_said_of_a_character_does_not_depend_on_what_comes_unless_the_title_says_so(name: str) -> None:
    @settings(FEWER)
    @given(text=TEXTS | FEW, data=st.data())
    def check(text: str, data: st.DataObject) -> None:
        cut = data.draw(st.integers(0, len(text)))
        family = fitted(EVERY[name], [text])
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
def test_quotes_look_ahead_at_single_quotes_only(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    family = fitted(FAMILIES["quotes"], [text])
    whole, beginning = (values_of(annotate_fitted(part, family)) for part in (text, text[:cut]))
    for key, values in whole.items():
        assert beginning[key] == values[:cut], key


def annotate_fitted(text: str, family: Family) -> list[Feature]:
    """The features of a text by a family that has already been made for some."""
    return annotate([text], [Family(family.name, family.title, family.annotate)])


@pytest.mark.parametrize("name", EVERY)
def test_each_text_is_read_from_its_start(name: str) -> None:
    @settings(FEWER)
    @given(texts=st.lists(TEXTS, max_size=3) | st.lists(FEW, max_size=3))
    def check(texts: list[str]) -> None:
        together = values_of(annotate(texts, [EVERY[name]]))
        family = fitted(EVERY[name], texts)
        alone = [values_of(annotate_fitted(text, family)) for text in texts]
        for key, values in together.items():
            absent = [False if isinstance(values[0], bool) else None] if values else []
            assert values == [
                v for text, part in zip(texts, alone, strict=True) for v in part.get(key, absent * len(text))
            ]

    check()


def test_the_families_have_the_names_they_are_known_by() -> None:
    assert list(FAMILIES) == [
        *("character", "neighbours", "position", "counts", "brackets", "indentation", "quotes", "web", "english"),
    ]
    assert all(name == family.name for name, family in FAMILIES.items())
    features = annotate(['The text (of "many").\n'], FAMILIES.values())
    assert len({feature.name for feature in features}) == len(features)
