"""Snapshots against the arrays of the trace."""

from __future__ import annotations

import numpy as np
import pytest

import gatescope
from gatescope.studies import StudyError
from gatescope.studies.snapshots import snapshot
from gatescope.trace import Trace


@pytest.fixture(scope="module")
def trace() -> Trace:
    """Record four sequences, the second and the last one equal, the third without an X."""
    vocabulary = gatescope.Vocabulary(tuple("aXb\n"), "\n")
    network = gatescope.Network(gatescope.configure(vocabulary, "lstm", [4, 2]), seed=1)
    return gatescope.record(network, "aaXbXb\naXb\nab\naXb\n")


def test_snapshot_has_the_values_at_the_symbol(trace: Trace) -> None:
    """The table has every signal of every neuron at the first X of each different sequence, as in the trace."""
    table = snapshot(trace, "X")
    assert sorted(set(table["sequence"].tolist())) == [0, 1]
    assert table.about["without"] == [2]
    for row in table:
        step = {0: 2, 1: 1}[row["sequence"]]
        assert row["step"] == step
        assert row["text"] == trace.text(row["sequence"])
        for signal in ("i", "f", "g", "o", "c", "h"):
            assert row[signal] == trace[row["layer"]][signal][row["sequence"], step, row["neuron"]]
    assert len(table) == 2 * (4 + 2)


@pytest.mark.parametrize(("occurrence", "steps"), [(0, [2, 1]), (1, [4]), (-1, [4, 1])])
def test_snapshot_takes_the_occurrence(trace: Trace, occurrence: int, steps: list[int]) -> None:
    """Occurrences count from the first one, negative ones from the last one."""
    table = snapshot(trace, "X", occurrence=occurrence, layers=["layer0"])
    assert table["step"][::4].tolist() == steps


def test_snapshot_of_a_step_counts_from_both_ends(trace: Trace) -> None:
    """Step -1 is the last step of each sequence, not of the padded array."""
    table = snapshot(trace, -1, signals=["h"], layers=["layer0"])
    lengths = trace.lengths.tolist()
    assert table["step"][::4].tolist() == [lengths[k] - 1 for k in (0, 1, 2)]
    assert np.isfinite(table["h"]).all()


@pytest.mark.parametrize(
    ("at", "options", "sentence"),
    [
        ("q", {}, "expected one symbol of the vocabulary, got 'q'"),
        ("aX", {}, "expected one symbol of the vocabulary, got 'aX'"),
        (99, {}, "no sequence of the trace has a step 99"),
        ("X", {"occurrence": 5}, "occurrence 5"),
        ("X", {"signals": ["zz"]}, "Signal of layer0, layer1: expected one of i, f, g, o, c, h, got 'zz'"),
    ],
)
def test_snapshot_refuses_invalid_arguments(trace: Trace, at: str | int, options: dict, sentence: str) -> None:
    with pytest.raises(StudyError, match=sentence):
        snapshot(trace, at, **options)
