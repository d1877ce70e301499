"""`gatescope predict` for series: the steps after the end of the run's series, or of another series."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

import gatescope
from tests.cli.conftest import Cli


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of two noisy series with seasons of 6 steps."""
    random = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * np.arange(240) / 6)
    rows = [
        f"{k},{10 + 3 * x + y:.3f},{5 - x:.3f}" for k, (x, y) in enumerate(zip(wave, random.random(240), strict=True))
    ]
    path = tmp_path_factory.mktemp("series") / "waves.csv"
    path.write_text("\n".join(["day,a,b", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def waves(series: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of the series after few updates, which tests must not change."""
    path = tmp_path_factory.mktemp("trained") / "waves"
    task = gatescope.TASKS["forecasting"](series, window=12, horizon=2, season=6)
    gatescope.train(gatescope.create_run(path, task), steps=5)
    return path


def test_predict_forecasts_and_draws_a_series(cli: Cli, series: Path) -> None:
    begun = cli("train", "forecasting", series, "--window", 12, "--horizon", 2, "--season", 6, "--steps", 20)
    assert begun.status == 0, begun.err
    assert "Score: MASE" in begun.out
    result = cli("predict", "waves", "--svg", "waves.svg", "--csv", "next.csv")
    assert result.status == 0, result.err
    assert result.out.startswith(
        "Forecast after step 240, the last one. The interval from lower to upper should hold 80% of the values."
    )
    assert re.search(r"^a +1 +", result.out, re.MULTILINE)
    assert "Score on the test part: MASE" in result.out
    assert Path("waves.svg").read_text().startswith("<svg")
    rows = list(csv.DictReader(Path("next.csv").read_text().splitlines()))
    assert [(row["column"], row["ahead"]) for row in rows] == [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]
    (line,) = cli("predict", "waves", "--json").out.splitlines()
    columns = json.loads(line)["columns"]
    assert columns["forecast"] == pytest.approx([float(row["forecast"]) for row in rows])
    assert all(
        low <= mid <= high for low, mid, high in zip(*map(columns.get, ("lower", "forecast", "upper")), strict=True)
    )
    assert (
        "Steps ahead: expected from 1 to 2, got 3" in cli("predict", "waves", "--svg", "x.svg", "--ahead", 3).refused()
    )
    assert "in the missing folder none" in cli("predict", "waves", "--svg", "none/x.svg").refused()
    assert not Path("x.svg").exists()


def test_predict_refuses_options_of_another_task(cli: Cli, run: Path, waves: Path) -> None:
    """Options of series are refused for texts, and texts for series."""
    assert "expected a run of the task forecasting" in cli("predict", "counter", "aX", "--horizon", 1).refused()
    assert "expected a file of numbers" in cli("predict", waves, "aX").refused()
    assert "expected --svg FILE beside it" in cli("predict", waves, "--ahead", 1).refused()
    assert "Options for another series: expected its file" in cli("predict", waves, "--phase", 1).refused()
    assert "Steps ahead: expected from 1 to 2, got 3" in cli("predict", waves, "--horizon", 3).refused()


def test_predict_another_series(cli: Cli, waves: Path, series: Path, tmp_path: Path) -> None:
    """A longer series continues the season, another series needs --phase, and missing columns are refused."""
    lines = series.read_text().splitlines()
    longer, later, other = (tmp_path / name for name in ("longer.csv", "later.csv", "other.csv"))
    longer.write_text("\n".join([*lines, "240,11.2,4.1", "241,12.1,3.9"]) + "\n")
    result = cli("predict", waves, longer, "--horizon", 1)
    assert result.status == 0, result.err
    assert result.out.startswith("Forecast after step 242, the last one")
    assert [line.split()[:2] for line in result.out.splitlines()[3:5]] == [["a", "1"], ["b", "1"]]
    rows = [f"day {k},{line.split(',', 1)[1]}" for k, line in enumerate(lines[20:])]
    later.write_text("\n".join([lines[0], *rows]) + "\n")
    assert "Use --phase" in cli("predict", waves, later).refused()
    assert cli("predict", waves, later, "--phase", 1).status == 0
    assert "expected 0 to 5, got 6" in cli("predict", waves, later, "--phase", 6).refused()
    other.write_text("day,x\n" + "\n".join(f"{k},{k}" for k in range(40)))
    assert "x" in cli("predict", waves, other).refused()


def test_train_lists_bad_rows_before_training(cli: Cli, series: Path, tmp_path: Path) -> None:
    lines = series.read_text().splitlines()
    lines[3], lines[9] = "2,NaN,1", "8,1,x"
    bad = tmp_path / "bad.csv"
    bad.write_text("\n".join(lines))
    result = cli("train", "forecasting", bad)
    assert result.status == 2
    for fault in ("Line 4, column 'a': Expected a number, got none", "Line 10, column 'b': Expected a number, got 'x'"):
        assert fault in result.err
    assert not Path("runs").exists()
