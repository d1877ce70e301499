"""The data of a live file: complete, the same every time, in the form that the page declares."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load

from gatescope import TASKS, Settings, configure, create_run, record, train
from gatescope.explorer.live import LiveFileError, LiveOptions, live_run
from gatescope.explorer.live.live_data import evenly
from gatescope.explorer.live.page_file import live_page
from gatescope.runs import Run
from gatescope.studies.common.subjects import save
from gatescope.studies.common.table import Table
from tests.explorer.live.examples import PROGRAM, read_apart
from tests.source_files import ROOT

KINDS = ("counter", "text", "opinion", "labels", "frames", "sum", "forecast")
SCHEMA = (ROOT / "web/src/data/live-data.ts").read_text(encoding="utf-8")


def written(run: Run, **options: Any) -> bytes:
    return live_page(run.name, live_run(run, LiveOptions(**options)).container().to_bytes(), PROGRAM)


def fields_of(interface: str) -> set[str]:
    """Return the fields of an interface of the page, those that older files lack included."""
    body = re.search(rf"export interface {interface} {{\n(.*?)\n}}", SCHEMA, re.DOTALL)
    assert body is not None
    return set(re.findall(r"^  (\w+)\??:", body[1], re.MULTILINE))


@pytest.mark.parametrize("name", KINDS)
def test_data_have_the_fields_that_the_page_reads(runs: Path, name: str) -> None:
    data, parts = read_apart(written(Run(runs / name), checkpoints=1))
    assert set(data) == fields_of("LiveData") - {"start"}  # of the page's own exports
    (run,) = data["runs"]
    assert set(run) == fields_of("LiveRun")
    for list_name, interface in (("studies", "LiveStudy"), ("features", "LiveFeatures")):
        assert run[list_name]
        for entry in run[list_name]:
            assert set(entry) == fields_of(interface)
    numbers = [run["weights"], *(entry["weights"] for entry in run["checkpoints"])]
    numbers += [entry["tracks"] for entry in run["features"]]
    assert sorted(numbers) == list(range(len(parts)))


@pytest.mark.parametrize("name", KINDS)
def test_same_run_gives_the_same_bytes(runs: Path, name: str) -> None:
    assert written(Run(runs / name), checkpoints=2) == written(Run(runs / name), checkpoints=2)


@pytest.mark.parametrize("name", KINDS)
def test_weights_are_those_of_the_run(runs: Path, name: str) -> None:
    data, parts = read_apart(written(Run(runs / name), checkpoints=3))
    (run,) = data["runs"]
    for entry in ({"step": None, "weights": run["weights"]}, *run["checkpoints"]):
        network, _ = Run(runs / name).network(entry["step"])
        stored = load(parts[entry["weights"]])
        expected = network.state_dict()
        assert stored.keys() == expected.keys()
        assert all(torch.equal(stored[key], expected[key]) for key in expected)


def test_checkpoints_are_listed_with_the_run(runs: Path) -> None:
    data, _ = read_apart(written(Run(runs / "counter"), checkpoints=3))
    (run,) = data["runs"]
    steps = [entry["step"] for entry in run["checkpoints"]]
    assert run["run"]["checkpoints"] == steps
    assert len(steps) == 3
    available = Run(runs / "counter").checkpoints()
    assert [steps[0], steps[-1]] == [available[0], available[-1]]


@pytest.mark.parametrize("steps", [[5], [0, 1], [0, 10, 20, 40, 80, 160, 1000], list(range(0, 900, 7)), [0, 1, 2, 900]])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 200])
def test_evenly_returns_different_steps_in_order(steps: list[int], count: int) -> None:
    chosen = evenly(steps, count)
    assert len(chosen) == min(count, len(steps))
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(steps)
    if count:
        assert chosen[-1] == steps[-1]


def test_evenly_is_even_where_the_steps_are() -> None:
    assert evenly(list(range(0, 101, 10)), 6) == [0, 20, 40, 60, 80, 100]
    assert evenly(list(range(0, 101, 10)), 3) == [0, 50, 100]


@pytest.mark.parametrize("name", ["opinion", "labels", "frames", "sum", "forecast"])
def test_targets_are_those_of_a_recording(runs: Path, name: str) -> None:
    run = Run(runs / name)
    network, _ = run.network()
    data, _ = read_apart(written(run))
    (live,) = data["runs"]
    assert [entry["text"] for entry in live["targets"]] == run.task().examples()
    for entry in live["targets"]:
        trace = record(network, entry["text"], answers=run.task().answers)
        inside = np.arange(trace.steps["token"].shape[1]) < trace.lengths[:, None]
        if "target" in entry:
            assert entry["target"] == trace.steps["target"][inside].tolist()
        else:
            values = np.array(entry["value"], dtype=np.float64)
            np.testing.assert_array_equal(values.astype(np.float32), trace.steps["value"][inside].astype(np.float32))


def test_text_network_has_no_targets_of_its_own(runs: Path) -> None:
    data, _ = read_apart(written(Run(runs / "text")))
    assert data["runs"][0]["targets"] == []


def test_saved_tables_travel_and_others_do_not(copy_of: Callable[[str], Run]) -> None:
    run = copy_of("counter")
    columns = ("layer", "feature", "neuron", "on", "on_low", "on_high")
    row = {"layer": "layer0", "feature": "", "neuron": 1, "on": 0.5, "on_low": 0.1, "on_high": 0.9}
    save(run, "ablation", Table.of([row], {name: name for name in columns}))
    studies = {entry["request"]["study"] for entry in read_apart(written(run))[0]["runs"][0]["studies"]}
    assert studies == {"ablation", "health", "neuron"}
    shutil.copy(run.path / "checkpoints/step-00000000/weights.safetensors", run.path / "weights.safetensors")
    studies = {entry["request"]["study"] for entry in read_apart(written(run))[0]["runs"][0]["studies"]}
    assert studies == {"health", "neuron"}


def test_every_neuron_has_passages_and_its_effect(copy_of: Callable[[str], Run]) -> None:
    run = copy_of("counter")
    columns = ("layer", "feature", "neuron", "on", "on_low", "on_high")
    rows = [dict.fromkeys(columns, 0.25) | {"layer": "layer0", "feature": "", "neuron": k} for k in range(10)]
    save(run, "ablation", Table.of(rows, {name: name for name in columns}))
    data, _ = read_apart(written(run, passages=1))
    answers = [entry for entry in data["runs"][0]["studies"] if entry["request"]["study"] == "neuron"]
    assert [entry["request"] for entry in answers] == [
        {"study": "neuron", "layer": "layer0", "signal": "c", "neuron": k} for k in range(10)
    ]
    for k, entry in enumerate(answers):
        assert len(entry["result"]["most"]) == len(entry["result"]["least"]) == 1
        assert entry["result"]["effect"]["columns"]["neuron"] == [k]
        assert entry["result"]["effect"]["columns"]["on"] == [0.25]


def test_no_passages_on_request(runs: Path) -> None:
    data, _ = read_apart(written(Run(runs / "counter"), passages=0))
    assert [entry["request"] for entry in data["runs"][0]["studies"]] == [{"study": "health"}]


@pytest.mark.parametrize(("checkpoints", "passages"), [(-1, 1), (1, -1)])
def test_negative_counts_are_refused(checkpoints: int, passages: int) -> None:
    with pytest.raises(LiveFileError, match="numbers from 0"):
        LiveOptions(checkpoints=checkpoints, passages=passages)


@pytest.mark.parametrize(("neurons", "count"), [(10, 4), (60, 2), (150, 1)])
def test_default_passages_are_fewer_for_more_neurons(tmp_path: Path, neurons: int, count: int) -> None:
    task = TASKS["counter"]()
    settings = Settings.recommended(task, steps=1)
    train(create_run(tmp_path / "run", task, configure(task.vocabulary, "elman", [neurons]), settings))
    data, _ = read_apart(written(Run(tmp_path / "run")))
    answers = [entry["result"] for entry in data["runs"][0]["studies"] if entry["request"]["study"] == "neuron"]
    assert len(answers) == neurons
    assert max(len(answer["most"]) for answer in answers) == count
