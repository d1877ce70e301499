"""Patterns and their matches: on planted values, and against plain loops."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gatescope import Trace
from gatescope.studies import StudyError
from gatescope.studies.patterns import matches, near_misses, neurons_on, rounded_down
from tests.drawing import lists_with
from tests.studies.planted import column, pieces_of, planted, stored

TEXTS = ["xx(ab)yy(cd)zz", "(ef)g(hij)"]


def _brackets() -> Trace:
    """Make a trace: neuron 0 is on inside brackets, 1 one step longer, 2 never, 3 always; 4 is negative inside."""
    rows = []
    for text in TEXTS:
        inside = np.zeros(len(text))
        depth = 0
        for k, character in enumerate(text):
            depth += (character == "(") - (character == ")")
            inside[k] = depth
        longer = np.maximum(inside, np.concatenate([[0], inside[:-1]]))
        rows.append(np.stack([inside * 0.8, longer * 0.6, inside * 0, inside * 0 + 1, -0.7 * inside], axis=1))
    return planted({"h": rows}, texts=TEXTS)


def test_neurons_on_finds_a_planted_pattern() -> None:
    trace = _brackets()
    neuron_table = neurons_on(trace, "layer0", 0, 2, 4, 0.5)  # "(ab"
    assert neuron_table["neuron"].tolist() == [0]
    assert neuron_table.about["text"] == "(ab"
    assert next(iter(neuron_table)) == {
        "neuron": 0,
        "sign": 1,
        "bound": 0.5,
        "mean": pytest.approx(0.8),
        "share": 13 / 24,
    }
    assert set(neurons_on(trace, "layer0", 0, 2, 4, 0.5, after=False)["neuron"]) == {0, 1}
    assert set(neurons_on(trace, "layer0", 0, 2, 4, 0.5, after=False, before=False)["neuron"]) == {0, 1, 3}
    assert neurons_on(trace, "layer0", 0, 2, 4, 0.7)["neuron"].tolist() == [0]
    assert len(neurons_on(trace, "layer0", 0, 2, 4, 0.9)) == 0
    negative = neurons_on(trace, "layer0", 0, 2, 4, 0.5, sign="negative")
    assert (negative["neuron"].tolist(), negative["bound"].tolist()) == ([4], [-0.5])
    both = neurons_on(trace, "layer0", 0, 2, 4, 0.5, sign="both")
    assert sorted(zip(both["neuron"], both["sign"], both["bound"], strict=True)) == [(0, 1, 0.5), (4, -1, -0.5)]
    # The range begins with the sequence, so no step before it could be on.
    assert set(neurons_on(trace, "layer0", 1, 0, 2, 0.5)["neuron"]) == {0}


def test_planted_matches_are_ranked() -> None:
    trace = _brackets()
    match_table = matches(trace, neurons_on(trace, "layer0", 0, 2, 4, 0.5, sign="both"), context=2)
    shown = [(row["sequence"], row["first"], row["last"], row["exact"], row["on"]) for row in match_table]
    assert shown == [(0, 8, 10, 2, 2), (1, 0, 2, 2, 2), (1, 5, 8, 2, 2)]  # the match of the same length comes first
    assert [row["before"] + "|" + row["at"] + "|" + row["after"] for row in match_table] == [
        "yy|(cd|)z",
        "|(ef|)g",
        ")g|(hij|)",
    ]
    assert (match_table.about["neurons"], match_table.about["needed"], match_table.about["runs"]) == (2, 2, 4)
    assert json.loads(json.dumps(match_table.to_json())) == match_table.to_json()
    assert len(matches(trace, neurons_on(trace, "layer0", 0, 2, 4, 0.5), count=1)) == 1


def test_matches_of_selected_neurons() -> None:
    trace = _brackets()
    neuron_table = neurons_on(trace, "layer0", 0, 2, 4, 0.5, after=False)
    match_table = matches(trace, neuron_table.where(neuron=1))
    assert [(row["sequence"], row["first"], row["last"], row["exact"]) for row in match_table] == [
        (0, 8, 11, 1),
        (1, 0, 3, 1),
        (1, 5, 9, 1),
    ]


def test_matches_do_not_overlap() -> None:
    a = [1, 1, 0, 0, 0, 1, 1, 0, 0]
    b = [1, 1, 0, 0, 1, 1, 1, 1, 0]
    trace = planted({"h": [np.array([a, b], float).T]})
    match_table = matches(trace, neurons_on(trace, "layer0", 0, 0, 1, 0.5), share=0.5)
    # 4 to 7 would match neuron 1 exactly, and 5 to 6 neuron 0. They overlap; 5 to 6 has the length of the pattern.
    assert [(row["first"], row["last"], row["exact"], row["on"]) for row in match_table] == [(5, 6, 1, 2)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sequence": 2}, "Sequence of the trace: expected a number from 0 to 1"),
        ({"sequence": -1}, "Sequence of the trace: expected a number from 0 to 1"),
        ({"first": 3, "last": 2}, "got 3 to 2"),
        ({"last": 14}, "steps from 0 to 13"),
        ({"first": -1}, "got -1"),
        ({"threshold": 1.5, "of": "quantile"}, "quantile from 0 to 1, got 1.5"),
        ({"threshold": 0.0, "sign": "both"}, "both signs at once"),
        ({"threshold": 0.5, "sign": "both", "of": "quantile"}, "both signs at once"),
        ({"signal": "q"}, "got 'q'"),
    ],
)
def test_neurons_on_refuses_invalid_arguments(changes: dict[str, Any], message: str) -> None:
    arguments = {"layer": "layer0", "sequence": 0, "first": 2, "last": 4, "threshold": 0.5, **changes}
    with pytest.raises(StudyError, match=message):
        neurons_on(_brackets(), **arguments)


def test_matches_refuse_invalid_arguments() -> None:
    trace = _brackets()
    with pytest.raises(StudyError, match="no neuron is on exactly"):
        matches(trace, neurons_on(trace, "layer0", 0, 2, 4, 0.95))
    neuron_table = neurons_on(trace, "layer0", 0, 2, 4, 0.5)
    for share in (0.0, 1.1):
        with pytest.raises(StudyError, match="Share of neurons: expected"):
            matches(trace, neuron_table, share=share)
    for wrong in ({"count": 0}, {"context": -1}):
        with pytest.raises(StudyError, match=r"Number of (places|steps around a place): expected at least"):
            matches(trace, neuron_table, **wrong)


# --- against plain loops ----------------------------------------------------------------------------------------------

Problem = tuple[list[np.ndarray], int, int, int, dict[str, Any]]

# (of, whether both signs are chosen) -> the bound that a threshold must exceed
MIN_THRESHOLDS = {("value", False): -1, ("value", True): 0, ("quantile", False): 0, ("quantile", True): 0.5}
choices = st.fixed_dictionaries(
    {
        "of": st.sampled_from(["value", "quantile"]),
        "sign": st.sampled_from(["positive", "negative", "both"]),
        "before": st.booleans(),
        "after": st.booleans(),
    }
)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Draw values of few neurons with many ties, a range, and options."""
    neurons = draw(st.integers(1, 4))
    lengths = draw(lists_with(st.integers(1, 10), st.integers(0, 10), max_size=3))
    numbers = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0, float("nan")])
    rows = [draw(arrays(np.float64, (length, neurons), elements=numbers)) for length in lengths]
    sequence = draw(st.sampled_from([k for k, length in enumerate(lengths) if length]))
    first = draw(st.integers(0, lengths[sequence] - 1))
    last = draw(st.integers(first, lengths[sequence] - 1))
    options: dict[str, Any] = dict(draw(choices))
    thresholds = [k for k in (-0.5, 0.25, 0.5, 0.75) if k > MIN_THRESHOLDS[options["of"], options["sign"] == "both"]]
    options["threshold"] = draw(st.sampled_from(thresholds))
    if draw(st.booleans()):  # a neuron that stands out within the range
        sign = -1 if options["sign"] == "negative" else 1
        rows[sequence][:, 0] = -sign
        rows[sequence][first : last + 1, 0] = sign
    return rows, sequence, first, last, options


