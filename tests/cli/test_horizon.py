"""`gatescope horizon` and `gatescope compare`."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gatescope import Run
from gatescope.studies.comparison import reach
from tests.cli.conftest import Cli
from tests.waiting import PATIENCE, wait_until

TEXT = "aaaaaXbbbbb"
QUICK = ("--samples", 5, "--text", TEXT)
SMALL = ("--cells", "elman,lstm:f=3", "--seeds", 2, "--steps", 20, "--neurons", 3)


def columns(out: str) -> dict[str, dict[str, list[object]]]:
    """Return the columns of each table of a JSON answer."""
    (line,) = out.splitlines()
    return {name: table["columns"] for name, table in json.loads(line).items()}


# --- horizon ---------------------------------------------------------------------------------------------------------


def test_horizon_prints_three_tables(cli: Cli, run: Path) -> None:
    result = cli("horizon", "counter", *QUICK)
    assert result.status == 0, result.err
    assert "Memory horizon: steps until influence has fallen to 1/e" in result.out
    for line in (r"input +root of change", r"h of layer0 +gradient", r"c by c +direct +diag\(f\) +\S+ +100%"):
        assert re.search(line, result.out), (line, result.out)
    assert "run" not in result.out.split("\n\n")[1].splitlines()[0].split()  # one run needs no column


def test_horizon_equals_the_library(cli: Cli, run: Path) -> None:
    result = columns(cli("horizon", "counter", "--json", *QUICK).out)
    net, step = Run(run).network()
    expected = reach(net, TEXT, samples=5)
    assert result["horizons"]["run"] == ["counter"] * len(expected.horizons)
    assert set(result["layers"]["step"]) == {step}
    assert result["layers"]["gradient"] == pytest.approx(expected.layers["gradient"].tolist(), rel=1e-12)
    assert result["terms"]["share"] == pytest.approx(expected.terms["share"].tolist(), rel=1e-12)
    assert result["terms"]["formula"] == expected.terms["formula"].tolist()


def test_horizon_prints_checkpoints_and_runs_together(cli: Cli, run: Path) -> None:
    steps = Run(run).checkpoints()
    result = columns(cli("horizon", "counter", run, "--checkpoint", "all", "--json", *QUICK).out)
    assert result["layers"]["step"] == steps * 2
    result = columns(cli("horizon", "counter", "--checkpoint", 0, "--json", *QUICK).out)
    assert result["layers"]["step"] == [0]


def test_horizon_writes_three_files(cli: Cli, run: Path, tmp_path: Path) -> None:
    result = cli("horizon", "counter", "--csv", "h.csv", *QUICK)
    assert result.status == 0, result.err
    for name, column in (("h.csv", "1/e"), ("h-layers.csv", "growth"), ("h-terms.csv", "share")):
        with (tmp_path / name).open(encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
        assert rows
        assert {"run", "step", column} <= set(rows[0])


def test_horizon_defaults_to_held_out_text(cli: Cli, run: Path) -> None:
    result = cli("horizon", "counter", "--characters", 60, "--samples", 4)
    assert result.status == 0, result.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "expected a run, as in `gatescope horizon counter`, got none"),
        (("nothing",), "Run: expected one of counter, got 'nothing'"),
        (("counter", "--layer", 1), "Layer: expected one of 0, got '1'"),
        (("counter", "--checkpoint", 7), "a checkpoint of the run counter (0, 30), got '7'"),
        (("counter", "--checkpoint", "last"), "a checkpoint of the run counter (0, 30), got 'last'"),
        (("counter", "--furthest", 0), "Option --furthest: expected 1 or more, got 0"),
        (("counter", "--samples", -1), "Option --samples: expected 1 or more, got -1"),
        (("counter", "--text", "aXb", "--distance", 3), "Distance of the gradients: expected"),
        (("counter", "--text", "aXb", "--file", "x.txt"), "expected a text or --file, got both"),
        (("counter", "--text", ""), "nothing to record"),
        (("counter", "--csv", "no/h.csv"), "in the missing folder no"),
    ],
)
def test_horizon_refuses(cli: Cli, run: Path, arguments: tuple[object, ...], sentence: str) -> None:
    assert sentence in cli("horizon", *arguments).refused()


# --- compare ---------------------------------------------------------------------------------------------------------


def test_compare_trains_each_cell_and_prints_results(cli: Cli, tmp_path: Path) -> None:
    result = cli("compare", "counter", *SMALL, "--on", TEXT, "--csv", "c.csv")
    assert result.status == 0, result.err
    place = tmp_path / "runs" / "compare-counter"
    assert sorted(path.name for path in place.iterdir()) == ["elman-0", "elman-1", "lstm-f=3-0", "lstm-f=3-1"]
    assert re.search(r"lstm:f=3 +0 of 2 +20 ", result.out)
    assert "norm of the derivative of h by the states 5 steps earlier" in result.out
    for name, rows in (("c.csv", 4), ("c-trainings.csv", 8)):
        with (tmp_path / name).open(encoding="utf-8") as handle:
            assert len(list(csv.DictReader(handle))) == rows
    # Every training is an ordinary run.
    assert cli("check", place / "lstm-f=3-1").status == 0
    # The same command with this folder trains nothing again.
    times = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    again = columns(cli("compare", "counter", *SMALL, "--on", TEXT, "--out", place, "--json").out)
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()} == times
    assert again["summary"]["cell"] == ["elman", "elman", "lstm:f=3", "lstm:f=3"]
    assert set(again["trainings"]["seed"]) == {0, 1}


def test_compare_prints_no_control_characters_of_its_folder(cli: Cli) -> None:
    """A folder name with control characters does not act on the terminal."""
    options = ("--cells", "mingru", "--seeds", 1, "--steps", 4, "--neurons", 2, "--on", TEXT, "--distance", 2)
    result = cli("compare", "counter", *options, "--furthest", 3, "--out", "a\x1b[2Jb\u202e")
    assert result.status == 0, result.err
    assert "The runs are in a␛[2Jb<U+202E>." in result.out
    assert "\x1b" not in result.out


def test_compare_accepts_a_text(cli: Cli, text: Path) -> None:
    options = ("--cells", "mingru", "--seeds", 1, "--steps", 4, "--neurons", "3,2", "--unroll", 8, "--batch", 2)
    result = cli("compare", text, *options, "--on", "line 7 of a text that is short", "--furthest", 10, "--json")
    assert result.status == 0, result.err
    answer = columns(result.out)
    assert answer["trainings"]["solved"] == [None] * len(answer["trainings"]["when"])
    assert answer["summary"]["seeds"] == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "expected the name of a task"),
        (("nothing",), "or the path of a text, got 'nothing'"),
        (("counter", "--cells", "lstm,lst"), "got 'lst'"),
        (("counter", "--cells", "lstm:q=1"), "expected initial biases as in lstm:f=3"),
        (("counter", "--cells", "lstm,lstm"), "no repeats"),
        (("counter", "--seeds", 0), "Option --seeds: expected 1 or more, got 0"),
        (("counter", "--neurons", "x"), "got 'x'"),
        (("counter", "--steps", 5, "--minutes", 1), "expected --steps or --minutes, got both"),
        (("counter", "--distance", 99), "got 99"),
        (("counter", "--learning-rate", 0), "got 0"),
    ],
)
def test_compare_refuses_before_training(
    cli: Cli, tmp_path: Path, arguments: tuple[object, ...], sentence: str
) -> None:
    assert sentence in cli("compare", *arguments).refused()
    assert not (tmp_path / "runs").exists()


def test_compare_after_ctrl_c_prints_complete_trainings(
    program: Callable[..., subprocess.Popen[str]], cli: Cli, tmp_path: Path
) -> None:
    options = ("--cells", "mingru", "--seeds", 400, "--steps", 20, "--neurons", 2, "--on", TEXT, "--out", "it")
    process = program("compare", "counter", *options, "--json")
    wait_until(lambda: (tmp_path / "it" / "mingru-2").exists() or process.poll() is not None, "the third training")
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    result = json.loads(out.splitlines()[-1])["trainings"]
    complete = set(result["columns"]["seed"])
    assert {0, 1} <= complete
    assert len(result["about"]["missing"]) == 400 - len(complete)
