"""Features of one's own: expressions, functions, the quantities of a task; and what is refused."""

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


def test_an_expression_is_two_features() -> None:
    found = named("f(ab) g()\nh(c", pattern("call", r"\w\([^()]*\)"))
    assert picture(found["call"]) == "#####.###...."
    assert picture(found["call_since"]) == "01234.012...."
    assert found["call"].title == r"in a match of \w\([^()]*\) (looks ahead)"


def test_the_group_inside_restricts_it() -> None:
    found = named("f(ab) g() h", pattern("call", r"\w\((?P<inside>[^()]*)\)|h", "a call"))
    assert picture(found["call"]) == "..##......."  # empty in g(), and not taking part in h
    assert picture(found["call_since"]) == "..01......."
    assert found["call"].title == "in a call (looks ahead)"


def test_matches_side_by_side_begin_anew_and_lines_have_ends() -> None:
    found = named("ab\nab", pattern("line", "^.|.$"))
    assert picture(found["line_since"]) == "00.00"
    assert picture(named("aaa", pattern("none", "x*"))["none"]) == "..."


@pytest.mark.parametrize(
    ("regex", "message"),
    [
        (r"a(b", r"'a\(b' is no regular expression: missing \), unterminated subpattern, at character 1: '\(b'"),
        (r"ab*\q", "bad escape .*, at character 3"),
        ("[z-a]", "bad character range z-a, at character 1"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_place(regex: str, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        pattern("wrong", regex)


@pytest.mark.parametrize("name", ["", "A", "a b", "a.b", "1a", "é", "a\n"])
def test_names_that_do_not_fit_an_address_are_refused(name: str) -> None:
    with pytest.raises(FeatureError, match="cannot name a feature"):
        pattern(name, "a")
    with pytest.raises(FeatureError, match="cannot name a feature"):
        feature(name=name, title="")


def test_a_function_is_a_feature() -> None:
    @feature(name="doubled", title="twice the same")
    def doubled(text: str) -> list[bool]:
        return [a == b for a, b in zip(" " + text, text, strict=False)]

    assert isinstance(doubled, Family)
    (found,) = annotate(["aab", "", "bb"], [doubled])
    assert (found.name, found.title, found.kind) == ("own.doubled", "twice the same", "binary")
    assert picture(found) == ".#..#"


def test_numbers_are_counts_and_strings_are_categories() -> None:
    count = feature(name="n", title="n")(lambda text: np.arange(len(text), dtype=np.uint8))
    kind = feature(name="k", title="k")(lambda text: ["", "x", "a"][: len(text)])
    objects = feature(name="o", title="o")(lambda text: np.array(["b"] * len(text), dtype=object))
    found = annotate(["abc"], [count, kind, objects])
    assert [f.kind for f in found] == ["count", "category", "category"]
    assert [picture(f) for f in found] == ["012", ".xa", "bbb"]
    assert found[1].categories == ("a", "x")
    assert annotate(["a"], [kind]) == [], "of no category anywhere"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2], r"own.w gave values of shape \(2,\) for a text of 3 characters; one for each character"),
        ([[1, 2, 3]], r"shape \(1, 3\)"),
        (None, r"shape \(\)"),
        ([1j, 1, 1], "own.w gave complex128 values; truth values, numbers or strings were expected"),
        ([None, 1, 1], "own.w gave object values"),
        ([1.0, np.inf, 2.0], "own.w is infinite at character 1; use NaN for none"),
    ],
)
def test_values_that_do_not_fit_are_refused(values: object, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        annotate(["abc"], [feature(name="w", title="")(lambda text: values)])


def test_the_quantities_of_a_task_are_features() -> None:
    task = TASKS["counter"]()
    found = {f.name: f for f in annotate(["aaXb", "aXb"], [from_quantities(task.quantities, task.quantity_titles)])}
    assert picture(found["task.owed"]) == "1221110"
    assert found["task.owed"].title == "b's still to be written, after this symbol"
    assert picture(found["task.reading"]) == "##..#.."


# --- features and annotate -------------------------------------------------------------------------------------------


def test_a_category_apart_is_one_binary_feature_each() -> None:
    category = Feature("f.c", "c", np.array([0, -1, 1], np.int16), ("x", "y"))
    assert [(b.name, picture(b)) for b in category.binaries()] == [("f.c=x", "#.."), ("f.c=y", "..#")]
    binary = Feature("f.b", "b", np.array([True]))
    assert binary.binaries() == [binary]


def test_categories_of_several_texts_are_numbered_anew() -> None:
    def of(text: str) -> list[Feature]:
        names = tuple(sorted(set(text)))
        return [Feature("f.c", "c", np.array([names.index(c) for c in text], np.int16), names)] if text else []

    (found,) = annotate(["ba", "", "cb"], [Family("f", "f", of)])
    assert picture(found) == "bacb"


@pytest.mark.parametrize(
    ("values", "categories", "message"),
    [
        (np.zeros((2, 2)), (), r"values of shape \(2, 2\)"),
        (np.array(["a"]), (), "of shape .* and type <U1"),
        (np.zeros(2, np.int16), (), "needs names for its categories"),
        (np.zeros(2), ("a",), "needs names for its categories"),
    ],
)
def test_what_is_no_feature_is_refused(values: np.ndarray, categories: tuple[str, ...], message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        Feature("f.x", "x", values, categories)


def test_annotations_that_do_not_fit_are_refused() -> None:
    short = Family("f", "", lambda text: [Feature("f.x", "", np.zeros(1, np.bool_))])
    twice = Family("f", "", lambda text: [Feature("f.x", "", np.zeros(len(text)))] * 2)
    mixed = Family("f", "", lambda text: [Feature("f.x", "", np.zeros(len(text), np.bool_ if text == "a" else float))])
    with pytest.raises(FeatureError, match=r"the feature f.x has 1 values for a text of 2 characters"):
        annotate(["ab"], [short])
    with pytest.raises(FeatureError, match=r"two features are called f.x"):
        annotate(["ab"], [twice])
    with pytest.raises(FeatureError, match=r"two features are called f.x"):
        annotate(["a"], [short, short])
    with pytest.raises(FeatureError, match="is a binary in one text and a count in another"):
        annotate(["a", "b"], [mixed])
    with pytest.raises(FeatureError, match=r"f.x has values of the type <U1"):
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
def test_what_fits_a_text_is_chosen(text: str, names: list[str]) -> None:
    assert [family.name for family in choose(text)] == ["character", "neighbours", "position", *names]
    assert choose(text, "python")[-1].name == "tokens"
    annotate([text], choose(text, "python"))


def test_angle_brackets_are_chosen_for_tags() -> None:
    text = "<p>some bold text, which is not much</p>"
    names = {f.name for f in annotate([text], choose(text))}
    assert "brackets.angle" in names
    assert "brackets.angle" not in {f.name for f in annotate([text], FAMILIES.values())}
    program = "if (number < limit) return; // <b>never</b>, number > limit"
    assert "brackets.angle" not in {f.name for f in annotate([program], choose(program))}