def _is_on(rows: list[np.ndarray], neuron: int, sign: int, options: dict[str, Any]) -> list[list[bool]]:
    """Mark the steps of each sequence at which a neuron is on."""
    if options["of"] == "quantile":
        known = [row[neuron] for part in rows for row in part if not np.isnan(row[neuron])]
        share = options["threshold"] if sign == 1 else 1 - options["threshold"]
        bound = np.quantile(known, share) if known else np.nan
    else:
        bound = sign * options["threshold"]
    return [[bool(sign * row[neuron] >= sign * bound) for row in part] for part in rows]


def _chosen(problem: Problem) -> list[tuple[int, int]]:
    rows, sequence, first, last, options = problem
    chosen = []
    for neuron in range(rows[0].shape[1]):
        for sign in {"positive": [1], "negative": [-1], "both": [1, -1]}[options["sign"]]:
            on = _is_on(rows, neuron, sign, options)[sequence]
            ok = all(on[first : last + 1])
            if options["before"] and first > 0:
                ok = ok and not on[first - 1]
            if options["after"] and last + 1 < len(on):
                ok = ok and not on[last + 1]
            if ok:
                chosen.append((neuron, sign))
    return chosen


@settings(max_examples=100)
@given(problem=problems())
def test_neurons_on_equals_a_plain_loop(problem: Problem) -> None:
    rows, sequence, first, last, options = problem
    neuron_table = neurons_on(planted({"h": rows}), "layer0", sequence, first, last, **options)
    assert sorted(zip(neuron_table["neuron"], neuron_table["sign"], strict=True)) == sorted(_chosen(problem))
    for row in neuron_table:
        on = [value for part in _is_on(rows, row["neuron"], row["sign"], options) for value in part]
        assert row["share"] == pytest.approx(sum(on) / len(on), abs=1e-15)
        assert row["mean"] == pytest.approx(np.mean(rows[sequence][first : last + 1, row["neuron"]]), abs=1e-15)
    assert all(a["share"] <= b["share"] for a, b in pairwise(neuron_table))


