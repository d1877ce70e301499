"""`gatescope predict`."""

from __future__ import annotations

import csv
import json
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

import gatescope
from tests.cli.conftest import Cli


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of the task sentiment after few updates."""
    path = tmp_path_factory.mktemp("predict") / "reviews"
    gatescope.train(gatescope.create_run(path, gatescope.TASKS["sentiment"]()), steps=20)
    return path


def test_predict_classes_with_probabilities(cli: Cli, reviews: Path, tmp_path: Path) -> None:
    """Arguments, a file of lines and the Python function give the same table; JSON and CSV hold all columns."""
    texts = ["this is good", "this is not good"]
    result = cli("predict", reviews, *texts, "--csv", "p.csv")
    assert result.status == 0, result.err
    assert result.out.splitlines()[0].split() == ["text", "prediction", "probability", "p(bad)", "p(good)"]
    rows = list(csv.DictReader(Path("p.csv").read_text().splitlines()))
    expected = gatescope.predict(gatescope.Run(reviews), texts).table()
    assert [row["prediction"] for row in rows] == expected["prediction"].tolist()
    assert [float(row["p(good)"]) for row in rows] == pytest.approx(expected["p(good)"].tolist())
    Path("new.txt").write_text("this is good\n\nthis is not good\n")
    for arguments in (("new.txt",), ("--file", "new.txt")):
        answer = json.loads(cli("predict", reviews, *arguments, "--json").out)["columns"]
        assert answer["p(good)"] == pytest.approx(expected["p(good)"].tolist())


def test_predict_next_symbols(cli: Cli, run: Path) -> None:
    """The most probable symbols after the text, and after every step."""
    rows = json.loads(cli("predict", "counter", "aaX", "--top", 2, "--json").out)["columns"]
    assert rows["rank"] == [1, 2]
    assert rows["step"] == [2, 2]
    result = cli("predict", "counter", "aaX", "--top", 1, "--every-step")
    assert [line.split()[:2] for line in result.out.splitlines()[1:]] == [["0", "a"], ["1", "a"], ["2", "X"]]
    assert cli("predict", "counter").status == 0  # the first example of the task, which has several strings


def test_predict_refuses_with_a_sentence(cli: Cli, run: Path) -> None:
    """A text with a file, a missing file and too few symbols are refused with one sentence each."""
    Path("some.txt").write_text("aX\n")
    assert "got both" in cli("predict", "counter", "aX", "--file", "some.txt").refused()
    assert "no-such.txt" in cli("predict", "counter", "--file", "no-such.txt").refused()
    assert "at least 1, got 0" in cli("predict", "counter", "aX", "--top", 0).refused()
    assert "expected one of counter, got 'nothing'" in cli("predict", "nothing", "aX").refused()


def test_predict_missing_file_is_refused_not_read_as_text(cli: Cli, run: Path, tmp_path: Path) -> None:
    """The name of a folder is refused; a text longer than any file name is predicted."""
    (tmp_path / "folder").mkdir()
    assert "got a folder" in cli("predict", run, "folder").err
    assert cli("predict", run, "a" * 5000).status == 0
    assert cli("predict", run, "a\0a").status == 0


def test_predict_name_of_no_file_prints_a_note(cli: Cli, run: Path, tmp_path: Path) -> None:
    """A text that looks like the name of a file is still read as a text, but not in silence."""
    result = cli("predict", run, "aX.csv")
    assert result.status == 0
    assert "There is no file aX.csv" in result.err
    (tmp_path / "aX.csv").write_text("aX\n")
    assert "There is no file" not in cli("predict", run, "aX.csv", "aX").err
    assert "There is no file" not in cli("predict", run, "aX").err


def test_predict_names_the_empty_text(cli: Cli, reviews: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that reads an end mark predicts with a note; without one, there is nothing to predict."""
    result = cli("predict", reviews, "this is good", "")
    assert result.status == 0
    assert result.err == "note: 1 text is empty (2). The prediction is that of the end mark alone.\n"
    assert cli("predict", reviews, "this is good").err == ""
    assert cli("predict", run, "ab", "").refused().startswith("gatescope: Text 2: expected 1 symbol or more")
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b"\n\n")))
    assert "Standard input: expected a text, got an empty one." in cli("predict", reviews, "-").refused()
