"""Ctrl-C, SIGTERM and SIGKILL during a training, and resuming it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gatescope import Run, train
from gatescope.cli import main
from gatescope.cli.interrupt import Stop
from tests.cli.conftest import ENVIRONMENT, TEXT, Cli

STEPS = 260
OPTIONS = ("--neurons", 3, "--unroll", 16, "--batch", 4, "--steps", STEPS)


def losses(run: Path) -> list[tuple[int, float]]:
    return [(record["step"], record["loss"]) for record in Run(run).read("history.jsonl") if "loss" in record]


# The program sends itself the signal, because another process could be too late.
SIGNALLED = """
import builtins, json, os, sys
from gatescope.cli import main

steps, number, write, sent = int(sys.argv[1]), int(sys.argv[2]), print, []

def watched(*values, **options):
    write(*values, **options)
    if not sent and options.get("file") is None and json.loads(values[0]).get("step", 0) >= steps:
        sent.append(number)
        os.kill(os.getpid(), number)

builtins.print = watched
sys.exit(main(sys.argv[3:]))
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, float]]:
    """Return the losses of an uninterrupted training."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "notes.txt").write_text(TEXT, encoding="utf-8")
    assert main(["train", str(folder / "notes.txt"), *map(str, OPTIONS), "--run", str(folder / "it")]) == 0
    return losses(folder / "it")


def signalled(text: Path, steps: int, number: signal.Signals) -> subprocess.CompletedProcess[str]:
    """Run the same training in a process that receives a signal after some updates."""
    arguments = [steps, int(number), "train", text, *OPTIONS, "--run", "it", "--json"]
    command = [sys.executable, "-c", SIGNALLED, *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_train_after_ctrl_c_can_be_resumed(cli: Cli, text: Path, whole: list[tuple[int, float]]) -> None:
    """An interrupted training keeps its losses so far, and resumes to those of an uninterrupted one."""
    done = signalled(text, 120, signal.SIGINT)
    assert done.returncode == 130, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["reason"] == "interrupted"
    assert 120 <= losses(Path("it"))[-1][0] < STEPS
    assert cli("sample", "it", "--length", 5).status == 0
    assert losses(Path("it")) == [entry for entry in whole if entry[0] <= losses(Path("it"))[-1][0]]
    result = cli("train", "--resume", "--run", "it")
    assert result.status == 0
    assert losses(Path("it")) == whole


def test_train_after_kill_keeps_the_last_checkpoint(cli: Cli, text: Path, whole: list[tuple[int, float]]) -> None:
    """A killed training resumes from its last checkpoint to the losses of an uninterrupted one."""
    assert signalled(text, 220, signal.SIGKILL).returncode == -signal.SIGKILL
    assert STEPS > Run("it").checkpoints()[-1] >= 200
    assert cli("sample", "it", "--length", 5).status == 0
    assert cli("train", "--resume", "--run", "it").status == 0
    assert losses(Path("it")) == whole


def test_train_after_ctrl_c_prints_how_to_resume(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(run: Run, **settings: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return train(run, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr("gatescope.training.train", interrupted)
    result = cli("train", "counter", "--neurons", 2)
    assert result.status == 130
    assert "Stopped after 0 steps" in result.out
    assert "gatescope train --resume --run runs/counter" in result.out
    assert "again to end at once" in result.err


def test_second_ctrl_c_ends_at_once() -> None:
    with Stop() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        assert stop.status == 130
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sigterm_stops_like_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Stop() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
        assert stop.status == 143
    assert signal.getsignal(signal.SIGTERM) is before
