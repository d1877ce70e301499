"""State dicts, safetensors and .npz files give the network that torch itself runs, or a question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from gatescope.adopting import AdoptingError, assemble, read
from tests.adopting.models import IDS, SYMBOLS, VOCABULARY, arrays, assert_same, model, save_torch

CASES: list[tuple[str, dict[str, Any]]] = [
    ("LSTM", {}),
    ("LSTM", {"num_layers": 3}),
    ("LSTM", {"bias": False}),
    ("LSTM", {"proj_size": 3, "num_layers": 2}),
    ("LSTM", {"embedding": None}),
    ("GRU", {}),
    ("GRU", {"num_layers": 2, "embedding": None}),
    ("GRU", {"bias": False}),
    ("RNN", {"num_layers": 2}),
    ("RNN", {"nonlinearity": "relu"}),
]


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("form", ["pt", "legacy", "safetensors", "npz"])
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_logits_are_those_of_torch(kind: str, options: dict[str, Any], form: str, tmp_path: Path) -> None:
    source = model(kind, **options)
    path = tmp_path / f"model.{form}"
    if form == "safetensors":
        save_file(source.state_dict(), path)
    elif form == "npz":
        np.savez_compressed(path, allow_pickle=False, **arrays(source))
    else:
        path = tmp_path / "model.pt"
        torch.save(source.state_dict(), path, _use_new_zipfile_serialization=form == "pt")
    adopted = assemble(read(path, options.get("nonlinearity", "tanh")), VOCABULARY)
    assert_same(adopted.network, source(IDS).detach())
    assert adopted.embedding == ("one-hot" if options.get("embedding", 5) is None else "embedding.weight")
    assert adopted.readout == "fc.weight"


@pytest.mark.parametrize("wrapped", ["module", "checkpoint", "both", "lightning", "model"])
def test_checkpoints_as_people_write_them(wrapped: str, tmp_path: Path) -> None:
    source = model("GRU", num_layers=2)
    weights = source.state_dict()
    optimizer = torch.optim.Adam(source.parameters())
    source(IDS).sum().backward()
    optimizer.step()
    content = {
        "module": lambda w: {f"module.{name}": value for name, value in w.items()},
        "checkpoint": lambda w: {"epoch": 3, "state_dict": w, "optimizer": optimizer.state_dict(), "loss": 0.5},
        "both": lambda w: {"model": {f"module._orig_mod.{n}": v for n, v in w.items()}, "args": {"hidden": 6}},
        "lightning": lambda w: {"state_dict": {f"model.{n}": v for n, v in w.items()}, "hyper_parameters": {"lr": 1}},
        "model": lambda w: {"model": w, "optimizer_states": [optimizer.state_dict()]},
    }[wrapped](weights)
    adopted = assemble(read(save_torch(tmp_path / "checkpoint.pth", content)), VOCABULARY)
    assert_same(adopted.network, source(IDS).detach())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions_become_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    source = model("LSTM").to(dtype)
    save_file(source.state_dict(), tmp_path / "m.safetensors")
    assert_same(assemble(read(tmp_path / "m.safetensors"), VOCABULARY).network, source.float()(IDS).detach())


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("transposed", [False, True])
def test_free_names_are_read_by_their_shapes(kind: str, transposed: bool, tmp_path: Path) -> None:
    source = model(kind)
    values = arrays(source)
    turned = (lambda matrix: matrix.T) if transposed else (lambda matrix: matrix)
    np.savez(
        tmp_path / "free.npz",
        emb=values["embedding.weight"],
        w_ih=turned(values["rnn.weight_ih_l0"]),
        w_hh=turned(values["rnn.weight_hh_l0"]),
        b_ih=values["rnn.bias_ih_l0"],
        b_hh=values["rnn.bias_hh_l0"],
        fc_w=values["fc.weight"],
        fc_b=values["fc.bias"],
    )
    foreign, order = read(tmp_path / "free.npz"), "ifgo" if kind == "LSTM" else "rzn"
    with pytest.raises(AdoptingError, match=f"gates='{order}'"):
        assemble(foreign, VOCABULARY)
    assert_same(assemble(foreign, VOCABULARY, gates=order).network, source(IDS).detach())


def test_gates_of_another_order_are_put_in_order(tmp_path: Path) -> None:
    """Arrays in ONNX's order i o f g, given with that order, are the network in torch's order."""
    values = arrays(model("LSTM", neurons=4))
    free = {name: value for name, value in values.items() if not name.startswith("rnn")}
    for name, value in values.items():
        if name.startswith("rnn"):
            i, f, g, o = np.split(value, 4)
            free[f"{name[4]}_{name[-5:-3]}"] = np.concatenate([i, o, f, g])
    np.savez(tmp_path / "free.npz", allow_pickle=False, **free)
    foreign = read(tmp_path / "free.npz")
    assert_same(assemble(foreign, VOCABULARY, gates="iofg").network, model("LSTM", neurons=4)(IDS).detach())
    for gates in ("ifg", "rzn", "iiii"):
        with pytest.raises(AdoptingError, match=r"^Gates of "):
            assemble(foreign, VOCABULARY, gates=gates)


def test_square_matrices_of_free_names_are_refused(tmp_path: Path) -> None:
    """If there are as many inputs as neurons, nothing shows which side of a matrix is which."""
    np.savez(tmp_path / "m.npz", Wxh=np.ones((7, 7)), Whh=np.ones((7, 7)), Why=np.ones((7, 7)), bh=np.ones(7))
    with pytest.raises(AdoptingError, match="Layout"):
        read(tmp_path / "m.npz", "tanh")


def test_the_names_of_min_char_rnn(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    Wxh, Whh, Why = (random.normal(size=size) for size in ((4, 7), (4, 4), (7, 4)))
    bh, by = random.normal(size=(4, 1)), random.normal(size=(7, 1))
    np.savez(tmp_path / "min.npz", Wxh=Wxh, Whh=Whh, Why=Why, bh=bh, by=by)
    with pytest.raises(AdoptingError, match="nonlinearity='tanh'"):
        read(tmp_path / "min.npz")
    adopted = assemble(read(tmp_path / "min.npz", "tanh"), VOCABULARY)
    expected = np.zeros((*IDS.shape, 7))
    for row in range(IDS.shape[1]):
        h = np.zeros((4, 1))
        for t, symbol in enumerate(IDS[:, row].tolist()):
            h = np.tanh(Wxh[:, [symbol]] + Whh @ h + bh)
            expected[t, row] = (Why @ h + by)[:, 0]
    assert_same(adopted.network, expected)
    assert adopted.embedding == "one-hot"


def two_parts(tmp_path: Path) -> tuple[Path, nn.ModuleDict]:
    torch.manual_seed(0)
    parts = nn.ModuleDict(
        {
            "enc_emb": nn.Embedding(7, 4),
            "encoder": nn.GRU(4, 4),
            "dec_emb": nn.Embedding(7, 4),
            "decoder": nn.GRU(4, 4),
            "out": nn.Linear(4, 7),
        }
    )
    return save_torch(tmp_path / "two.pt", parts.state_dict()), parts


def test_two_networks_in_a_file_are_a_question(tmp_path: Path) -> None:
    path, parts = two_parts(tmp_path)
    foreign = read(path)
    with pytest.raises(AdoptingError, match=r"expected one network.*encoder \(GRU, 4 neurons.*decoder.*layers=\['"):
        assemble(foreign, VOCABULARY)
    with pytest.raises(AdoptingError, match=r"^Embedding: expected one.*enc_emb\.weight, dec_emb\.weight"):
        assemble(foreign, VOCABULARY, layers=["decoder"])
    with pytest.raises(AdoptingError, match=r"left over.*enc_emb\.weight \(7, 4\)"):
        assemble(foreign, VOCABULARY, layers=["decoder"], embedding="dec_emb.weight")
    with pytest.raises(AdoptingError, match=r"Layers left over.*ignore=\['encoder'\]"):
        assemble(foreign, VOCABULARY, layers=["decoder"], embedding="dec_emb.weight", ignore=["enc_*"])
    adopted = assemble(foreign, VOCABULARY, embedding="dec_emb.weight", ignore=["enc*"])
    assert any("encoder" in note for note in adopted.notes)
    assert adopted.readout == "out.weight"
    expected = parts["out"](parts["decoder"](parts["dec_emb"](IDS))[0])
    assert_same(adopted.network, expected.detach())
    both = assemble(
        foreign,
        VOCABULARY,
        layers=["encoder", "decoder"],
        embedding="enc_emb.weight",
        readout="none",
        ignore=["dec_emb.weight"],
    )
    assert [layer.name for layer in both.layers] == ["encoder, layer 0", "decoder, layer 0"]
    assert any("every symbol alike" in note for note in both.notes)
    with pytest.raises(AdoptingError, match=r"Did you mean layers=\['decoder'\]"):
        assemble(foreign, VOCABULARY, layers=["decodr"])


def test_several_readouts_are_a_question_and_a_tied_one_counts(tmp_path: Path) -> None:
    source = model(neurons=5)
    values = source.state_dict()
    path = save_torch(tmp_path / "heads.pt", {**values, "aux.weight": torch.randn(7, 5)})
    with pytest.raises(AdoptingError, match=r"^Readout: expected one.*fc\.weight.*aux\.weight"):
        assemble(read(path), VOCABULARY)
    tied = assemble(
        read(path), VOCABULARY, readout="embedding.weight", embedding="embedding.weight", ignore=["fc.*", "aux.weight"]
    )
    assert torch.equal(tied.network.readout_weights, values["embedding.weight"])


def test_hidden_layers_of_the_readout_are_a_question(tmp_path: Path) -> None:
    source = model()
    values = {n: v for n, v in source.state_dict().items() if not n.startswith("fc")}
    values |= {"head.0.weight": torch.randn(3, 6), "head.0.bias": torch.randn(3), "head.2.weight": torch.randn(2, 3)}
    foreign = read(save_torch(tmp_path / "head.pt", values))
    with pytest.raises(AdoptingError, match=r"^Activation after head\.0\.weight \(3, 6\).*head\.2\.weight"):
        assemble(foreign, VOCABULARY)
    adopted = assemble(foreign, VOCABULARY, readout="none")
    assert adopted.readout == "none"
    assert any("every symbol alike" in note for note in adopted.notes)
    left_out = next(
        note for note in adopted.notes if note.startswith("Left out, because they are after the last layer")
    )
    assert all(name in left_out for name in ("head.0.weight (3, 6)", "head.2.weight (2, 3)", "head.0.bias (3,)"))
    with torch.no_grad():
        output = adopted.network(IDS, keep=[("h",)])
        assert source.embedding is not None
        expected = source.rnn(source.embedding(IDS))[0]
    np.testing.assert_allclose(output.signals[0]["h"].numpy(), expected.numpy(), atol=1e-6)
    assert torch.equal(output.logits, torch.zeros_like(output.logits))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"rnn.weight_ih_l0": None}, r"expected an LSTM, a GRU or a simple recurrent layer, got none"),
        ({"rnn.weight_ih_l0": torch.randn(23, 5)}, r"expected the shapes of an LSTM.*got \(23, 5\)"),
        ({"rnn.bias_hh_l0": torch.randn(23)}, r"expected the shapes of an LSTM.*\(23,\)"),
        (
            {"embedding.weight": torch.randn(9, 5)},
            r"expected 9 symbols, one for each row of embedding\.weight \(9, 5\), got 7",
        ),
        ({"embedding.weight": None}, r"expected an embedding \(7, 5\) in the file or 5 symbols, got 7 symbols"),
        ({"rnn.weight_hh_l0": torch.full((24, 6), float("nan"))}, r"Weights of rnn, layer 0 .*expected finite"),
        ({"fc.bias": torch.full((7,), float("inf"))}, r"Weights of readout_biases: expected finite"),
    ],
)
def test_weights_that_do_not_fit(change: dict[str, Any], match: str, tmp_path: Path) -> None:
    values = {n: v for n, v in {**model().state_dict(), **change}.items() if v is not None}
    with pytest.raises(AdoptingError, match=match):
        assemble(read(save_torch(tmp_path / "m.pt", values)), VOCABULARY)


def test_a_layer_that_is_missing(tmp_path: Path) -> None:
    values = {n: v for n, v in model(num_layers=3, neurons=4).state_dict().items() if "_l0" not in n}
    with pytest.raises(AdoptingError, match="got 1, 2 without layer 0"):
        read(save_torch(tmp_path / "m.pt", values))


def test_a_gru_with_one_bias_is_not_guessed(tmp_path: Path) -> None:
    values = {n: v for n, v in model("GRU").state_dict().items() if "bias_hh" not in n}
    with pytest.raises(AdoptingError, match=r"expected two biases.*got one"):
        read(save_torch(tmp_path / "m.pt", values))


@settings(deadline=None, max_examples=25)
@given(
    kind=st.sampled_from(["LSTM", "GRU", "RNN"]),
    neurons=st.sampled_from([1, 2, 5, 7]),
    embedding=st.one_of(st.none(), st.integers(1, 7)),
    layers=st.integers(1, 3),
    seed=st.integers(0, 999),
)
def test_any_size_gives_the_same_network_or_a_question(
    kind: str, neurons: int, embedding: int | None, layers: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = model(kind, seed, neurons=neurons, embedding=embedding, num_layers=layers)
    path = save_torch(tmp_path_factory.mktemp("any") / "m.pt", source.state_dict())
    named = None if embedding is None else "embedding.weight"
    adopted = assemble(read(path, "tanh"), VOCABULARY, embedding=named or "one-hot", readout="fc.weight")
    assert_same(adopted.network, source(IDS).detach())
    ambiguous = [name for name in ("embedding", "readout") if _ambiguous(name, embedding, neurons)]
    if ambiguous:
        with pytest.raises(AdoptingError, match=f"^{ambiguous[0].capitalize()}: expected one"):
            assemble(read(path, "tanh"), VOCABULARY)
    else:
        guessed = assemble(read(path, "tanh"), VOCABULARY)
        assert (guessed.embedding, guessed.readout) == (named or "one-hot", "fc.weight")


def _ambiguous(choice: str, embedding: int | None, neurons: int) -> bool:
    """Return whether a choice is ambiguous: with 7 neurons, the readout has the shape of an embedding."""
    return choice == "embedding" and embedding is None and neurons == len(SYMBOLS)
