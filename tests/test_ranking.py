"""The rule for ties: the lowest id comes first, in every place that takes the largest of several numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gatescope import record
from gatescope.ranking import MAX_ROUNDS, ranked
from tests.networks import network
from tests.source_files import PACKAGE


@given(st.lists(st.lists(st.integers(-2, 2), min_size=7, max_size=7), max_size=4), st.integers(1, 9), st.booleans())
def test_ranked_sorts_by_value_then_id(rows: list[list[int]], count: int, double: bool) -> None:
    values = torch.tensor(rows, dtype=torch.float64 if double else torch.float32).reshape(-1, 7)
    expected = [sorted(range(7), key=lambda k: (-row[k], k))[:count] for row in rows]
    assert ranked(values, count).tolist() == expected
    assert ranked(values[:, None], count).tolist() == [[order] for order in expected]


def test_ranked_keeps_the_rule_in_long_rows() -> None:
    """Long rows with few different values, where the order of `topk` is arbitrary."""
    values = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (50, 3000)).astype(np.float32))
    expected = np.argsort(-values.numpy(), axis=1, kind="stable")[:, :9]
    np.testing.assert_array_equal(ranked(values, 9).numpy(), expected)
    assert not np.array_equal(values.topk(9).indices.numpy(), expected)
    np.testing.assert_array_equal(values.argmax(1).numpy(), expected[:, 0])
    np.testing.assert_array_equal(values.numpy().argmax(1), expected[:, 0])


@given(st.lists(st.sampled_from([0.0, 1.0, np.inf, -np.inf, np.nan]), min_size=6, max_size=6), st.integers(0, 6))
def test_ranked_puts_nan_first_and_minus_infinity_last(row: list[float], count: int) -> None:
    size = {k: np.inf if np.isnan(value) else value for k, value in enumerate(row)}
    expected = sorted(range(6), key=lambda k: (not np.isnan(row[k]), -size[k], k))[:count]
    assert ranked(torch.tensor([[0.0] * 6, row]), count).tolist() == [list(range(6))[:count], expected]


@pytest.mark.parametrize("count", [MAX_ROUNDS, MAX_ROUNDS + 1])
def test_ranked_is_the_same_by_rounds_and_by_topk(count: int) -> None:
    values = torch.from_numpy(np.random.default_rng(1).integers(0, 50, (40, 30)).astype(np.float32))
    expected = np.argsort(-values.numpy(), axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(ranked(values, count).numpy(), expected)


def test_equal_predictions_are_recorded_by_id() -> None:
    """A readout of zeros gives every symbol the same logit."""
    made = network("lstm", (3,))
    with torch.no_grad():
        made.readout_weights.zero_()
        made.readout_biases.copy_(torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0]))
    tokens = record(made, "abcab", top=4).steps["top_token"]
    assert tokens.tolist() == [[[1, 3, 4, 0]] * 5]


def test_logits_rank_what_rounding_makes_equal() -> None:
    """Log-probabilities of logits near 0 round to the same number; the trace follows the logits, as writing does."""
    made = network("lstm", (3,))
    with torch.no_grad():
        made.readout_weights.zero_()
        bias = torch.tensor([1e-9, 2e-9, -20.0, -20.0, -20.0])
        made.readout_biases.copy_(bias)
    trace = record(made, "ab", top=2)
    assert bias.log_softmax(0)[0] == bias.log_softmax(0)[1]
    assert trace.steps["top_token"].tolist() == [[[1, 0]] * 2]


def test_only_the_rule_ranks() -> None:
    """`topk` of torch and unstable descending orders do not keep the rule; a sort may return values alone."""
    wrong = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "ranking.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"\.topk\(|argsort\(-(?!.*stable)|descending=True(?!.*(stable|values))", line)
    ]
    assert wrong == []
