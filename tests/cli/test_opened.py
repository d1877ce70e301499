"""How often a command reads each file of its run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatescope.runs import run as run_module
from gatescope.runs import tensors
from tests.cli.conftest import Cli

STRINGS = "aaXbb\naXb\naaaXbbb\n"
COMMANDS: dict[str, tuple[object, ...]] = {
    "ablate": (STRINGS, "--neuron", 1),
    "check": (STRINGS,),
    "export": ("counter.pt",),
    "health": (STRINGS,),
    "horizon": ("--text", STRINGS, "--furthest", 3, "--samples", 4),
    "passages": (STRINGS, "--neuron", 1),
    "patch": ("aXb", "XXb"),
    "pattern": (STRINGS, "--range", "1:2"),
    "predict": ("aaX",),
    "record": (STRINGS,),
    "sample": ("--length", 3),
    "steer": ("--neuron", 0, "--feature", "character.is=b", "--samples", 2, "--length", 5),
}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return file name -> number of reads, for the files of runs."""
    counts: Counter[str] = Counter()

    def counting(read: Callable[..., bytes]) -> Callable[..., bytes]:
        def counted(path: Any, *arguments: Any, **options: Any) -> bytes:
            counts[Path(path).name] += 1
            return read(path, *arguments, **options)

        return counted

    for module in (run_module, tensors):
        monkeypatch.setattr(module, "read_regular", counting(module.read_regular))
    return counts


@pytest.mark.parametrize("command", COMMANDS)
def test_command_reads_each_file_of_its_run_once(cli: Cli, run: Path, reads: Counter[str], command: str) -> None:
    result = cli(command, "counter", *COMMANDS[command])
    assert result.status == 0, result.err
    assert reads["network.json"] == reads["weights.safetensors"] == 1
    assert reads["task.json"] <= 1


def test_errors_reads_each_file_of_its_run_once(cli: Cli, text: Path, reads: Counter[str]) -> None:
    options = ("--neurons", 3, "--steps", 4, "--unroll", 8, "--batch", 2, "--run", "notes")
    assert cli("train", text, *options).status == 0
    reads.clear()
    result = cli("errors", "notes", "--orders", 1, "--characters", 400)
    assert result.status == 0, result.err
    assert [reads[name] for name in ("network.json", "task.json", "weights.safetensors")] == [1, 1, 1]
