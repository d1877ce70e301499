"""Whatever stands beside a plain network in a file is adopted exactly, asked about or refused; never only noted."""

from __future__ import annotations

import argparse
import collections
import datetime as dt
import pathlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from gatescope import adopt
from gatescope.adopting import AdoptingError, Assembled, assemble, read
from gatescope.tasks import Adopted
from tests.adopting.models import IDS, VOCABULARY, assert_same, model, save_torch

N, E, V = 6, 5, 7


def state(**modules: nn.Module) -> dict[str, Tensor]:
    """Return the state dicts of modules, each prefixed with the name of its module."""
    return {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}


def parts(seed: int = 0) -> tuple[nn.Embedding, nn.LSTM, nn.Linear]:
    torch.manual_seed(seed)
    return nn.Embedding(V, E), nn.LSTM(E, N), nn.Linear(N, V)


def assembled(folder: Path, content: Any, **answers: Any) -> Assembled:
    return assemble(read(save_torch(folder / "m.pt", content)), VOCABULARY, **answers)


# --- arrays that are left over ----------------------------------------------------------------------------------------

EXTRAS: dict[str, dict[str, Tensor]] = {
    "norm": state(norm=nn.LayerNorm(N)),
    "norm of the input": state(norm_in=nn.LayerNorm(E)),
    "batch norm": state(bn=nn.BatchNorm1d(N, track_running_stats=False)),
    "norm inside": {"lstm.layernorm_i.weight": torch.randn(4 * N)},
    "peepholes": {f"lstm.weight_c{gate}": torch.randn(N) for gate in "ifo"},
    "multiplicative": {"lstm.weight_mx": torch.randn(N, E), "lstm.weight_mh": torch.randn(N, N)},
    "convolution": state(conv=nn.Conv1d(E, E, 3)),
    "projection of the input": state(project=nn.Linear(E, E)),
    "second embedding": state(position_embedding=nn.Embedding(40, E)),
    "attention": state(attention=nn.MultiheadAttention(N, 2)),
    "scale": {"scale": torch.tensor(2.0)},
    "temperature": {"temperature": torch.tensor([2.0])},
    "class weights": {"class_weights": torch.randn(V)},
    "only h0": {"h0": torch.randn(1, 1, N)},
    "carried state": {"hidden": torch.randn(1, 4, N)},
    "complex": {"filter": torch.randn(3, 3, dtype=torch.complex64)},
    "quantized": {"table": torch.ones(3, 3, dtype=torch.int8)},
}


@pytest.mark.parametrize("extra", EXTRAS)
def test_arrays_left_over_are_refused_by_name(extra: str, tmp_path: Path) -> None:
    embedding, lstm, out = parts()
    content = {**state(embedding=embedding, lstm=lstm, out=out), **EXTRAS[extra]}
    first = next(iter(EXTRAS[extra]))
    with pytest.raises(AdoptingError, match="left over") as refused:
        assembled(tmp_path, content)
    assert first.partition(".")[0] in str(refused.value)
    adopted = assembled(tmp_path, content, ignore=list(EXTRAS[extra]))
    assert_same(adopted.network, out(lstm(embedding(IDS))[0]).detach())
    assert any(first in note for note in adopted.notes)


def test_head_of_the_last_layer_is_left_out_without_a_readout(tmp_path: Path) -> None:
    """Signals are exact then; what may stand before the layers is still refused."""
    embedding, lstm, _ = parts()
    content = state(embedding=embedding, lstm=lstm, attention=nn.Linear(N, 1), fc=nn.Linear(N, 3))
    adopted = assembled(tmp_path, content, readout="none")
    assert any("attention.weight (1, 6)" in note and "fc.weight (3, 6)" in note for note in adopted.notes)
    square = nn.LSTM(N, N)
    content = state(embedding=nn.Embedding(V, N), lin=nn.Linear(N, N), lstm=square, out=nn.Linear(N, V))
    with pytest.raises(AdoptingError, match=r"left over.*lin\.weight"):
        assembled(tmp_path, content, readout="none")


def test_ignore_names_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(AdoptingError, match=r"^ignore=\['nrom\.\*'\]: expected"):
        assembled(tmp_path, model().state_dict(), ignore=["nrom.*"])


