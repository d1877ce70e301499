"""Pairs of neurons against SciPy's assignment and NumPy's correlations, for every kind of cell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

import gatescope
from gatescope import CELLS, Network, Trace, Vocabulary, configure, record
from gatescope.cells import Cell, define
from gatescope.equations import sigmoid, tanh
from gatescope.studies import StudyError
from gatescope.studies.common.assignment import assign
from gatescope.studies.matching import match

TEXT = "aaXbb\naXb\naaaXbbb\n"
VOCABULARY = Vocabulary(tuple("aXb\n"), "\n")


@define(paper="")
def own(x, u, p, s):
    """Compute one step of a cell that nobody has published."""
    k = sigmoid(x.k + u.k * p.k)
    h = k * s.h + (1 - k) * tanh(x.n + u.n)
    return dict(k=k, h=h)


KINDS = (*(CELLS[name] for name in ("lstm", "gru", "peephole", "slstm")), own)


def traced(cell: Cell | str, neurons: int, seed: int) -> Trace:
    """Record the text with a network of random weights."""
    return record(Network(configure(VOCABULARY, cell, [neurons]), seed=seed), TEXT)


def values_of(trace: Trace, signal: str) -> np.ndarray:
    """Return a signal at every step of all sequences, (P, N)."""
    parts = [trace.sequence(k)["layer0"][signal][0] for k in range(len(trace.lengths))]
    return np.concatenate(parts).astype(np.float64)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 10**6))
def test_assignment_equals_scipy(rows: int, columns: int, seed: int) -> None:
    """The rows get the columns of SciPy; equal costs do not occur."""
    cost = np.random.default_rng(seed).normal(size=(rows, columns))
    chosen = np.full(rows, -1)
    at, to = linear_sum_assignment(cost)
    chosen[at] = to
    np.testing.assert_array_equal(assign(cost), chosen)


@pytest.mark.parametrize("cell", KINDS, ids=lambda cell: cell.name)
@pytest.mark.parametrize(("neurons", "others"), [(5, 5), (4, 7), (7, 4)])
def test_pairs_are_those_of_scipy(cell: Cell | str, neurons: int, others: int) -> None:
    """The pairs have the largest sum of |r|, and r is NumPy's."""
    first, second = traced(cell, neurons, 1), traced("gru", others, 2)
    table = match(first, second)
    r = np.corrcoef(values_of(first, "h").T, values_of(second, "h").T)[:neurons, neurons:]
    rows, columns = linear_sum_assignment(-np.abs(r))
    pairs = table.where(reason="")
    assert pairs["neuron"].tolist() == rows.tolist()
    assert pairs["other"].tolist() == columns.tolist()
    np.testing.assert_allclose(pairs["r"], r[rows, columns], atol=1e-12)
    assert table.about["total"] == pytest.approx(np.abs(r[rows, columns]).sum())
    left = table.where(reason="left over")
    assert len(left) == abs(neurons - others)


def test_network_matches_itself() -> None:
    """Each neuron is its own partner."""
    trace = traced("lstm", 6, 3)
    table = match(trace, trace, signal="c")
    assert table["neuron"].tolist() == table["other"].tolist() == list(range(6))
    np.testing.assert_allclose(table["r"], 1)


def test_still_and_broken_neurons_have_no_partner() -> None:
    """A neuron that is constant or has NaN is left out, with its reason."""
    first, second = traced("gru", 4, 1), traced("gru", 3, 2)
    first.layers["layer0"]["h"][..., 1] = 0.25
    first.layers["layer0"]["h"][0, 2, 3] = np.nan
    table = match(first, second)
    assert table.where(neuron=1)["reason"].tolist() == ["constant"]
    assert table.where(neuron=3)["reason"].tolist() == ["not finite"]
    assert table.where(reason="")["neuron"].tolist() == [0, 2]
    assert table.where(neuron=-1)["reason"].tolist() == ["left over"]


def test_signals_of_different_cells_are_paired() -> None:
    """The cell state of an LSTM is compared with the hidden state of a GRU."""
    first, second = traced("lstm", 3, 1), traced("gru", 3, 2)
    table = match(first, second, signal="c", other_signal="h")
    r = np.corrcoef(values_of(first, "c").T, values_of(second, "h").T)[:3, 3:]
    for row in table:
        assert row["r"] == pytest.approx(r[row["neuron"], row["other"]])


def test_texts_of_other_lengths_are_refused() -> None:
    """Steps of different texts do not correspond."""
    other = gatescope.record(Network(configure(VOCABULARY, "gru", [3])), "aXb\n")
    with pytest.raises(StudyError, match="expected the same steps in both, got 18 and 4"):
        match(traced("gru", 3, 1), other)
