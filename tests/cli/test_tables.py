"""`gatescope patch`, `snapshot`, `distributions` and `weights`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def test_patch_prints_steps_and_writes_the_table(cli: Cli, run: Path) -> None:
    """The output has a line per step; the CSV has a row for the layer and one for each neuron."""
    result = cli("patch", "counter", "aaaXbb", "aXaXbb", "--signal", "c", "--csv", "p.csv")
    assert result.status == 0, result.err
    assert "recovered by the whole layer" in result.out
    rows = list(csv.DictReader(Path("p.csv").read_text().splitlines()))
    assert len(rows) == 6 * (5 + 1)
    assert (rows[6]["clean_symbol"], rows[6]["corrupted_symbol"], rows[6]["neuron"]) == ("a", "X", "-1")
    columns = json.loads(cli("patch", "counter", "aaaXbb", "aXaXbb", "--signal", "c", "--json").out)["columns"]
    assert columns["recovered"] == pytest.approx([float(row["recovered"]) for row in rows])
    assert "same number of steps" in cli("patch", "counter", "aX", "aaX").refused()
    assert "Layer: expected one of 0, got '4'" in cli("patch", "counter", "aX", "XX", "--layer", 4).refused()


def test_snapshot_prints_one_row_per_different_string(cli: Cli, run: Path) -> None:
    """The task's strings a^N X b^N give one row for each N, and --at takes a symbol or a step."""
    result = cli("snapshot", "counter", "aXb\naaXbb\naXb\n", "--at", "X", "--signal", "c")
    assert result.status == 0, result.err
    assert "c of 5 neurons in 2 different sequences" in result.out
    steps = json.loads(cli("snapshot", "counter", "aXb\naaXbb\n", "--at", "-1", "--json").out)["columns"]["step"]
    assert steps == [3] * 5 + [5] * 5
    assert "got 'q'" in cli("snapshot", "counter", "aXb\n", "--at", "q").refused()


def test_distributions_print_every_signal(cli: Cli, run: Path) -> None:
    """The output has a row with a histogram per signal; --csv writes two files."""
    result = cli("distributions", "counter", "aaXbb\n", "--csv", "d.csv", "--by-neuron", "--bins", 6)
    assert result.status == 0, result.err
    assert [line.split()[1] for line in result.out.splitlines() if line.lstrip().startswith("0 ")] == list("ifgoch")
    assert len(Path("d.csv").read_text().splitlines()) == 1 + 6 * 6 * (1 + 5)
    assert len(Path("d-moments.csv").read_text().splitlines()) == 1 + 6 * (1 + 5)
    assert "expected at least 1, got 0" in cli("distributions", "counter", "aX", "--bins", 0).refused()


def test_weights_print_the_largest_first(cli: Cli, run: Path) -> None:
    """The rows are sorted by size, and --kind keeps one kind."""
    result = cli("weights", "counter", "--kind", "input", "--csv", "w.csv")
    assert result.status == 0, result.err
    sizes = [abs(float(line.split()[-1].replace("−", "-"))) for line in result.out.splitlines()[3:23]]
    assert sizes == sorted(sizes, reverse=True)
    rows = list(csv.DictReader(Path("w.csv").read_text().splitlines()))
    assert len(rows) == 4 * 5 * 4
    assert {row["kind"] for row in rows} == {"input"}