def test_copies_counters_and_averages_have_no_influence(tmp_path: Path) -> None:
    source = model()
    weights = source.state_dict()
    content = {
        "model": {**weights, "shared.weight": weights["embedding.weight"], "steps": torch.tensor([4])},
        "model_ema": {name: value * 0.9 for name, value in weights.items()},
    }
    assert_same(assembled(tmp_path, content).network, source(IDS).detach())


def test_one_layer_of_two_is_no_network(tmp_path: Path) -> None:
    """Between the layer that was chosen and the readout another one may stand."""
    torch.manual_seed(0)
    embedding, out = nn.Embedding(V, E), nn.Linear(N, V)
    content = state(embedding=embedding, a=nn.LSTMCell(E, N), b=nn.LSTMCell(N, N), out=out)
    for chosen in (["a"], []):
        with pytest.raises(AdoptingError, match=r"Layers left over|expected one network"):
            assembled(tmp_path, content, layers=chosen)
    assert len(assembled(tmp_path, content, layers=["a", "b"]).layers) == 2


# --- heads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_a_head_is_asked_about_and_then_exact(activation: str, tmp_path: Path) -> None:
    embedding, lstm, out = parts()
    fc = nn.Linear(N, N)
    content = state(embedding=embedding, lstm=lstm, fc=fc, out=out)
    with pytest.raises(AdoptingError, match=r"^Activation after fc\.weight \(6, 6\).*head_activation='relu'"):
        assembled(tmp_path, content)
    expected = out(getattr(nn.functional, activation)(fc(lstm(embedding(IDS))[0]))).detach()
    assert_same(assembled(tmp_path, content, head_activation=activation).network, expected)
    named = assembled(tmp_path, content, head=["fc.weight"], head_activation=activation)
    assert_same(named.network, expected)


def test_heads_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    embedding, lstm, out = parts()
    content = state(embedding=embedding, lstm=lstm, a=nn.Linear(N, N), b=nn.Linear(N, N), out=out)
    with pytest.raises(AdoptingError, match="expected one order"):
        assembled(tmp_path, content, head_activation="relu")
    assert len(assembled(tmp_path, content, head=["b.weight", "a.weight"], head_activation="relu").network.hidden) == 2
    for answers, words in (
        ({"head": ["c.weight"], "head_activation": "relu"}, r"^head=.'c\.weight'.: expected a matrix"),
        ({"head": ["a.weight", "b.weight"], "head_activation": "relu,tanh,relu"}, "expected 1 or 2 names"),
        ({"head": ["a.weight", "b.weight"], "head_activation": "rely"}, "expected one of"),
        ({"head": ["embedding.weight"], "head_activation": "relu"}, r"^head=.'embedding\.weight'.: expected"),
    ):
        with pytest.raises(AdoptingError, match=words):
            assembled(tmp_path, content, **answers)


def test_a_tied_readout_is_said(tmp_path: Path) -> None:
    torch.manual_seed(0)
    embedding, lstm, bias = nn.Embedding(V, N), nn.LSTM(N, N), torch.randn(V)
    content = {**state(embedding=embedding, lstm=lstm), "fc.bias": bias}
    adopted = assembled(tmp_path, content)
    assert_same(adopted.network, (lstm(embedding(IDS))[0] @ embedding.weight.T + bias).detach())
    assert any("embedding.weight" in note for note in adopted.notes)
    del content["fc.bias"]
    with pytest.raises(AdoptingError, match=r"^Readout: expected one matrix.*readout='embedding\.weight'"):
        assembled(tmp_path, content)


# --- weights in parts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["weight norm", "new weight norm", "columns", "spectral", "new spectral", "pruned"])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weights_in_parts_are_put_together(kind: str, tmp_path: Path) -> None:
    embedding, lstm, out = parts()
    for module, name in ((lstm, "weight_hh_l0"), (out, "weight"), (embedding, "weight")):
        if kind == "weight norm":
            nn.utils.weight_norm(module, name)
        elif kind == "columns":
            nn.utils.weight_norm(module, name, dim=1)
        elif kind == "new weight norm":
            parametrizations.weight_norm(module, name)
        elif kind == "pruned" and module is not lstm:
            prune.random_unstructured(module, name, 0.4)
        elif kind == "spectral" and module is out:
            nn.utils.spectral_norm(module, name)
        elif kind == "new spectral" and module is out:
            parametrizations.spectral_norm(module, name)
    for module in (embedding, lstm, out):
        module.eval()
    expected = out(lstm(embedding(IDS))[0]).detach()
    adopted = assembled(tmp_path, state(embedding=embedding, lstm=lstm, out=out))
    assert_same(adopted.network, expected)
    assert adopted.notes


