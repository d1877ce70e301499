"""Tests of features from expressions, functions and tasks, and of their errors."""

import numpy as np
import pytest

from gatescope.features import (
    FAMILIES,
    Family,
    Feature,
    FeatureError,
    annotate,
    choose,
    feature,
    from_quantities,
    of_arrays,
    pattern,
)
from gatescope.tasks import TASKS
from tests.features.pictures import named, picture


def test_pattern_gives_two_features() -> None:
    features = named("f(ab) g()\nh(c", pattern("call", r"\w\([^()]*\)"))
    assert picture(features["call"]) == "#####.###...."
    assert picture(features["call_since"]) == "01234.012...."
    assert features["call"].title == r"in a match of \w\([^()]*\) (looks ahead)"


def test_pattern_group_inside_restricts_the_match() -> None:
    features = named("f(ab) g() h", pattern("call", r"\w\((?P<inside>[^()]*)\)|h", "a call"))
    assert picture(features["call"]) == "..##......."  # the group is empty in g() and unmatched in h
    assert picture(features["call_since"]) == "..01......."
    assert features["call"].title == "in a call (looks ahead)"


def test_pattern_restarts_at_adjacent_matches() -> None:
    features = named("ab\nab", pattern("line", "^.|.$"))
    assert picture(features["line_since"]) == "00.00"
    assert picture(named("aaa", pattern("none", "x*"))["none"]) == "..."


