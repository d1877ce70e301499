"""Passages, distributions and summaries of planted values against plain loops, exact arithmetic and scipy."""

import json
import statistics
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope import Trace, Vocabulary
from gatescope.studies import StudyError, Table
from gatescope.studies.passages import distribution, passages, summary
from gatescope.trace import TraceError
from tests.studies.planted import column, pieces_of, places, planted, stored

# Few different values, so that many are equal, with NaN and both infinities.
values = st.sampled_from([0.0, 0.25, 0.5, 1.0, -1.0, float("nan"), float("inf"), float("-inf")]) | st.floats(-2, 2)
texts_of_values = st.lists(st.lists(values, max_size=12), min_size=1, max_size=4)


def _loop(trace: Trace, count: int, apart: int, least: bool) -> list[tuple[int, int]]:
    """Return the peaks in their order, by a plain loop."""
    left = []
    for sequence, length in enumerate(trace.lengths):
        if trace.text(sequence) in [trace.text(earlier) for earlier in range(sequence)]:
            continue  # a repeated text counts once
        for step in range(length):
            value = trace["layer0"]["h"][sequence, step, 0] * (-1 if least else 1)
            if not np.isnan(value) and value != -np.inf:
                left.append((-value, sequence, step))
    peaks: list[tuple[int, int]] = []
    for _, sequence, step in sorted(left):
        if all(other != sequence or abs(at - step) >= apart for other, at in peaks):
            peaks.append((sequence, step))
    return peaks[:count]


@settings(max_examples=100)
@given(rows=texts_of_values, count=st.integers(1, 6), apart=st.integers(1, 5), least=st.booleans())
def test_peaks_equal_a_plain_loop(rows: list[list[float]], count: int, apart: int, least: bool) -> None:
    trace = planted({"h": [column(*row) for row in rows]})
    peaks = passages(trace, "layer0", "h", 0, count=count, context=1, apart=apart, least=least)
    assert list(zip(peaks["sequence"], peaks["step"], strict=True)) == _loop(trace, count, apart, least)


def test_planted_peaks_are_found_with_their_text() -> None:
    h = np.zeros((2, 12, 3))
    h[0, 3, 1], h[0, 4, 1], h[1, 11, 1], h[1, 6, 1] = 0.9, 0.8, 0.95, -0.5
    trace = planted({"h": list(h)}, texts=["abcdefghijkl", "mnopqrstuvwx"])
    peaks = passages(trace, "layer0", "h", 1, count=2, context=3, apart=2)
    assert [row["at"] for row in peaks] == ["x", "d"]
    assert next(iter(peaks)) == {
        "sequence": 1,
        "step": 11,
        "value": 0.95,
        "before": "uvw",
        "at": "x",
        "after": "",
        "first": 8,
        "values": [0.0, 0.0, 0.0, 0.95],
        "labels": ["u", "v", "w", "x"],
    }
    assert list(peaks)[1]["values"] == [0.0, 0.0, 0.0, 0.9, 0.8, 0.0, 0.0]
    assert list(peaks)[1]["first"] == 0
    lowest = passages(trace, "layer0", "h", 1, count=1, context=2, least=True)
    assert (lowest["sequence"][0], lowest["step"][0], lowest["value"][0]) == (1, 6, -0.5)
    assert lowest["before"][0] + lowest["at"][0] + lowest["after"][0] == "qrstu"
    assert json.loads(json.dumps(peaks.to_json()))["columns"]["values"][1] == [0.0, 0.0, 0.0, 0.9, 0.8, 0.0, 0.0]


def test_peaks_are_context_apart_by_default() -> None:
    trace = planted({"h": [column(5, 4, 3, 2, 1, 0)]})
    assert passages(trace, "layer0", "h", 0, context=3)["step"].tolist() == [0, 3]
    assert passages(trace, "layer0", "h", 0, context=0)["step"].tolist() == [0, 1, 2, 3, 4, 5]
    assert passages(trace, "layer0", "h", 0, context=3, apart=1)["step"].tolist() == [0, 1, 2, 3, 4, 5]


def test_passages_of_bytes_have_one_label_per_step() -> None:
    trace = planted({"h": [column(0, 0, 1, 0)]}, texts=["a中"], vocabulary=Vocabulary.of_bytes())
    passage = next(iter(passages(trace, "layer0", "h", 0, count=1, context=1)))
    assert (passage["before"], passage["at"], passage["after"]) == ("", "中", "")
    assert (passage["labels"], passage["values"]) == (["E4", "B8", "AD"], [0.0, 1.0, 0.0])


def test_passages_of_an_empty_text_are_empty() -> None:
    for rows in ([], [np.zeros((0, 1))]):
        trace = planted({"h": rows})
        table = passages(trace, "layer0", "h", 0)
        assert len(table) == 0
        assert set(table.columns) == set(table.titles)
        assert distribution(trace, "layer0", "h", 0)["count"].sum() == 0
        assert distribution(trace, "layer0", "h", 0).about["mean"] is None
        assert np.isnan(summary(trace, "layer0", "h")["mean"]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "count: expected at least 1, got 0"),
        ({"context": -1}, "context: expected at least 0, got -1"),
        ({"apart": 0}, "apart: expected at least 1, got 0"),
        ({"neuron": 2}, "expected a number from 0 to 1, got 2"),
        ({"neuron": -1}, "expected a number from 0 to 1, got -1"),
        ({"signal": "q"}, "got 'q'"),
    ],
)
def test_passages_refuse_invalid_arguments(changes: dict[str, Any], message: str) -> None:
    trace = planted({"h": [np.zeros((3, 2))]})
    with pytest.raises(StudyError, match=message):
        passages(trace, **{"layer": "layer0", "signal": "h", "neuron": 0, **changes})
    with pytest.raises(TraceError, match="layer7"):
        passages(trace, "layer7", "h", 0)
    with pytest.raises(StudyError, match="bins: expected at least 1, got 0"):
        distribution(trace, "layer0", "h", 0, bins=0)


