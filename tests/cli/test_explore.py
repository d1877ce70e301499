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
    """A port that somebody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def address(process: subprocess.Popen[str]) -> str:
    """Where a program says that its page is."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("gatescope is at http://127.0.0.1:"), (line, process.stderr and process.stderr.read())
    assert line.endswith("(press Ctrl-C to stop).\n")
    return line.split()[3]


def test_the_page_is_served_until_ctrl_c(program: Program, run: Path) -> None:
    process = program("explore", "--port", 0, "--no-browser")
    with urllib.request.urlopen(address(process) + "api/runs") as answer:
        assert [listed["name"] for listed in json.load(answer)["runs"]] == ["counter"]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out.strip(), err) == (0, "Stopped.", "")


def test_ports_and_places_that_cannot_be_used(cli: Cli, run: Path, taken: int) -> None:
    assert "is in use" in cli("explore", "--port", taken, "--no-browser").refused()
    assert "is in use" in cli("demo", "--port", taken, "--no-browser", "--runs", "it").refused()
    assert "does not exist" in cli("explore", "--port", 99999, "--no-browser").refused()
    assert "does not exist" in cli("explore", "--port", -1, "--no-browser").refused()
    assert "is not a directory" in cli("explore", "nowhere", "--no-browser").refused()


def test_nothing_to_explore(cli: Cli) -> None:
    assert "Train a network with" in cli("explore", "--no-browser").refused()


def test_a_demo_that_cannot_be(cli: Cli, tmp_path: Path) -> None:
    assert "minutes is -1" in cli("demo", "--minutes", -1).refused()
    (tmp_path / "it.txt").write_text("")
    assert "got the file it.txt" in cli("demo", "--runs", "it.txt").refused()


def test_what_the_demo_trains() -> None:
    plan = lessons(2.0)
    assert [lesson.task for lesson in plan] == ["counter", "state_memoriser", "copy", "selective_counter", "text"]
    assert (plan[-1].name, plan[-1].minutes) == ("python_code", 2.0)


def test_a_second_demo_uses_what_is_there_and_goes_on(tmp_path: Path) -> None:
    plan = [Lesson("one", "counter", 0.004), Lesson("two", "copy", 0.004)]
    said: list[str] = []
    train_all(tmp_path, plan, stop=lambda: len(said) > 2, report=said.append)  # told to stop when "two" begins
    assert [line.split()[0] for line in said] == ["one:", "one:", "two:", "two:"]
    assert "exact for" in said[1]
    assert "the next start resumes it" in said[3]

    weights = (tmp_path / "one" / "weights.safetensors").read_bytes()
    again: list[str] = []
    train_all(tmp_path, plan, report=again.append)
    assert again[0].startswith("  one: already trained, exact for")
    assert again[1] == "  two: resuming"
    assert "words are copied" in again[2]
    assert (tmp_path / "one" / "weights.safetensors").read_bytes() == weights


def test_a_damaged_run_does_not_stop_the_demo(tmp_path: Path, trained: Path) -> None:
    shutil.copytree(trained, tmp_path / "one")
    (tmp_path / "one" / "network.json").write_text("{")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "letter.txt").write_text("mine")
    said: list[str] = []
    plan = [Lesson("one", "counter"), Lesson("two", "counter"), Lesson("three", "counter", 0.002)]
    train_all(tmp_path, plan, report=said.append)
    assert any(line.startswith("  one: ") and "is it damaged?" in line for line in said)
    assert any(line.startswith("  two: ") and "already holds something else" in line for line in said)
    assert said[-1].startswith("  three: exact for")
    assert (tmp_path / "two" / "letter.txt").read_text() == "mine"


WARNING = """
import os, pathlib, warnings
from gatescope.cli.commands import demo

demo.train_all = lambda *_, **__: warnings.warn("there is no compiler.", RuntimeWarning)
demo.train_in_background(pathlib.Path("."), 1.0, os.getppid())
"""


def test_a_warning_of_the_training_of_the_demo_is_one_line(tmp_path: Path) -> None:
    """The process that trains prints warnings as the commands do, without the line of source that gave them."""
    command = [sys.executable, "-c", WARNING]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stderr == "note: there is no compiler.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_training_ends_with_the_demo(program: Program, tmp_path: Path, number: signal.Signals) -> None:
    process = program("demo", "--runs", "it", "--port", 0, "--no-browser")
    address(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "  counter: training\n"
    run = Run(tmp_path / "it" / "counter")
    wait_until(lambda: run.is_training or run.read(HISTORY), "the training begins")
    # A terminal sends Ctrl-C to every process that it started; a kill meets one alone.
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    # The pipe ends when nobody holds it any more: neither the page nor the training.
    out, err = process.communicate(timeout=PATIENCE)
    assert err == ""
    assert not run.is_training
    if number != signal.SIGKILL:
        assert process.returncode == 0
        assert "the next start resumes it" in out
