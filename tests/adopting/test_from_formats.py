"""One function for each format: the same network as `adopt` makes, models in memory, and the name of the right one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import gatescope
from gatescope import Network, configure
from gatescope.adopting import AdoptingError, save
from gatescope.adopting.adopt import checked_path
from gatescope.adopting.live_models import of_torch
from tests.adopting.models import IDS, VOCABULARY, Model, arrays, assert_same, model, save_torch
from tests.adopting.test_keras import drawn, expected, keras3, layers_of, sequential

FUNCTIONS = ("from_torch", "from_keras", "from_onnx", "from_safetensors")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Function -> a file that it reads."""
    layers = layers_of(("rnn", "LSTM", drawn("LSTM", 5, 0)))
    save(Network(configure(VOCABULARY, "lstm", (4,), embedding=3), seed=1), tmp_path / "m.onnx", "onnx")
    save_file(model().state_dict(), tmp_path / "m.safetensors")
    np.savez(tmp_path / "m.npz", allow_pickle=False, **arrays(model()))
    return {
        "from_torch": save_torch(tmp_path / "m.pt", model().state_dict()),
        "from_keras": keras3(tmp_path / "m.keras", layers, sequential(layers, return_sequences=True)),
        "from_onnx": tmp_path / "m.onnx",
        "from_safetensors": tmp_path / "m.safetensors",
        "adopt": tmp_path / "m.npz",
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_of_a_format_gives_the_run_of_adopt(function: str, files: dict[str, Path], tmp_path: Path) -> None:
    own = getattr(gatescope, function)(str(files[function]), tmp_path / "own", VOCABULARY, text="abcdefg")
    same = gatescope.adopt(files[function], tmp_path / "same", VOCABULARY, text="abcdefg")
    assert (own.format, own.notes, own.score) == (same.format, same.notes, same.score)
    with torch.no_grad():
        assert torch.equal(own.run.network()[0](IDS).logits, same.run.network()[0](IDS).logits)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_refuses_other_formats_by_their_function(
    function: str, files: dict[str, Path], tmp_path: Path
) -> None:
    for other, path in files.items():
        if other != function:
            with pytest.raises(AdoptingError, match=rf"{path.name}: expected .* got .*Call gatescope\.{other}\.$"):
                getattr(gatescope, function)(path, tmp_path / "run", VOCABULARY)
    assert not (tmp_path / "run").exists()


def test_function_of_files_refuses_a_model_in_memory(tmp_path: Path) -> None:
    for function in ("adopt", "from_onnx", "from_safetensors"):
        with pytest.raises(AdoptingError, match=rf"{function}: expected the path.*Model.*gatescope\.from_torch"):
            checked_path(model(), function)
    with pytest.raises(AdoptingError, match=r"from_keras: expected the path.*Model.*gatescope\.from_torch"):
        gatescope.from_keras(model(), tmp_path / "run", VOCABULARY)


@pytest.mark.parametrize("form", ["module", "state dict", "parameters", "file"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("LSTM", {"num_layers": 2}),
        ("LSTM", {"bidirectional": True}),
        ("GRU", {}),
        ("RNN", {"nonlinearity": "relu"}),
        ("RNN", {}),
    ],
)
def test_from_torch_of_a_live_model_predicts_what_torch_does(
    kind: str, options: dict[str, Any], form: str, tmp_path: Path
) -> None:
    """Modules, state dicts and files give torch's log-probabilities to 1e-6; later training changes no run."""
    source = model(kind, **options)
    forms: dict[str, Any] = {
        "module": source,
        "state dict": source.state_dict(),
        "parameters": dict(source.named_parameters()),
        "file": save_torch(tmp_path / "m.pt", source),
    }
    known = {} if form == "module" or kind != "RNN" else {"nonlinearity": options.get("nonlinearity", "tanh")}
    adoption = gatescope.from_torch(forms[form], tmp_path / "run", VOCABULARY, reads="every step", **known)
    with torch.no_grad():
        log_probs = source(IDS).log_softmax(-1)
        for value in source.parameters():
            value.add_(1.0)
        predictions = adoption.assembled.network(IDS).logits.log_softmax(-1)
        stored = adoption.run.network()[0](IDS).logits.log_softmax(-1)
    np.testing.assert_allclose(predictions, log_probs, rtol=0, atol=1e-6)
    np.testing.assert_allclose(stored, log_probs, rtol=0, atol=1e-6)


def test_from_torch_notes_a_gru_known_by_its_shape_alone(tmp_path: Path) -> None:
    """A coupled-gate LSTM and a GRU that resets before the product have the arrays of torch's GRU."""

    class OwnGRU(torch.nn.GRU):
        """A cell of somebody's own."""

    source, other = model("GRU"), model("GRU")
    other.rnn = OwnGRU(5, 6)
    notes = [
        gatescope.from_torch(form, tmp_path / f"run{k}", VOCABULARY).notes
        for k, form in enumerate((source, source.state_dict(), other))
    ]
    about = [[note for note in own if "was read as torch's GRU" in note] for own in notes]
    assert [len(own) for own in about] == [0, 1, 1]
    assert "--corpus" in about[1][0]
    assert "unigram baseline" in about[1][0]


def test_from_torch_refuses_what_is_no_state_dict(tmp_path: Path) -> None:
    values = model().state_dict()
    cases: list[tuple[Any, str]] = [
        ({}, "got none"),
        ({"state_dict": values}, r"got OrderedDict\. Give the state dict alone, such as checkpoint\['state_dict'\]"),
        ({**values, "epoch": 3}, r"under the name 'epoch', got int"),
        (arrays(model()), r"got ndarray"),
    ]
    for source, words in cases:
        with pytest.raises(AdoptingError, match=words):
            of_torch(source)
    rnn = model("RNN", nonlinearity="relu")
    with pytest.raises(AdoptingError, match="got 'tanh' for relu"):
        gatescope.from_torch(rnn, tmp_path / "run", VOCABULARY, nonlinearity="tanh")


def test_from_torch_reads_another_device_or_precision(tmp_path: Path) -> None:
    source = model().double()
    adoption = gatescope.from_torch(source, tmp_path / "run", VOCABULARY)
    assert_same(adoption.assembled.network, source(IDS).detach())
    assert isinstance(source, Model)
    assert adoption.run.task().to_json()["source"] == "Model"


class SavedModel:
    """Stands for a Keras model: `save` writes the file that Keras would write."""

    name = "sequential"

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def save(self, path: Path) -> None:
        if self.path is not None:
            shutil.copy(self.path, path)


def test_from_keras_of_a_live_model_is_that_of_its_file(files: dict[str, Path], tmp_path: Path) -> None:
    adoption = gatescope.from_keras(SavedModel(files["from_keras"]), tmp_path / "run", VOCABULARY)
    assert_same(adoption.assembled.network, expected(("LSTM", drawn("LSTM", 5, 0))))
    with pytest.raises(AdoptingError, match=r"whose save\(path\) writes a \.keras file, got SavedModel"):
        gatescope.from_keras(SavedModel(None), tmp_path / "other", VOCABULARY)
