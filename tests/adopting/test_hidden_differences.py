"""Files in which something small makes the network another one: a shared layer, a missing bias, integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gatescope.adopting import AdoptingError, assemble, read
from tests.adopting.models import IDS, VOCABULARY, assert_same
from tests.adopting.test_right_or_refused import E, N, V, assembled, parts, state


class Scaled(nn.Module):
    """A whole model with a layer that is called as an entry of a checkpoint is."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.lstm, self.out = parts()
        self.scaler = nn.Linear(N, N)


def plain() -> dict[str, Tensor]:
    embedding, lstm, out = parts()
    return state(embedding=embedding, lstm=lstm, out=out)


@pytest.mark.parametrize(("below", "above"), [(False, True), (True, False)])
def test_biases_of_another_matrix_are_not_taken(below: bool, above: bool, tmp_path: Path) -> None:
    """A layer without biases has none, also where those of the other layer would fit."""
    embedding, lstm, _ = parts()
    fc, out = nn.Linear(N, V, bias=below), nn.Linear(V, V, bias=above)
    adopted = assembled(tmp_path, state(embedding=embedding, lstm=lstm, fc=fc, out=out), head_activation="relu")
    assert_same(adopted.network, out(torch.relu(fc(lstm(embedding(IDS))[0]))).detach())


@pytest.mark.parametrize("name", ["in_bias", "h_bias", "log_bias"])
def test_biases_of_something_else_are_not_those_of_the_readout(name: str, tmp_path: Path) -> None:
    embedding, lstm, _ = parts()
    content = state(embedding=embedding, lstm=lstm, out=nn.Linear(N, V, bias=False))
    with pytest.raises(AdoptingError, match=f"left over.*{name}"):
        assembled(tmp_path, content | {name: torch.randn(V)})
    assembled(tmp_path, content | {"bias": torch.randn(V)})


def test_a_layer_that_is_applied_twice_is_no_copy(tmp_path: Path) -> None:
    embedding, lstm, out = parts()
    fc = nn.Linear(N, N)
    content = state(embedding=embedding, lstm=lstm, fc=fc, again=fc, out=out)
    with pytest.raises(AdoptingError, match="expected one order"):
        assembled(tmp_path, content, head_activation="relu")
    adopted = assembled(tmp_path, content, head_activation="relu", head=["fc.weight", "again.weight"])
    twice = torch.relu(fc(torch.relu(fc(lstm(embedding(IDS))[0]))))
    assert_same(adopted.network, out(twice).detach())


@pytest.mark.parametrize("numbers", [E, V])
def test_a_shared_embedding_stays_if_its_other_name_is_ignored(numbers: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    shared, above, below, out = nn.Embedding(V, numbers), nn.LSTM(numbers, N), nn.LSTM(numbers, N), nn.Linear(N, V)
    encoder = state(**{"encoder.embedding": shared, "encoder.rnn": below})
    content = encoder | state(**{"decoder.embedding": shared, "decoder.rnn": above, "decoder.out": out})
    adopted = assembled(tmp_path, content, ignore=["encoder.*"])
    assert_same(adopted.network, out(above(shared(IDS))[0]).detach())


def test_layers_side_by_side_are_refused(tmp_path: Path) -> None:
    """Two directions by hand may be added, and shapes do not show it."""
    embedding, one, out = parts()
    content = state(embedding=embedding, one=one, other=nn.LSTM(E, N), out=out)
    with pytest.raises(AdoptingError, match="Layers left over"):
        assembled(tmp_path, content, layers=["one"])
    adopted = assembled(tmp_path, content, layers=["one"], ignore=["other"])
    assert_same(adopted.network, out(one(embedding(IDS))[0]).detach())


@pytest.mark.parametrize(
    "extra",
    [
        {"mask": torch.ones(4 * N, N, dtype=torch.bool)},
        {"order": torch.arange(N)},
        {"fc.weight": torch.ones(N, N, dtype=torch.int32)},
        {"fc.weight": np.ones((N, N), np.float32)},
        {"inner": {0: {"weight": torch.ones(3, 3, 3)}}},
        {"inner": {"W": np.ones((3, 3, 3), np.float32)}},
        {"scaler": {"mean": torch.ones(E)}},
    ],
    ids=["mask", "order", "integers", "numpy", "keyed by numbers", "only numpy", "scaler"],
)
def test_arrays_that_are_no_usual_weights_are_refused(extra: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(AdoptingError, match="left over"):
        assembled(tmp_path, plain() | extra)


def test_numbers_beside_a_model_named_like_parts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AdoptingError, match=r"left over.*temperature"):
        assembled(tmp_path, {"model": plain(), "temperature": torch.tensor(2.0)})
    assembled(tmp_path, {"model": plain(), "lowest": torch.tensor(2.0)})


def test_a_module_called_scaler_is_part_of_a_whole_model(tmp_path: Path) -> None:
    with pytest.raises(AdoptingError, match=r"Activation after scaler\.weight"):
        assembled(tmp_path, Scaled())


def test_what_only_training_needs_is_left_out(tmp_path: Path) -> None:
    embedding, lstm, out = parts()
    adam = torch.optim.Adam(lstm.parameters())
    lstm(torch.ones(2, 1, E))[0].sum().backward()
    adam.step()
    content = {
        "state_dict": state(embedding=embedding, lstm=lstm, out=out) | {"position_ids": torch.arange(9)[None]},
        "adam": adam.state_dict(),
        "optimizer_states": [adam.state_dict()],
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.3)}},
    }
    assert_same(assembled(tmp_path, content).network, out(lstm(embedding(IDS))[0]).detach())


def test_square_matrices_with_inputs_first_are_refused(tmp_path: Path) -> None:
    """If recurrent weights are (inputs, outputs), a square readout may be so as well."""
    torch.manual_seed(0)
    embedding, lstm = nn.Embedding(V, E), nn.LSTM(E, V)
    own = {key: value.numpy() for key, value in lstm.state_dict().items()}
    arrays = {"w_ih": own["weight_ih_l0"].T, "w_hh": own["weight_hh_l0"].T, "b_ih": own["bias_ih_l0"]}
    arrays |= {"b_hh": own["bias_hh_l0"], "embedding": embedding.weight.detach().numpy()}
    path = tmp_path / "m.npz"
    np.savez(path, **arrays, w_out=np.ones((V, V), np.float32))
    with pytest.raises(AdoptingError, match="Layout of w_out"):
        assemble(read(path), VOCABULARY, gates="ifgo")


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.complex64, np.bool_])
def test_arrays_of_an_archive_that_are_not_read_are_refused(kind: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    own = {key: value.numpy() for key, value in plain().items()}
    np.savez(
        path, allow_pickle=False, **own, names=np.array(["a", "b"]), epoch=np.array(3), extra=np.ones((N, N), kind)
    )
    with pytest.raises(AdoptingError, match=r"left over.*extra"):
        assemble(read(path), VOCABULARY)
    assemble(read(path), VOCABULARY, ignore=["extra"])


def test_biases_as_a_row_are_no_layer(tmp_path: Path) -> None:
    embedding, lstm, out = parts()
    content = plain()
    content["out.bias"] = content["out.bias"][None]
    assert_same(assembled(tmp_path, content).network, out(lstm(embedding(IDS))[0]).detach())


def test_attention_that_may_be_before_the_layers_is_refused(tmp_path: Path) -> None:
    content = state(embedding=nn.Embedding(V, N), attention=nn.Linear(N, 1), lstm=nn.LSTM(N, N))
    with pytest.raises(AdoptingError, match="left over"):
        assembled(tmp_path, content, readout="none")
