"""`gatescope tasks`, `cells` and `runs`."""

import json
from pathlib import Path
from typing import Any

import pytest

from gatescope import CELLS, TASKS, Run, configure, define
from gatescope.engine import native
from gatescope.equations import tanh
from tests.cli.conftest import Cli


def test_tasks_lists_every_task(cli: Cli) -> None:
    printed = cli("tasks").out
    assert all(f"\n{name} " in printed for name in TASKS)
    listed = json.loads(cli("tasks", "--json").out)
    assert [task["name"] for task in listed] == list(TASKS)
    assert listed[3]["layers"] == [20, 20]


def test_tasks_prints_one_task(cli: Cli) -> None:
    printed = cli("tasks", "counter").out
    assert TASKS["counter"].question.split(",")[0] in printed
    assert "learning_rate" in printed
    assert "gatescope train counter" in printed
    assert "Task: expected one of" in cli("tasks", "counting").refused()


def test_tasks_prints_the_bundle_of_a_task(cli: Cli) -> None:
    document = json.loads(cli("tasks", "counter", "--json").out)
    assert document["training"]["strings"]["text"][1] == "aaXbb\n"
    assert document["score"]["rule"] == "argmax"
    assert "only Python can score" in cli("tasks", "addition", "--json").refused()
    assert "only Python can score" in cli("tasks", "sentiment", "--json").refused()


def test_cells_lists_every_equation(cli: Cli) -> None:
    printed = cli("cells").out
    for name, cell in CELLS.items():
        assert f"\n{name} " in printed
        assert all(f"{signal} = {cell.formula(signal)}" in printed for signal in cell.signals)
    assert [cell["name"] for cell in json.loads(cli("cells", "--json").out)] == list(CELLS)


def test_cells_prints_one_cell_in_full(cli: Cli) -> None:
    printed = cli("cells", "lstm").out
    assert "c = f · c₋₁ + i · g" in printed
    assert "forget gate" in printed
    assert "b.f = 1" in printed
    assert CELLS["lstm"].paper in printed
    assert json.loads(cli("cells", "lstm", "--json").out)["formulas"]["h"] == "o · tanh(c)"


def test_cells_of_a_run_lists_its_layers(cli: Cli, run: Path) -> None:
    assert [cell["name"] for cell in json.loads(cli("cells", "--run", "counter", "--json").out)] == ["lstm"]
    printed = cli("cells", "--run", run).out
    assert "c = f · c₋₁ + i · g" in printed
    assert "feedforward" not in printed
    assert f"gatescope cells lstm --run {run}" in printed
    assert "Cell: expected one of lstm, got 'gru'" in cli("cells", "gru", "--run", run).refused()
    assert "Run: expected one of counter, got 'nothing'" in cli("cells", "--run", "nothing").refused()


def without_native(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the native engine unavailable, as on a computer without a compiler."""
    monkeypatch.setattr(native, "_native", None)
    monkeypatch.setattr(native, "_problem", "The native engine was not compiled.")
    native._warn_of_missing.cache_clear()


@pytest.mark.usefixtures("compiled")
def test_cells_engines_names_the_engine_of_each_cell(cli: Cli) -> None:
    listed = json.loads(cli("cells", "--engines", "--json").out)
    assert [(cell["name"], cell["engine"], cell["reason"]) for cell in listed["cells"]] == [
        (name, "native", "") for name in CELLS
    ]
    assert listed["native"]["missing"] == ""
    assert listed["native"]["level"] in listed["native"]["levels"]
    assert listed["native"]["levels"][0] == "baseline"
    header, row, *_ = cli("cells", "gru", "--engines").out.splitlines()
    assert header.split() == ["cell", "engine", "why", "not", "native"]
    assert row.split() == ["gru", "native"]
    assert f"uses {native.describe().level}" in cli("cells", "--engines").out


def test_cells_engines_names_a_cell_without_native_code(cli: Cli, tmp_path: Path) -> None:
    @define(paper="")
    def halved(x: Any, u: Any, p: Any, s: Any) -> Any:
        return dict(h=tanh(x.h + u.h) / 2)

    task = TASKS["counter"]()
    Run.create(tmp_path / "mine", configure(task.vocabulary, halved, [3]), task, {})
    (cell,) = json.loads(cli("cells", "--engines", "--json", "--run", "mine").out)["cells"]
    assert (cell["name"], cell["engine"]) == ("halved", "plain")
    assert cell["reason"]
    assert "halved  plain" in cli("cells", "--engines", "--run", "mine").out


def test_cells_without_native_engine_explain_the_build(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    without_native(monkeypatch)
    result = cli("cells", "--engines")
    assert (result.status, result.err) == (0, "")
    assert "was not compiled" in result.out
    assert "scripts/install" in result.out
    listed = json.loads(cli("cells", "--engines", "--json").out)
    assert {(cell["engine"], cell["reason"]) for cell in listed["cells"]} == {
        ("plain", "The native engine was not compiled.")
    }
    assert listed["native"]["missing"] == native.describe().missing
    assert listed["native"]["level"] == ""


@pytest.mark.filterwarnings("default:The native engine was not compiled")
def test_command_without_native_engine_prints_one_note(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_native(monkeypatch)
    result = cli("check", run, "aXb")
    assert result.status == 0
    assert result.err == f"note: {native.describe().missing}\n"


def test_runs_lists_state_and_score(cli: Cli, run: Path) -> None:
    header, row = cli("runs").out.splitlines()
    assert header.split() == ["run", "task", "cell", "neurons", "state", "step", "loss", "score"]
    assert row.split()[:6] == ["counter", "counter", "lstm", "5", "finished", "30"]
    (listed,) = json.loads(cli("runs", run.parent, "--json").out)
    assert listed["state"] == "finished"
    assert listed["score"]["text"] in row


def test_runs_lists_a_damaged_run_with_its_problem(cli: Cli, run: Path) -> None:
    (run / "network.json").write_text("{")
    assert "unreadable" in cli("runs").out
    assert "expected JSON, got something else" in " ".join(cli("runs").out.split())


def test_runs_of_an_empty_folder_is_empty(cli: Cli, tmp_path: Path) -> None:
    assert "runs: expected a folder of runs, got no folder" in cli("runs").refused()
    (tmp_path / "runs").mkdir()
    assert "No runs in runs" in cli("runs").out
    assert json.loads(cli("runs", "--json").out) == []


def test_cells_suggests_a_close_name(cli: Cli) -> None:
    assert "Did you mean 'gru'?" in cli("cells", "gruu").refused()
