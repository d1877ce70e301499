"""`gatescope tasks`, `cells` and `runs`."""

import io
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gatescope import CELLS, TASKS, Run, configure, define
from gatescope.cli.entry import THREADS_OF_NUMPY
from gatescope.engine import native
from gatescope.equations import tanh
from gatescope.runs.moves import delete_run
from gatescope.runs.run_findings import add_finding
from gatescope.runs.tags import change_tags
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


# --- findings, tags and deleted runs ---------------------------------------------------------------------------------


def test_runs_are_filtered_by_tags(cli: Cli, run: Path) -> None:
    assert "expected a run with a tag" in cli("runs", "--tag", "good").refused()
    shutil.copytree(run, run.with_name("other"))
    change_tags(run, ["good", "数"])
    change_tags(run.with_name("other"), ["good"])
    header, row, *_ = cli("runs", "--tag", "数").out.splitlines()
    assert header.split()[-1] == "tags"
    assert row.startswith("counter ")
    assert row.rstrip().endswith("good, 数")
    assert [listed["name"] for listed in json.loads(cli("runs", "--tag", "good", "--tag", "数", "--json").out)] == [
        "counter"
    ]
    assert "Tag: expected one of good, 数, got 'goood'. Did you mean 'good'?" in cli("runs", "--tag", "goood").refused()


def test_findings_are_listed_and_exported(cli: Cli, run: Path) -> None:
    assert "counter has no findings" in cli("findings", "counter").out
    view = {
        "view": "neuron",
        "layer": "layer0",
        "neuron": "4",
        "hold": ["0.4.f.0.1-", "0.1.c.0.3"],
        "text": "a```X\nb&\x1b[2J",
    }
    add_finding(run, view, "*Neuron* 4 <b>counts</b> [a](x)")
    add_finding(run, {"text": "数" * 3000}, "A long one.")
    printed = cli("findings", run).out
    assert "*Neuron* 4 <b>counts</b> [a](x)" in printed
    assert "\x1b" not in printed
    listed = json.loads(cli("findings", "counter", "--json").out)
    assert [finding["sentence"] for finding in listed] == ["*Neuron* 4 <b>counts</b> [a](x)", "A long one."]
    assert listed[0]["view"] == view
    lines = cli("findings", "counter", "--markdown").out.splitlines()
    assert lines[0] == "# Findings of counter"
    assert lines[2] == "1. \\*Neuron\\* 4 \\<b\\>counts\\</b\\> \\[a\\]\\(x\\)"
    address = re.search(r"\]\((http://127.0.0.1:8791/\?[^)]*)\)", lines[4])
    assert address is not None
    assert parse_qs(urlsplit(address[1]).query) == {
        "run": ["counter"],
        **{name: value if isinstance(value, list) else [value] for name, value in view.items()},
    }
    assert lines[6] == "   ````text"
    long = next(line for line in lines if "#text=" in line)
    assert "%E6%95%B0" in long


def test_deleted_run_is_listed_and_restored(cli: Cli, run: Path) -> None:
    assert "The trash of runs is empty." in cli("trash").out
    assert "expected a run in its trash" in cli("trash", "--restore", "counter").refused()
    deleted = delete_run(run)
    assert [listed["name"] for listed in json.loads(cli("trash", "--json").out)] == ["counter"]
    assert "gatescope trash --restore counter" in cli("trash").out
    assert "Deleted run: expected one of counter, got 'cuonter'" in cli("trash", "--restore", "cuonter").refused()
    assert cli("trash", "--restore", "counter").out == f"{run.relative_to(run.parents[1])} is back.\n"
    assert run.is_dir()
    deleted = delete_run(run)
    assert cli("trash", "--restore", deleted.id, "--name", "again").status == 0
    assert run.with_name("again").is_dir()


def test_trash_is_emptied_only_when_asked(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deleted = delete_run(run)
    for options in (("--yes",), ("--name", "x"), ("--empty", "--restore", "counter")):
        assert cli("trash", *options).refused()
    assert "expected an answer on a terminal" in cli("trash", "--empty").refused()
    for answer, status in (("n\n", 1), ("\n", 1), ("", 1)):
        stdin = io.StringIO(answer)
        monkeypatch.setattr(stdin, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", stdin)
        assert cli("trash", "--empty").status == status
        assert deleted.path.is_dir()
    stdin = io.StringIO("y\n")
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", stdin)
    result = cli("trash", "--empty")
    assert "Remove 1 deleted run of runs for good (y/N)?" in result.err
    assert result.out == "1 run was removed for good.\n"
    assert not deleted.path.exists()
    assert json.loads(cli("trash", "--empty", "--yes", "--json").out) == {"removed": 0}


def test_commands_limit_the_threads_of_numpy(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy reads the variables when it is imported, which is after `main` has begun; a user's own number stays."""
    for variable, number in zip(THREADS_OF_NUMPY, ("", "3"), strict=True):
        monkeypatch.setenv(variable, number)
    monkeypatch.delenv(THREADS_OF_NUMPY[0])
    assert cli("cells").status == 0
    assert [os.environ[variable] for variable in THREADS_OF_NUMPY] == ["1", "3"]
