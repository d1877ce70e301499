"""Whether a trace holds texts, vectors or drives decides what can be shown, but changes no number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gatescope
from gatescope.features import Feature
from gatescope.features.brackets import family
from gatescope.studies import Steps
from gatescope.studies.common.scores import halves
from gatescope.studies.common.table import StudyError, Table
from gatescope.studies.health import health, retention, saturation
from gatescope.studies.labels import Search, labels
from gatescope.studies.passages import distribution, passages, summary
from gatescope.studies.patterns import matches, neurons_on
from gatescope.studies.probes import probes
from gatescope.trace import Trace, TraceError

SETTINGS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "inputs": {"inputs": True},
    "text": {"text": ["abcdefghij" * 6] * 12},
    "text and inputs": {"text": ["abcdefghij" * 6] * 12, "inputs": True},
    "no drives": {"drives": False},
}


@pytest.fixture(scope="module", params=["LSTM", "GRU", "RNN"])
def traces(request: Any) -> dict[str, Trace]:
    """Record one call of twelve sequences: 3 repeats 1, 8 repeats 5, and 9 has the vectors of 5 but another state."""
    torch.manual_seed(3)
    module = getattr(nn, request.param)(3, 5, batch_first=True)
    inputs = torch.randn(12, 60, 3)
    inputs[3], inputs[8], inputs[9] = inputs[1], inputs[5], inputs[5]
    states = torch.zeros(1, 12, 5)
    states[0, 9] = 0.5
    with gatescope.watch(module) as watched:
        module(inputs, (states, states) if request.param == "LSTM" else states)
    return {name: watched.trace("", **settings) for name, settings in SETTINGS.items()}


def features_of(trace: Trace, inputs: Tensor) -> list[Feature]:
    """Return a binary feature and a count of the vectors, for a trace that may not hold them."""
    flat = np.concatenate([row[:length] for row, length in zip(inputs.numpy(), trace.lengths, strict=True)])
    return [Feature("own.up", "up", flat[:, 0] > 0), Feature("own.sum", "sum", flat.sum(1).astype(np.float32))]


def numbers_of(table: Table) -> dict[str, Any]:
    """Return the columns of a table without text of the trace."""
    return {name: column.tolist() for name, column in table.columns.items() if name not in TEXT_COLUMNS}


TEXT_COLUMNS = ("before", "at", "after", "labels", "text")


def every_study(trace: Trace, inputs: Tensor) -> dict[str, dict[str, Any]]:
    features = features_of(trace, inputs)
    pattern = neurons_on(trace, "layer0", 0, 10, 10, 1e-6, sign="both", before=False, after=False)
    return {
        "probes": numbers_of(probes(trace, features, layer="layer0")),
        "labels": numbers_of(labels(trace, features, search=Search(chances=100))),
        "passages": numbers_of(passages(trace, "layer0", "h", 2, context=4)),
        "distribution": numbers_of(distribution(trace, "layer0", "h", 2)),
        "summary": numbers_of(summary(trace, "layer0", "h")),
        "saturation": numbers_of(saturation(trace)),
        "health": numbers_of(health(trace)),
        "pattern": numbers_of(pattern),
        "matches": numbers_of(matches(trace, pattern, share=0.5)),
    }


@pytest.fixture(scope="module")
def inputs() -> Tensor:
    torch.manual_seed(3)
    return torch.randn(12, 60, 3)


@pytest.mark.parametrize("setting", list(SETTINGS)[1:])
def test_studies_do_not_depend_on_recorded_inputs(traces: dict[str, Trace], inputs: Tensor, setting: str) -> None:
    """Two traces of one call with other recorded inputs give the same numbers, in every study of a trace."""
    for (name, expected), numbers in zip(
        every_study(traces["nothing"], inputs).items(), every_study(traces[setting], inputs).values(), strict=True
    ):
        assert repr(numbers) == repr(expected), name  # as text, NaN equals NaN


@pytest.mark.parametrize("setting", list(SETTINGS))
@pytest.mark.parametrize("stored", [False, True])
def test_sequences_of_equal_inputs_and_states_are_equal(
    traces: dict[str, Trace], setting: str, stored: bool, tmp_path: Path
) -> None:
    trace = traces[setting]
    if stored:
        gatescope.save_trace(trace, tmp_path / "trace")
        trace = gatescope.open_trace(tmp_path / "trace")
    assert Steps(trace).same().tolist() == [0, 1, 2, 1, 3, 4, 5, 6, 4, 7, 8, 9]
    first, second = (set(Steps(trace).sequence[half]) for half in vars(halves(Steps(trace))).values())
    assert not first & second
    assert {1, 3} <= first or {1, 3} <= second
    assert trace.sequence(3).lengths.tolist() == [60]
    assert Steps(trace.sequence(3)).same().tolist() == [0]


def test_sequences_that_cannot_be_compared_are_different(traces: dict[str, Trace]) -> None:
    """A trace of an earlier version does not list equal sequences, and without vectors they cannot be compared."""
    trace = traces["nothing"]
    old = Trace(
        trace.lengths,
        trace.steps,
        trace.layers,
        trace.initial,
        trace.parameters,
        {name: value for name, value in trace.attributes.items() if name != "repeats"},
    )
    assert Steps(old).same().tolist() == list(range(12))


def test_steps_without_text_are_middle_dots(traces: dict[str, Trace]) -> None:
    (row,) = passages(traces["nothing"], "layer0", "h", 2, count=1, context=2)
    assert (row["at"], set(row["labels"])) == ("·", {"·"})
    assert len(row["labels"]) == len(row["values"])
    with pytest.raises(TraceError, match=r"text=\.\.\."):
        Steps(traces["nothing"]).features([family()])
    with pytest.raises(TraceError, match="inputs=True"):
        traces["nothing"].text(0)
    with pytest.raises(StudyError, match="log_probability"):
        Steps(traces["nothing"]).of_step("log_probability")


def test_retention_needs_no_inputs(traces: dict[str, Trace]) -> None:
    if "c" in traces["nothing"]["layer0"]:
        expected = retention(traces["nothing"], "layer0")
        for trace in traces.values():
            assert np.array_equal(retention(trace, "layer0"), expected)
