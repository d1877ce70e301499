"""`gatescope forecast`."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Cli


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two noisy seasons of 6 steps."""
    random = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * np.arange(240) / 6)
    rows = [
        f"{k},{10 + 3 * x + y:.3f},{5 - x:.3f}" for k, (x, y) in enumerate(zip(wave, random.random(240), strict=True))
    ]
    path = tmp_path_factory.mktemp("series") / "waves.csv"
    path.write_text("\n".join(["day,a,b", *rows]) + "\n")
    return path


def test_a_series_is_learned_forecast_and_drawn(cli: Cli, series: Path) -> None:
    begun = cli("train", "forecasting", series, "--window", 12, "--horizon", 2, "--season", 6, "--steps", 20)
    assert begun.status == 0, begun.err
    assert "score: MASE" in begun.out
    result = cli("forecast", "waves", "--svg", "waves.svg", "--csv", "next.csv")
    assert result.status == 0, result.err
    assert result.out.startswith("After step 240, the last one; 80% of the values should be between the ends.")
    assert re.search(r"^a +1 +", result.out, re.MULTILINE)
    assert "On the test part: MASE" in result.out
    assert Path("waves.svg").read_text().startswith("<svg")
    rows = list(csv.DictReader(Path("next.csv").read_text().splitlines()))
    assert [(row["column"], row["ahead"]) for row in rows] == [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]
    (line,) = cli("forecast", "waves", "--json").out.splitlines()
    columns = json.loads(line)["columns"]
    assert columns["forecast"] == pytest.approx([float(row["forecast"]) for row in rows])
    assert all(
        low <= mid <= high for low, mid, high in zip(*map(columns.get, ("lower", "forecast", "upper")), strict=True)
    )
    assert "1 to 2 steps ahead; 3 was given" in cli("forecast", "waves", "--svg", "x.svg", "--ahead", 3).refused()
    assert "there is no folder" in cli("forecast", "waves", "--svg", "none/x.svg").refused()
    assert not Path("x.svg").exists()


def test_other_runs_forecast_nothing(cli: Cli, run: Path) -> None:
    assert "forecasts nothing" in cli("forecast", "counter").refused()


def test_what_is_wrong_in_a_file_is_said_before_training(cli: Cli, series: Path, tmp_path: Path) -> None:
    lines = series.read_text().splitlines()
    lines[3], lines[9] = "2,NaN,1", "8,1,x"
    bad = tmp_path / "bad.csv"
    bad.write_text("\n".join(lines))
    result = cli("train", "forecasting", bad)
    assert result.status == 2
    for fault in ("line 4: a is missing", "line 10: b is 'x'"):
        assert fault in result.err
    assert not Path("runs").exists()
