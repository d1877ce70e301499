"""`gatescope adopt` and `gatescope export`: after the one every other command works, after the other every program."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gatescope import Run, record
from tests.adopting.models import IDS, SYMBOLS, assert_same, model
from tests.adopting.test_lstm_explorer import recording, written
from tests.cli.conftest import Cli


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Write a checkpoint, its vocabulary and a text into the current directory of `cli`; return the checkpoint."""
    torch.save({"state_dict": model("GRU", num_layers=2).state_dict()}, tmp_path / "mine.pt")
    (tmp_path / "symbols.json").write_text(json.dumps(list(SYMBOLS)))
    (tmp_path / "notes.txt").write_text("abcdefg" * 40)
    return tmp_path / "mine.pt"


def test_an_adopted_network_is_an_ordinary_run(cli: Cli, source: Path, tmp_path: Path) -> None:
    found = cli("adopt", source, "--vocabulary", "symbols.json", "--text", "notes.txt", "--json")
    assert found.status == 0, found.err
    answer = json.loads(found.out)
    assert answer["run"] == "runs/mine"
    assert [layer["cell"] for layer in answer["layers"]] == ["gru", "gru"]
    assert answer["residual"] <= answer["tolerance"]
    # The loss, computed once more from what torch itself gives.
    ids = torch.arange(280) % 7
    logits = model("GRU", num_layers=2)(ids[:-1].unsqueeze(1)).squeeze(1)
    expected = torch.nn.functional.cross_entropy(logits, ids[1:]).item()
    assert answer["score"]["value"] == pytest.approx(expected, abs=1e-5)
    assert answer["score"]["chance"] == pytest.approx(np.log(7))

    network, step = Run(tmp_path / "runs" / "mine").network()
    assert step == 0
    assert_same(network, model("GRU", num_layers=2)(IDS).detach())
    for command in (["check", "mine"], ["record", "mine", "abc"], ["sample", "mine", "--length", "5"], ["runs"]):
        result = cli(*command)
        assert result.status == 0, (command, result.err)
    assert "Every equation holds" in cli("check", "mine").out
    assert cli("health", "mine").status == 0
    assert "expected a checkpoint" in cli("train", "--resume", "--run", "runs/mine", "--steps", "9").refused()