@pytest.mark.parametrize(
    ("regex", "message"),
    [
        (r"a(b", r"Pattern 'a\(b': .* missing \), unterminated subpattern at character 1: '\(b'"),
        (r"ab*\q", "bad escape .* at character 3"),
        ("[z-a]", "bad character range z-a at character 1"),
    ],
)
def test_pattern_invalid_is_refused_with_the_place(regex: str, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        pattern("wrong", regex)


@pytest.mark.parametrize("name", ["", "A", "a b", "a.b", "1a", "é", "a\n"])
def test_feature_name_unsafe_in_addresses_is_refused(name: str) -> None:
    with pytest.raises(FeatureError, match="Name of a feature: expected a lower case letter"):
        pattern(name, "a")
    with pytest.raises(FeatureError, match="Name of a feature: expected a lower case letter"):
        feature(name=name, title="")


def test_feature_from_a_function() -> None:
    @feature(name="doubled", title="twice the same")
    def doubled(text: str) -> list[bool]:
        return [a == b for a, b in zip(" " + text, text, strict=False)]

    assert isinstance(doubled, Family)
    (only,) = annotate(["aab", "", "bb"], [doubled])
    assert (only.name, only.title, only.kind) == ("own.doubled", "twice the same", "binary")
    assert picture(only) == ".#..#"


def test_feature_from_numbers_and_strings() -> None:
    count = feature(name="n", title="n")(lambda text: np.arange(len(text), dtype=np.uint8))
    kind = feature(name="k", title="k")(lambda text: ["", "x", "a"][: len(text)])
    objects = feature(name="o", title="o")(lambda text: np.array(["b"] * len(text), dtype=object))
    features = annotate(["abc"], [count, kind, objects])
    assert [f.kind for f in features] == ["count", "category", "category"]
    assert [picture(f) for f in features] == ["012", ".xa", "bbb"]
    assert features[1].categories == ("a", "x")
    assert annotate(["a"], [kind]) == [], "a feature without categories is left out"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2], r"Feature own.w: expected one value for each of 3 characters, got .* shape \(2,\)"),
        ([[1, 2, 3]], r"shape \(1, 3\)"),
        (None, r"shape \(\)"),
        ([1j, 1, 1], "Feature own.w: expected truth values, numbers or strings, got values of type complex128"),
        ([None, 1, 1], "got values of type object"),
        ([1.0, np.inf, 2.0], "Feature own.w: .* infinite one at character 1. Use NaN"),
    ],
)
def test_feature_values_that_do_not_fit_are_refused(values: object, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        annotate(["abc"], [feature(name="w", title="")(lambda text: values)])


def test_from_quantities_makes_features_of_a_task() -> None:
    task = TASKS["counter"]()
    features = {f.name: f for f in annotate(["aaXb", "aXb"], [from_quantities(task.quantities, task.quantity_titles)])}
    assert picture(features["task.owed"]) == "1221110"
    assert features["task.owed"].title == "b's still to be written, after this symbol"
    assert picture(features["task.reading"]) == "##..#.."


# --- features and annotate -------------------------------------------------------------------------------------------


def test_binaries_splits_a_category() -> None:
    category = Feature("f.c", "c", np.array([0, -1, 1], np.int16), ("x", "y"))
    assert [(b.name, picture(b)) for b in category.binaries()] == [("f.c=x", "#.."), ("f.c=y", "..#")]
    binary = Feature("f.b", "b", np.array([True]))
    assert binary.binaries() == [binary]


def test_annotate_renumbers_categories_of_several_texts() -> None:
    def annotation(text: str) -> list[Feature]:
        names = tuple(sorted(set(text)))
        return [Feature("f.c", "c", np.array([names.index(c) for c in text], np.int16), names)] if text else []

    (only,) = annotate(["ba", "", "cb"], [Family("f", "f", annotation)])
    assert picture(only) == "bacb"


@pytest.mark.parametrize(
    ("values", "categories", "message"),
    [
        (np.zeros((2, 2)), (), r"got an array of shape \(2, 2\)"),
        (np.array(["a"]), (), "of shape .* and type <U1"),
        (np.zeros(2, np.int16), (), "expected names of categories if and only if"),
        (np.zeros(2), ("a",), "expected names of categories if and only if"),
    ],
)
def test_feature_with_invalid_values_is_refused(values: np.ndarray, categories: tuple[str, ...], message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        Feature("f.x", "x", values, categories)


def test_annotate_refuses_features_that_do_not_fit() -> None:
    short = Family("f", "", lambda text: [Feature("f.x", "", np.zeros(1, np.bool_))])
    twice = Family("f", "", lambda text: [Feature("f.x", "", np.zeros(len(text)))] * 2)
    mixed = Family("f", "", lambda text: [Feature("f.x", "", np.zeros(len(text), np.bool_ if text == "a" else float))])
    with pytest.raises(
        FeatureError, match=r"Feature f.x: expected 2 values, one for each character of the text, got 1"
    ):
        annotate(["ab"], [short])
    with pytest.raises(FeatureError, match=r"Feature f.x: expected a name that no other feature has"):
        annotate(["ab"], [twice])
    with pytest.raises(FeatureError, match=r"Feature f.x: expected a name that no other feature has"):
        annotate(["a"], [short, short])
    with pytest.raises(FeatureError, match="same kind in every text, got binary, count"):
        annotate(["a", "b"], [mixed])
    with pytest.raises(FeatureError, match=r"Feature f.x: .* got values of type <U1"):
        of_arrays("f", {"x": np.array(["a"])}, {})


# --- choose ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("aaXbb\nabX\n", ["counts"]),
        ("The old man, it is said, was in the house of his mother and did not care.", ["web", "english"]),
        ("def longer(x):\n    return (x, 'text')\n", ["brackets", "indentation", "quotes"]),
        ("黛玉道：“只刚念了《四书》。”\n黛玉又问姊妹们读何书", ["quotes"]),
        ("price 12 dollars @shop", ["web"]),
        ("word other lengths much prose", []),
    ],
)
def test_choose_picks_the_families_that_fit(text: str, names: list[str]) -> None:
    assert [family.name for family in choose(text)] == ["character", "neighbours", "position", *names]
    assert choose(text, "python")[-1].name == "tokens"
    annotate([text], choose(text, "python"))


def test_choose_takes_angle_brackets_of_tags() -> None:
    text = "<p>some bold text, which is not much</p>"
    names = {f.name for f in annotate([text], choose(text))}
    assert "brackets.angle" in names
    assert "brackets.angle" not in {f.name for f in annotate([text], FAMILIES.values())}
    program = "if (number < limit) return; // <b>never</b>, number > limit"
    assert "brackets.angle" not in {f.name for f in annotate([program], choose(program))}
