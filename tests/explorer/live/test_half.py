"""Half precision: what it changes is measured, and what it cannot hold is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from gatescope import record
from gatescope.explorer.live import LiveFileError, LiveOptions, live_run, restore
from gatescope.explorer.live.half import measure, rounded
from gatescope.explorer.live.page_file import live_page
from gatescope.network import Network
from gatescope.runs import Run
from tests.explorer.live.examples import PROGRAM


@pytest.mark.parametrize("name", ["counter", "text", "opinion", "sum"])
def test_measured_change_is_that_of_the_restored_run(runs: Path, tmp_path: Path, name: str) -> None:
    """The largest difference between recordings of the run and of the run that its live file becomes."""
    run = Run(runs / name)
    live = live_run(run, LiveOptions(half=True))
    (tmp_path / "half.html").write_bytes(live_page(name, live.container().to_bytes(), PROGRAM))
    exact, rounded = run.network()[0], restore(tmp_path / "half.html", tmp_path / "half").network()[0]
    weights = [
        (a - b).abs().max().item() for a, b in zip(exact.parameters(), rounded.parameters(), strict=True) if a.numel()
    ]
    changes, steps = [0.0], 0
    for text in run.task().examples():
        for sequence in range(len(record(exact, text).lengths)):
            steps += int(record(exact, text).lengths[sequence])
        pair = [probabilities(network, text) for network in (exact, rounded)]
        changes.append(float(np.nanmax(np.abs(pair[0] - pair[1]))))
    assert live.half is not None
    assert live.half.weight == pytest.approx(max(weights), rel=1e-6)
    assert live.half.prediction == pytest.approx(max(changes), rel=1e-3, abs=1e-6)
    assert 0 < live.half.prediction < 0.05
    assert live.half.steps == steps
    assert str(live.half.sentence) in live.data["run"]["notes"]


def probabilities(network: Network, text: str) -> np.ndarray:
    """Return the probability of every output, or the estimates, after every step."""
    trace = record(network, text, top=1000)
    if "estimate" in trace.steps:
        return np.asarray(trace.steps["estimate"], np.float64)
    count = network.configuration.predicted
    tokens, shares = trace.steps["top_token"], trace.steps["top_probability"]
    table = np.full((*tokens.shape[:2], count), np.nan)
    for sequence, step in np.ndindex(tokens.shape[:2]):
        for token, share in zip(tokens[sequence, step], shares[sequence, step], strict=True):
            if token >= 0:
                table[sequence, step, token] = share
    return table


def test_half_weights_are_float16(runs: Path) -> None:
    live = live_run(Run(runs / "counter"), LiveOptions(half=True, checkpoints=1))
    for number in (live.data["weights"], live.data["checkpoints"][0]["weights"]):
        assert {weight.dtype for weight in load(live.parts[number]).values()} == {torch.float16}


def test_tables_beside_half_weights_have_three_digits() -> None:
    table = {"on": [0.123456, -1234.5678, 98765.4321, 0.0, None], "step": [123456], "name": ["a"]}
    rounded_table = {"on": [0.123, -1235.0, 98765.0, 0.0, None], "step": [123456], "name": ["a"]}
    assert rounded([table]) == [rounded_table]


def test_only_half_weights_round_the_tables(runs: Path) -> None:
    exact, half = (live_run(Run(runs / "counter"), LiveOptions(half=half)).data["studies"] for half in (False, True))
    assert exact != half
    assert rounded(exact) == half


def test_half_refuses_a_weight_beyond_its_range(copy_of: Callable[[str], Run]) -> None:
    run = copy_of("counter")
    network, step = run.network()
    weights = dict(network.state_dict())
    weights["readout_biases"][0] = 70_000.0
    run.save_weights(weights, step)
    with pytest.raises(LiveFileError, match=r"readout_biases.*65,504"):
        measure(run.network()[0], ["aXb\n"])
