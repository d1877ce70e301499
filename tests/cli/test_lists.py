"""`gatescope tasks`, `cells` and `runs`."""

import json
from pathlib import Path

from gatescope import CELLS, TASKS
from tests.cli.conftest import Cli


def test_tasks(cli: Cli) -> None:
    printed = cli("tasks").out
    assert all(f"\n{name} " in printed for name in TASKS)
    listed = json.loads(cli("tasks", "--json").out)
    assert [task["name"] for task in listed] == list(TASKS)
    assert listed[3]["layers"] == [20, 20]


def test_cells_with_their_equations(cli: Cli) -> None:
    printed = cli("cells").out
    for name, cell in CELLS.items():
        assert f"\n{name} " in printed
        assert all(f"{signal} = {cell.formula(signal)}" in printed for signal in cell.signals)
    assert [cell["name"] for cell in json.loads(cli("cells", "--json").out)] == list(CELLS)


def test_one_cell_in_full(cli: Cli) -> None:
    printed = cli("cells", "lstm").out
    assert "c = f · c₋₁ + i · g" in printed
    assert "forget gate" in printed
    assert "b.f = 1" in printed
    assert CELLS["lstm"].paper in printed
    assert json.loads(cli("cells", "lstm", "--json").out)["formulas"]["h"] == "o · tanh(c)"


def test_runs(cli: Cli, run: Path) -> None:
    header, row = cli("runs").out.splitlines()
    assert header.split() == ["run", "task", "cell", "neurons", "state", "step", "loss", "score"]
    assert row.split()[:6] == ["counter", "counter", "lstm", "5", "finished", "30"]
    (listed,) = json.loads(cli("runs", run.parent, "--json").out)
    assert listed["state"] == "finished"
    assert listed["score"]["text"] in row


def test_a_damaged_run_is_listed_with_its_problem(cli: Cli, run: Path) -> None:
    (run / "network.json").write_text("{")
    assert "unreadable" in cli("runs").out
    assert "is it damaged?" in " ".join(cli("runs").out.split())


def test_no_runs(cli: Cli, tmp_path: Path) -> None:
    assert "there is no folder runs" in cli("runs").refused()
    (tmp_path / "runs").mkdir()
    assert "no runs in runs" in cli("runs").out
    assert json.loads(cli("runs", "--json").out) == []


def test_an_unknown_cell(cli: Cli) -> None:
    assert "did you mean gru?" in cli("cells", "gruu").refused()