def _failures(problem: Problem, threshold: float) -> dict[tuple[int, int], list[bool]]:
    """Return whether each neuron, with each sign, is on at the steps of the range, just before and just after."""
    rows, sequence, first, last, options = problem
    result = {}
    for neuron in range(rows[0].shape[1]):
        for sign in {"positive": [1], "negative": [-1], "both": [1, -1]}[options["sign"]]:
            on = _is_on(rows, neuron, sign, {**options, "of": "value", "threshold": threshold})[sequence]
            before = bool(options["before"] and first > 0 and on[first - 1])
            after = bool(options["after"] and last + 1 < len(on) and on[last + 1])
            result[neuron, sign] = [*on[first : last + 1], before, after]
    return result


@settings(max_examples=100)
@given(problem=problems(), size=st.sampled_from([1, 20, 1 << 22]))
def test_chosen_threshold_is_the_largest_with_a_neuron(problem: Problem, size: int) -> None:
    rows, sequence, first, last, options = problem
    trace = planted({"h": rows})
    choices = {name: options[name] for name in ("sign", "before", "after")}
    with pieces_of(size):
        found = neurons_on(trace, "layer0", sequence, first, last, **choices)
        misses = near_misses(trace, found, count=9)

    def fewest(threshold: float) -> float:
        on = [flags for flags in _failures(problem, threshold).values() if any(flags[:-2])]
        return min((flags[:-2].count(False) + sum(flags[-2:]) for flags in on), default=np.inf)

    inside = rows[sequence][first : last + 1]
    values = {float(value) for value in [*inside.ravel(), *-inside.ravel()] if not np.isnan(value)}
    values = {value for value in values if value > 0 or options["sign"] != "both"}
    best = min(map(fewest, values), default=np.inf)
    threshold = found.about["threshold"]
    assert found.about["chosen"]
    if np.isfinite(best):
        assert threshold == max(value for value in values if fewest(value) == best)  # halves have few digits
    assert (len(found) > 0) == (best == 0)
    on = _failures(problem, threshold)
    assert {(row["neuron"], row["sign"]) for row in found} == {
        key for key, flags in on.items() if all(flags[:-2]) and not any(flags[-2:])
    }
    for row in misses:
        *steps, before, after = on[row["neuron"], row["sign"]]
        assert (row["on"], row["before"], row["after"]) == (sum(steps), before, after)
        assert row["failures"] == steps.count(False) + before + after > 0
    assert [row["failures"] for row in misses] == sorted(row["failures"] for row in misses)
    expected = {key[0] for key, flags in on.items() if any(flags[:-2]) and (not all(flags[:-2]) or any(flags[-2:]))}
    assert sorted(misses["neuron"]) == sorted(expected)
    around = rows[sequence][max(0, first - bool(options["before"])) : last + 1 + bool(options["after"])]
    columns = [[value for value in column if not np.isnan(value)] for column in around.T]
    assert found.about["constant"] == sum(len(set(column)) <= 1 for column in columns)


def test_rounded_down_keeps_what_a_value_separates() -> None:
    assert rounded_down(9.8399, 5.0) == 9.83
    assert rounded_down(-9.8399, -20.0) == -9.84
    assert rounded_down(1.0, 0.0) == 1.0
    assert rounded_down(0.123456, 0.12344) == 0.12345
    assert rounded_down(1e-30, 0.0) == 1e-30
    assert rounded_down(1.0, np.nextafter(1.0, 0.0)) == 1.0