def test_an_unknown_parametrization_is_refused(tmp_path: Path) -> None:
    embedding, lstm, out = parts()
    parametrizations.orthogonal(out)
    with pytest.raises(AdoptingError, match=r"Parametrization of out\.weight"):
        assembled(tmp_path, state(embedding=embedding, lstm=lstm, out=out))


@pytest.mark.parametrize("stale", [True, False])
def test_weight_drop_takes_the_raw_weight(stale: bool, tmp_path: Path) -> None:
    embedding, lstm, out = parts()
    values = lstm.state_dict()
    raw = values.pop("weight_hh_l0")
    content = {**state(embedding=embedding, out=out), **{f"rnns.0.module.{name}": v for name, v in values.items()}}
    content["rnns.0.weight_hh_l0_raw" if stale else "rnns.0.module.weight_hh_l0_raw"] = raw
    if stale:
        content["rnns.0.module.weight_hh_l0"] = nn.functional.dropout(raw, 0.5)
    assert_same(assembled(tmp_path, content).network, out(lstm(embedding(IDS))[0]).detach())


# --- initial states ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("h0", "c0"), ("init_h", "init_c"), ("lstm.h_0", "lstm.c_0")])
@pytest.mark.parametrize("shape", [(2, 1, N), (2, N)])
def test_initial_states_are_adopted(names: tuple[str, str], shape: tuple[int, ...], tmp_path: Path) -> None:
    torch.manual_seed(0)
    embedding, lstm, out = nn.Embedding(V, E), nn.LSTM(E, N, 2), nn.Linear(N, V)
    h, c = torch.randn(2, 1, N), torch.randn(2, 1, N)
    content = {**state(embedding=embedding, lstm=lstm, out=out), names[0]: h.reshape(shape), names[1]: c.reshape(shape)}
    adopted = assembled(tmp_path, content)
    start = (h.repeat(1, IDS.shape[1], 1), c.repeat(1, IDS.shape[1], 1))
    assert_same(adopted.network, out(lstm(embedding(IDS), start)[0]).detach())
    assert any("initial states" in note for note in adopted.notes)


# --- what stands beside the weights -----------------------------------------------------------------------------------


def test_objects_beside_the_weights_are_placeholders(tmp_path: Path) -> None:
    source = model("GRU")
    content = {
        "state_dict": source.state_dict(),
        "args": argparse.Namespace(lr=0.1),
        "best": np.float64(1.5),
        "array": np.arange(3),
        "path": pathlib.PurePosixPath("x"),
        "when": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        "counts": collections.Counter("abc"),
        "types": [int, model],
        "last": torch.tensor(0.5),
    }
    assert_same(assembled(tmp_path, content).network, source(IDS).detach())


def test_a_text_worse_than_its_frequencies_is_a_warning(tmp_path: Path) -> None:
    """An untrained network with large weights predicts worse than counting; the run keeps score and warning."""
    source = model()
    with torch.no_grad():
        source.fc.weight.mul_(50)
    path = save_torch(tmp_path / "m.pt", source.state_dict())
    adoption = adopt(path, tmp_path / "run", VOCABULARY, text="abcdefg" * 20)
    assert adoption.score is not None
    assert adoption.score.value > adoption.score.chance
    assert any(note.startswith("Warning") for note in adoption.notes)
    task = adoption.run.task()
    assert isinstance(task, Adopted)
    assert task.measured is not None
    assert task.measured.value == pytest.approx(adoption.score.value)
    assert task.warning in task.notes
    assert adoption.run.read("history.jsonl")[-1]["score"]["value"] == pytest.approx(adoption.score.value)
