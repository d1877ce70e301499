"""`gatescope explore` and `gatescope demo`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatescope import Run
from gatescope.cli.commands.demo import Lesson, lessons, train_all
from gatescope.runs import HISTORY
from tests.cli.conftest import ENVIRONMENT, Cli
from tests.waiting import PATIENCE, wait_until

Program = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def taken() -> Iterator[int]:
    """Yield a port that is in use."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def address(process: subprocess.Popen[str]) -> str:
    """Return the address that a program prints."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("gatescope is at http://127.0.0.1:"), (line, process.stderr and process.stderr.read())
    assert line.endswith("(press Ctrl-C to stop).\n")
    return line.split()[3]


def test_explore_serves_until_ctrl_c(program: Program, run: Path) -> None:
    process = program("explore", "--port", 0, "--no-browser")
    with urllib.request.urlopen(address(process) + "api/runs") as answer:
        assert [listed["name"] for listed in json.load(answer)["runs"]] == ["counter"]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out.strip(), err) == (0, "Stopped.", "")


def test_explore_refuses_unusable_ports_and_places(cli: Cli, run: Path, taken: int) -> None:
    assert "expected a free port, got one in use" in cli("explore", "--port", taken, "--no-browser").refused()
    assert (
        "expected a free port, got one in use" in cli("demo", "--port", taken, "--no-browser", "--runs", "it").refused()
    )
    assert (
        "expected a number from 0 (any free port) to 65535, got 99999"
        in cli("explore", "--port", 99999, "--no-browser").refused()
    )
    assert (
        "expected a number from 0 (any free port) to 65535, got -1"
        in cli("explore", "--port", -1, "--no-browser").refused()
    )
    assert (
        "expected a run directory or a folder of runs, got no folder"
        in cli("explore", "nowhere", "--no-browser").refused()
    )


def test_explore_without_runs_is_refused(cli: Cli) -> None:
    assert "Train a network with" in cli("explore", "--no-browser").refused()


def test_demo_refuses_bad_options(cli: Cli, tmp_path: Path) -> None:
    assert "minutes: expected a finite number above 0, got -1" in cli("demo", "--minutes", -1).refused()
    (tmp_path / "it.txt").write_text("")
    assert "got the file it.txt" in cli("demo", "--runs", "it.txt").refused()


def test_lessons_are_four_tasks_and_python_code() -> None:
    plan = lessons(2.0)
    assert [lesson.task for lesson in plan] == ["counter", "state_memoriser", "copy", "selective_counter", "text"]
    assert (plan[-1].name, plan[-1].minutes) == ("python_code", 2.0)


def test_train_all_twice_resumes_and_reuses_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each network has labels before the next one begins; a second start finds those that were not finished."""
    monkeypatch.setattr("gatescope.explorer.studies.MOVED_SCORES", 300)
    plan = [Lesson("one", "counter", 0.004), Lesson("two", "copy", 0.004)]
    answer: list[str] = []
    # Stops when the labels of "one" are searched, and then when "two" begins.
    train_all(tmp_path, plan, stop=lambda: len(answer) > 2, report=answer.append)
    assert [line.split()[0] for line in answer] == ["one:"] * 3
    assert "exact for" in answer[1]
    assert answer[2] == "  one: finding labels"
    assert not (tmp_path / "one" / "studies").exists()
    answer.clear()
    train_all(tmp_path, plan, stop=lambda: any("two" in line for line in answer), report=answer.append)
    assert answer[0].startswith("  one: already trained, exact for")
    assert [line.split()[:2] for line in answer] == [
        ["one:", "already"],
        ["one:", "finding"],
        ["one:", "labels"],
        ["two:", "training"],
        ["two:", "stopped"],
    ]
    labels, weights = (
        (tmp_path / "one" / name).read_bytes() for name in ("studies/labels.json", "weights.safetensors")
    )

    again: list[str] = []
    train_all(tmp_path, plan, report=again.append)
    assert again[0].startswith("  one: already trained, exact for")
    assert again[1] == "  two: resuming"
    assert "words are copied" in again[2]
    assert again[-1].startswith("  two: labels for")
    assert (tmp_path / "one" / "studies" / "labels.json").read_bytes() == labels
    assert (tmp_path / "one" / "weights.safetensors").read_bytes() == weights


def test_train_all_continues_after_a_damaged_run(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatescope.explorer.studies.MOVED_SCORES", 300)
    shutil.copytree(trained, tmp_path / "one")
    (tmp_path / "one" / "network.json").write_text("{")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "letter.txt").write_text("mine")
    answer: list[str] = []
    plan = [Lesson("one", "counter"), Lesson("two", "counter"), Lesson("three", "counter", 0.002)]
    train_all(tmp_path, plan, report=answer.append)
    assert any(line.startswith("  one: ") and "expected JSON, got something else" in line for line in answer)
    assert any(line.startswith("  two: ") and "expected an empty or new directory" in line for line in answer)
    assert any(line.startswith("  three: exact for") for line in answer)
    assert answer[-1].startswith("  three: labels for")
    assert (tmp_path / "two" / "letter.txt").read_text() == "mine"


WARNING = """
import os, pathlib, warnings
from gatescope.cli.commands import demo

demo.train_all = lambda *_, **__: warnings.warn("there is no compiler.", RuntimeWarning)
demo.train_in_background(pathlib.Path("."), 1.0, os.getppid())
"""


def test_background_training_prints_warnings_as_notes(tmp_path: Path) -> None:
    """The training process prints warnings as notes, without the source line that raised them."""
    command = [sys.executable, "-c", WARNING]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stderr == "note: there is no compiler.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_demo_ends_its_training_process(program: Program, tmp_path: Path, number: signal.Signals) -> None:
    process = program("demo", "--runs", "it", "--port", 0, "--no-browser")
    address(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "  counter: training\n"
    run = Run(tmp_path / "it" / "counter")
    wait_until(lambda: run.is_training or run.read(HISTORY), "the training begins")
    # A terminal sends Ctrl-C to the whole process group; a kill reaches one process.
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    # The pipe ends once both the page and the training process have ended.
    out, err = process.communicate(timeout=PATIENCE)
    assert err == ""
    assert not run.is_training
    if number != signal.SIGKILL:
        assert process.returncode == 0
        assert "the next start resumes it" in out
