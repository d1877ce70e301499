"""Files of version 0.1 open unchanged: runs of every kind of task, a trace, a table of a study.

The files under tests/fixtures/v0.1 were written by the program of 28 November 2026 and are never written again.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatescope
from gatescope.studies import load
from gatescope.tasks import TASKS

V01 = Path(__file__).parent / "fixtures" / "v0.1"
WITNESS: dict[str, Any] = json.loads((V01 / "witness.json").read_text(encoding="utf-8"))
RUNS: dict[str, Any] = WITNESS["runs"]


@pytest.mark.parametrize("name", RUNS)
def test_old_run_predicts_what_it_predicted(name: str) -> None:
    """Network, weights, task and history of a run open, and the predictions after each text are those of its day."""
    expected, run = RUNS[name], gatescope.Run(V01 / "runs" / name)
    network, step = run.network()
    assert step == expected["step"]
    assert network.configuration.readout.to_json() == expected["readout"]
    vocabulary = network.configuration.vocabulary
    predictions = gatescope.predict(network, [vocabulary.encode(text) for text in expected["texts"]])
    for values, last in zip(predictions, expected["last"], strict=True):
        np.testing.assert_allclose(values[-1], last, atol=5e-6)
    task = run.task()
    assert (task.name, task.title) == (expected["task"], expected["title"])
    assert task.examples()[0].startswith(expected["texts"][0])
    losses = [record["loss"] for record in run.read("history.jsonl") if "loss" in record]
    assert losses == expected["losses"]
    assert gatescope.check(gatescope.record(network, expected["texts"][0])).holds


def test_old_runs_are_found_and_keep_their_task_names() -> None:
    """Every run is listed, and each task name resolves, those of the formal languages too."""
    tasks = {run.name: run.task().name for run in gatescope.find_runs([V01 / "runs"])}
    assert tasks == {name: expected["task"] for name, expected in RUNS.items()}
    assert set(tasks.values()) - {"adopted"} <= set(TASKS)
    assert {"dyck1", "dyck2", "anbn", "anbncn"} <= set(TASKS)


def test_old_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """A training of version 0.1 is resumed, and new records follow the old ones in its history."""
    run = gatescope.Run(shutil.copytree(V01 / "runs" / "counter", tmp_path / "counter"))
    before = run.read("history.jsonl")
    outcome = gatescope.train(run, steps=5)
    assert outcome.step == 5
    records = run.read("history.jsonl")
    assert records[0]["loss"] == before[0]["loss"]
    assert records[-1]["step"] == 5


def test_old_trace_opens_with_its_values() -> None:
    """A trace on disk has the lengths and cell states that were written, and every equation holds on it."""
    trace = gatescope.open_trace(V01 / "trace")
    assert trace.lengths.tolist() == WITNESS["trace"]["lengths"]
    for sequence, rows in enumerate(WITNESS["trace"]["c"]):
        values = np.asarray(trace["layer0"]["c"][sequence, : len(rows)])
        np.testing.assert_allclose(values, rows, atol=5e-6)
    assert trace.text(0) == "aaXbb\n"
    assert gatescope.check(trace).holds


def test_old_table_is_loaded() -> None:
    """The table of an ablation that was saved with a run loads, because the weights are the same."""
    table = load(gatescope.Run(V01 / "runs" / "counter"), "ablation-layer0")
    assert table is not None
    assert table["neuron"].tolist() == [0, 1, 2, 3]
