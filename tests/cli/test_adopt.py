"""`gatescope adopt` and `gatescope export`: after the one every other command works, after the other every program."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gatescope import Run
from tests.adopting.models import IDS, SYMBOLS, assert_same, model
from tests.adopting.test_lstm_explorer import recording, written
from tests.cli.conftest import Cli


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint, its vocabulary and a text, in the current directory of `cli`."""
    torch.save({"state_dict": model("GRU", num_layers=2).state_dict()}, tmp_path / "mine.pt")
    (tmp_path / "symbols.json").write_text(json.dumps(list(SYMBOLS)))
    (tmp_path / "notes.txt").write_text("abcdefg" * 40)
    return tmp_path / "mine.pt"


def test_an_adopted_network_is_an_ordinary_run(cli: Cli, source: Path, tmp_path: Path) -> None:
    found = cli("adopt", source, "--vocabulary", "symbols.json", "--text", "notes.txt", "--json")
    assert found.status == 0, found.err
    said = json.loads(found.out)
    assert said["run"] == "runs/mine"
    assert [layer["cell"] for layer in said["layers"]] == ["gru", "gru"]
    assert said["residual"] <= said["tolerance"]
    # The loss, computed once more from what torch itself gives.
    ids = torch.arange(280) % 7
    logits = model("GRU", num_layers=2)(ids[:-1].unsqueeze(1)).squeeze(1)
    expected = torch.nn.functional.cross_entropy(logits, ids[1:]).item()
    assert said["score"]["value"] == pytest.approx(expected, abs=1e-5)
    assert said["score"]["chance"] == pytest.approx(np.log(7))

    network, step = Run(tmp_path / "runs" / "mine").network()
    assert step == 0
    assert_same(network, model("GRU", num_layers=2)(IDS).detach())
    for command in (["check", "mine"], ["record", "mine", "abc"], ["sample", "mine", "--length", "5"], ["runs"]):
        result = cli(*command)
        assert result.status == 0, (command, result.err)
    assert "every equation holds" in cli("check", "mine").out
    assert cli("health", "mine").status == 0
    assert "cannot be trained further" in cli("train", "--resume", "--run", "runs/mine", "--steps", "9").refused()


def test_a_second_one_gets_a_number_and_a_text_may_be_the_vocabulary(cli: Cli, source: Path) -> None:
    assert "runs/mine:" in cli("adopt", source, "--corpus", "notes.txt").out
    assert "runs/mine-2:" in cli("adopt", source, "--corpus", "notes.txt").out
    assert "already holds" in cli("adopt", source, "--corpus", "notes.txt", "--run", "runs/mine").refused()


def test_there_and_back(cli: Cli, source: Path, tmp_path: Path) -> None:
    cli("adopt", source, "--vocabulary", "symbols.json")
    expected = model("GRU", num_layers=2)(IDS).detach()
    for name in ("out.pt", "out.safetensors", "out.onnx"):
        assert cli("export", "mine", name).status == 0
        run = f"runs/back{Path(name).suffix}"
        assert cli("adopt", name, "--vocabulary", "symbols.json", "--run", run).status == 0
        assert_same(Run(tmp_path / run).network()[0], expected)
    assert "--overwrite" in cli("export", "mine", "out.pt").refused()
    assert cli("export", "mine", "out.pt", "--overwrite").status == 0
    assert "--to" in cli("export", "mine", "out.bin").refused()
    assert json.loads(cli("export", "mine", "out.bin", "--to", "onnx", "--json").out)["format"] == "onnx"


def test_what_is_missing_is_said(cli: Cli, source: Path, tmp_path: Path) -> None:
    assert "neither was given" in cli("adopt", source).refused()
    both = cli("adopt", source, "--vocabulary", "symbols.json", "--corpus", "notes.txt")
    assert "both were given" in both.refused()
    (tmp_path / "few.json").write_text('["a", "b"]')
    assert "has 7 rows" in cli("adopt", source, "--vocabulary", "few.json").refused()
    assert (
        "no layers 'encoder'" in cli("adopt", source, "--vocabulary", "symbols.json", "--layers", "encoder").refused()
    )
    assert not (tmp_path / "runs").exists()


def test_bytes_and_end_marks(cli: Cli, source: Path, tmp_path: Path) -> None:
    values = {
        **model(neurons=4).state_dict(),
        "embedding.weight": torch.randn(256, 5),
        "fc.weight": torch.randn(256, 4),
    }
    torch.save({**values, "fc.bias": torch.randn(256)}, tmp_path / "bytes.pt")
    assert cli("adopt", "bytes.pt", "--vocabulary", "bytes").status == 0
    assert Run(tmp_path / "runs" / "bytes").configuration().vocabulary.bytes
    assert cli("adopt", source, "--vocabulary", "symbols.json", "--end", "g").status == 0
    assert Run(tmp_path / "runs" / "mine").configuration().vocabulary.end == "g"
    assert cli("adopt", source, "--corpus", "notes.txt", "--end", "g").status == 0
    for option in ("--vocabulary", "symbols.json"), ("--corpus", "notes.txt"):
        assert "end mark" in cli("adopt", source, *option, "--end", "z").refused()


def test_a_recording_of_lstm_explorer(cli: Cli, tmp_path: Path) -> None:
    right, wrong = recording(), recording()
    wrong["o"] = np.roll(wrong["o"], 1, axis=0)
    written(tmp_path / "right.json", [right])
    written(tmp_path / "wrong.json", [wrong])
    assert cli("adopt", "right.json", "--out", "right").status == 0
    result = cli("adopt", "wrong.json", "--out", "wrong")
    assert result.status == 1
    assert "DOES NOT HOLD" in result.out
    assert "c of layer0 holds for all neurons at 11 of 11 steps" in result.out
    assert cli("check", "right").status == 0
    assert cli("check", "wrong").status == 1
    assert "--out" in cli("adopt", "right.json").refused()