def test_constant_neurons_have_no_threshold() -> None:
    trace = planted({"h": [np.ones((6, 3)) * [1.0, 0.0, 2.0]]})
    found = neurons_on(trace, "layer0", 0, 2, 3)
    assert (len(found), found.about["constant"]) == (0, 3)
    assert [(row["neuron"], row["on"], row["before"], row["after"]) for row in near_misses(trace, found)] == [
        (2, 2, 1, 1)
    ]
    with pytest.raises(StudyError, match="expected at least"):
        near_misses(trace, found, count=0)
    with pytest.raises(StudyError, match="expected a quantile from 0 to 1, got None"):
        neurons_on(trace, "layer0", 0, 2, 3, of="quantile")


@settings(max_examples=100)
@given(problem=problems(), share=st.sampled_from([0.25, 0.5, 0.75, 1.0]), size=st.sampled_from([1, 20, 1 << 22]))
def test_matches_equal_a_plain_loop(problem: Problem, share: float, size: int) -> None:
    rows, sequence, first, last, options = problem
    chosen = _chosen(problem)
    trace = planted({"h": rows})
    followed = neurons_on(trace, "layer0", sequence, first, last, **options)
    if not chosen:
        with pytest.raises(StudyError, match="no neuron is on exactly"):
            matches(trace, followed, share=share)
        return
    with pieces_of(size):
        match_table = matches(trace, followed, share=share)
    on = [_is_on(rows, neuron, sign, options) for neuron, sign in chosen]
    needed = -(-int(100 * share) * len(chosen) // 100)
    candidates = []
    for number, part in enumerate(rows):
        text = trace.text(number)
        if number != sequence and text in [trace.text(k) for k in (sequence, *range(number))]:
            continue  # a repeated text counts once
        together = [sum(plane[number][step] for plane in on) for step in range(len(part))]
        for begin in range(len(part)):
            for end in range(begin, len(part)):
                least = min(together[begin : end + 1])
                around = [together[k] for k in (begin - 1, end + 1) if 0 <= k < len(part)]
                if least >= needed and all(value < least for value in around):  # a longest run
                    candidates.append((number, begin, end))

    def rank(candidate: tuple[int, int, int]) -> tuple[int, ...]:
        number, begin, end = candidate
        throughout = exact = 0
        for plane in on:
            row = plane[number]
            through = all(row[begin : end + 1])
            before = begin == 0 or not row[begin - 1] or not options["before"]
            after = end + 1 == len(row) or not row[end + 1] or not options["after"]
            throughout += through
            exact += through and before and after
        return (-exact, abs(end - begin - (last - first)), -throughout, number, begin)

    taken = [(sequence, first, last)]
    expected = []
    for number, begin, end in sorted(candidates, key=rank):
        if all(other != number or end < low or begin > high for other, low, high in taken):
            taken.append((number, begin, end))
            ranked = rank((number, begin, end))
            expected.append((number, begin, end, -ranked[0], -ranked[2]))
    shown = [(row["sequence"], row["first"], row["last"], row["exact"], row["on"]) for row in match_table]
    assert shown == expected
    assert all(row["length"] == row["last"] - row["first"] + 1 for row in match_table)


def test_patterns_on_disk_equal_memory(tmp_path: object) -> None:
    random = np.random.default_rng(3)
    rows = [np.round(random.standard_normal((length, 9)), 1) for length in (120, 0, 40, 7)]
    trace = planted({"h": rows})
    lazy = stored(trace, f"{tmp_path}/trace")
    settings_of_neurons = [{"of": "value", "threshold": 0.2}, {"of": "quantile", "threshold": 0.6, "sign": "both"}]
    for options in settings_of_neurons:
        expected = neurons_on(trace, "layer0", 0, 50, 50, before=False, **options)
        assert len(expected) > 1
        best = matches(trace, expected, share=0.5)
        assert len(best) > 5
        for source in (trace, lazy):
            for size in (1, 100, 700):
                with pieces_of(size):
                    neuron_table = neurons_on(source, "layer0", 0, 50, 50, before=False, **options)
                    assert neuron_table.to_json() == expected.to_json()
                    assert matches(source, neuron_table, share=0.5).to_json() == best.to_json()


def test_matches_of_a_single_place_are_empty() -> None:
    trace = planted({"h": [column(0, 1, 0)]})
    assert len(matches(trace, neurons_on(trace, "layer0", 0, 1, 1, 0.5))) == 0
    alone = planted({"h": [column(1)]})
    assert len(matches(alone, neurons_on(alone, "layer0", 0, 0, 0, 0.5))) == 0