# --- distributions ---------------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(
    rows=texts_of_values,
    bins=st.integers(1, 20),
    bounds=st.sampled_from([[-1.0, 1.0], [0.0, 1.0], [0.0, None], [None, 0.5], [None, None]]),
)
def test_every_finite_value_is_in_its_bin(rows: list[list[float]], bins: int, bounds: list[float | None]) -> None:
    trace = planted({"h": [column(*row) for row in rows]}, ranges={"h": bounds})
    histogram = distribution(trace, "layer0", "h", 0, bins=bins)
    finite = [value for row in rows for value in row if np.isfinite(value)]
    edges = [*histogram["low"], histogram["high"][-1]]
    assert len(histogram) == bins
    assert all(low < high for low, high in zip(histogram["low"], histogram["high"], strict=True))
    assert histogram["count"].sum() == len(finite)
    assert histogram.about["not_finite"] == sum(map(len, rows)) - len(finite)
    for k in range(1, bins):  # all values below an edge are in the bins before it
        below = sum(value < edges[k] for value in finite)
        assert histogram["count"][:k].sum() == below
    inside = all((bounds[0] or -np.inf) <= value <= (bounds[1] or np.inf) for value in finite)
    if None not in bounds and inside and min([0.0, *finite]) >= (bounds[0] or 0.0):
        assert (edges[0], edges[-1]) == tuple(bounds)


def test_bins_of_a_gate_span_0_to_1() -> None:
    trace = planted({"f": [column(0.0, 0.1, 0.24, 0.25, 0.5, 0.99, 1.0)]})
    histogram = distribution(trace, "layer0", "f", 0, bins=4)
    assert histogram["low"].tolist() == [0.0, 0.25, 0.5, 0.75]
    assert histogram["high"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert histogram["count"].tolist() == [3, 1, 1, 2]
    assert histogram["share"].tolist() == [3 / 7, 1 / 7, 1 / 7, 2 / 7]
    assert histogram.about["quantiles"]["0.5"] == 0.25
    assert (histogram.about["smallest"], histogram.about["largest"], histogram.about["steps"]) == (0.0, 1.0, 7)


def test_bins_include_values_outside_the_range() -> None:
    clamped = distribution(planted({"f": [column(0.5, 3.0)]}), "layer0", "f", 0, bins=3)
    assert (clamped["low"][0], clamped["high"][-1]) == (0.0, 3.0)
    assert clamped["count"].tolist() == [1, 0, 1]
    rounded = distribution(planted({"f": [column(0.5, 1 + 1e-9)]}), "layer0", "f", 0, bins=2)
    assert (rounded["low"][0], rounded["high"][-1]) == (0.0, 1.0)
    assert rounded["count"].tolist() == [0, 2]


@pytest.mark.parametrize("value", [0.0, 1.0, -1e30, 1e-310])
def test_bins_of_a_constant_surround_it(value: float) -> None:
    histogram = distribution(planted({"c": [column(value, value)]}), "layer0", "c", 0, bins=50)
    assert histogram["count"].sum() == 2
    assert histogram["low"][0] <= value <= histogram["high"][-1]
    assert histogram.about["deviation"] == 0.0


@settings(max_examples=50)
@given(rows=texts_of_values)
def test_summary_equals_exact_arithmetic_and_scipy(rows: list[list[float]]) -> None:
    trace = planted({"h": [np.stack([row, np.negative(row)], axis=1) if row else np.zeros((0, 2)) for row in rows]})
    table = list(summary(trace, "layer0", "h"))
    for neuron, row in enumerate(table):
        finite = np.array([value for value in places(trace, "h")[:, neuron] if np.isfinite(value)])
        assert (row["neuron"], row["steps"]) == (neuron, len(finite))
        about = distribution(trace, "layer0", "h", neuron).about
        assert about["steps"] + about["not_finite"] == sum(map(len, rows))
        if not len(finite):
            assert np.isnan(row["mean"])
            continue
        assert row["smallest"] == about["smallest"] == min(finite)
        assert row["largest"] == about["largest"] == max(finite)
        assert row["mean"] == about["mean"] == pytest.approx(statistics.mean(finite.tolist()), abs=1e-12)
        assert row["deviation"] == about["deviation"]
        assert row["deviation"] == pytest.approx(statistics.pstdev(finite.tolist()), abs=1e-12)
        for name, share in (("q01", 0.01), ("q25", 0.25), ("q50", 0.5), ("q95", 0.95)):
            assert row[name] == pytest.approx(scipy.stats.mstats.mquantiles(finite, share, 1, 1)[0], abs=1e-12)


def test_passages_on_disk_equal_memory(tmp_path: object) -> None:
    random = np.random.default_rng(5)
    trace = planted({"h": [random.standard_normal((length, 7)) for length in (40, 0, 13, 90)]})
    lazy = stored(trace, f"{tmp_path}/trace")
    expected = _everything(trace)
    assert len(expected[0]) == 6
    for source in (trace, lazy):
        for size in (1, 100, 1000):
            with pieces_of(size):
                for table, other in zip(_everything(source), expected, strict=True):
                    _assert_equal(table, other)


def _everything(trace: Trace) -> list[Table]:
    return [
        passages(trace, "layer0", "h", 3, count=6, context=4),
        distribution(trace, "layer0", "h", 6),
        summary(trace, "layer0", "h"),
    ]


def _assert_equal(table: Table, other: Table) -> None:
    assert table.to_json() == other.to_json()