def test_second_run_gets_a_number_and_a_text_is_a_vocabulary(cli: Cli, source: Path) -> None:
    assert "runs/mine:" in cli("adopt", source, "--corpus", "notes.txt").out
    assert "runs/mine-2:" in cli("adopt", source, "--corpus", "notes.txt").out
    assert (
        "expected an empty or new directory"
        in cli("adopt", source, "--corpus", "notes.txt", "--run", "runs/mine").refused()
    )


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
    assert "got none of them" in cli("adopt", source).refused()
    both = cli("adopt", source, "--vocabulary", "symbols.json", "--corpus", "notes.txt")
    assert "and --inputs NAMES, got --vocabulary and --corpus" in both.refused()
    (tmp_path / "few.json").write_text('["a", "b"]')
    assert (
        "expected 7 symbols, one for each row of embedding.weight"
        in cli("adopt", source, "--vocabulary", "few.json").refused()
    )
    assert (
        "--layers encoder: expected layers of the file, rnn"
        in cli("adopt", source, "--vocabulary", "symbols.json", "--layers", "encoder").refused()
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
    of_file = cli("adopt", source, "--vocabulary", "symbols.json", "--end", "z").refused()
    assert "--end z: expected a symbol of the vocabulary" in of_file
    assert "end mark" in cli("adopt", source, "--corpus", "notes.txt", "--end", "z").refused().lower()


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


WORDS = ["<pad>", "<unk>", "the", "film", "was", "good", "bad", "not"]


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """Write a classifier of texts that reads words in both directions, as is usual in torch, and its words."""
    torch.manual_seed(0)
    parts = torch.nn.ModuleDict(
        {
            "embedding": torch.nn.Embedding(len(WORDS), 5, padding_idx=0),
            "lstm": torch.nn.LSTM(5, 4, bidirectional=True, batch_first=True),
            "fc": torch.nn.Linear(8, 1),
        }
    )
    torch.save(parts.state_dict(), tmp_path / "reviews.pt")
    (tmp_path / "words.json").write_text(json.dumps({word: k for k, word in enumerate(WORDS)}))
    (tmp_path / "reviews.txt").write_text("The film was good.\n\nnot good\n\nbad\n")
    return tmp_path / "reviews.pt"


def test_a_classifier_of_texts_in_both_directions(cli: Cli, reviews: Path, tmp_path: Path) -> None:
    options = ("adopt", reviews, "--vocabulary", "words.json", "--classes", "bad,good", "--text", "reviews.txt")
    assert "--reads 'every step'" in cli(*options).refused()
    found = cli(*options, "--reads", "last step", "--json")
    assert found.status == 0, found.err
    answer = json.loads(found.out)
    assert answer["predicts"] == {"kind": "classes", "names": ["bad", "good"], "quantiles": [], "reads": "last step"}
    assert [layer["layer"] for layer in answer["layers"]] == ["layer0", "layer0_reverse"]
    assert answer["residual"] <= answer["tolerance"]
    # The probability of good, once more from torch.
    values = torch.load(reviews, weights_only=True)
    lstm = torch.nn.LSTM(5, 4, bidirectional=True)
    lstm.load_state_dict({n.removeprefix("lstm."): v for n, v in values.items() if n.startswith("lstm.")})
    state = lstm(values["embedding.weight"][[2, 3, 4, 7, 5, 1]])[1][0]
    z = values["fc.weight"] @ torch.cat([state[0], state[1]]) + values["fc.bias"]
    network, _ = Run(tmp_path / "runs" / "reviews").network()
    trace = record(network, "The film was not good !")
    log_probs = dict(
        zip(trace.steps["top_token"][0, -1].tolist(), trace.steps["top_probability"][0, -1].tolist(), strict=True)
    )
    assert log_probs[1] == pytest.approx(torch.sigmoid(z).item(), abs=1e-6)
    # Empty lines are between the sequences.
    assert record(network, (tmp_path / "reviews.txt").read_text()).lengths.tolist() == [5, 2, 1]
    for command in (["check", "reviews"], ["record", "reviews", "not good"], ["runs"], ["horizon", "reviews"]):
        result = cli(*command)
        assert result.status == 0, (command, result.err)


def test_numbers_in_and_out(cli: Cli, tmp_path: Path) -> None:
    torch.manual_seed(0)
    parts = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(1, 4, batch_first=True), "linear": torch.nn.Linear(4, 2)})
    torch.save(parts.state_dict(), tmp_path / "forecast.pt")
    (tmp_path / "series.csv").write_text("".join(f"{k / 10}\n" for k in range(30)))
    options = ("adopt", "forecast.pt", "--numbers", "1 day,2 days", "--reads", "every step")
    assert "--inputs NAMES for numbers, got none of them" in cli(*options).refused()
    found = cli(*options, "--inputs", "temperature", "--text", "series.csv", "--json")
    assert found.status == 0, found.err
    answer = json.loads(found.out)
    assert (answer["unit"], answer["embedding"], answer["predicts"]["names"]) == (
        "number",
        "numbers",
        ["1 day", "2 days"],
    )
    assert Run(tmp_path / "runs" / "forecast").task().examples()[0].startswith("0.0\n0.1\n")
    assert cli("check", "forecast").status == 0
    assert cli("record", "forecast", "0.5").status == 0
    (tmp_path / "header.csv").write_text("temperature\n0.5\n")
    refused = cli(*options, "--inputs", "1", "--text", "header.csv").refused()
    assert "Line 1 ('temperature'): expected the 1 number" in refused
    assert "got 1 name" not in refused
    assert "got 2 names: a, b" in cli(*options, "--inputs", "a,b").refused()
    for wrong in (["--inputs", "0"], ["--inputs", "1", "--end", "x"], ["--inputs", "1", "--unit", "word"]):
        assert cli(*options, *wrong).refused()
    assert "got both" in cli(*options, "--inputs", "1", "--classes", "a,b").refused()


def test_names_of_classes_in_a_file(cli: Cli, reviews: Path, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("bad\ngood\n")
    (tmp_path / "classes.json").write_text('{"bad": 0, "good": 1}')
    options = ("--vocabulary", "words.json", "--reads", "last step")
    for k, given in enumerate(("classes.txt", "classes.json")):
        assert cli("adopt", reviews, *options, "--run", f"runs/{k}", "--classes", given).status == 0
        assert Run(tmp_path / "runs" / str(k)).configuration().readout.names == ("bad", "good")
    (tmp_path / "classes.json").write_text('{"bad": 0, "good": 2}')
    assert "none for output 1" in cli("adopt", reviews, *options, "--classes", "classes.json").refused()


def test_adopt_names_a_missing_file_before_other_options(cli: Cli) -> None:
    assert cli("adopt", "missing.pt").refused().startswith("gatescope: missing.pt: expected a readable file")
