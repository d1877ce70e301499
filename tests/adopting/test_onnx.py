"""ONNX nodes give what ONNX's own reference implementation computes, and what is exported is read back the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from onnx.reference import ReferenceEvaluator

from gatescope import CELLS, Network, configure
from gatescope.adopting import AdoptingError, assemble, read, save
from tests.adopting.models import IDS, VOCABULARY, assert_same, model

V, E, N = 7, 5, 4
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def written(path: Path, kind: str, weights: dict[str, np.ndarray], outputs: int = N, **options: Any) -> Path:
    """Gather, one recurrent node, MatMul, Add."""
    names = ["vectors", *(name if name in weights else "" for name in ("W", "R", "B"))]
    if "P" in weights:
        names += ["", "", "", "P"]
    random = np.random.default_rng(5)
    constants = {
        **weights,
        "table": random.normal(size=(V, E)),
        "readout": random.normal(size=(outputs, V)),
        "shift": random.normal(size=V),
    }
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["vectors"]),
        helper.make_node(kind, names, ["y"], name="/rnn/node", hidden_size=N, **options),
        helper.make_node("Squeeze", ["y", "one"], ["h"]),
        helper.make_node("MatMul", ["h", "readout"], ["product"]),
        helper.make_node("Add", ["product", "shift"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["t", "b"])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["t", "b", V])],
        [
            *(onnx.numpy_helper.from_array(value.astype("f"), name) for name, value in constants.items()),
            onnx.numpy_helper.from_array(np.array([1]), "one"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def reference(path: Path, **inputs: torch.Tensor) -> np.ndarray:
    """Return the first result of ONNX's own implementation."""
    results = ReferenceEvaluator(str(path)).run(None, {name: value.numpy() for name, value in inputs.items()})
    return np.asarray(next(iter(results)))


def drawn(kind: str, *names: str, seed: int = 0, directions: int = 1) -> dict[str, np.ndarray]:
    random, gates = np.random.default_rng(seed), GATES[kind]
    sizes = {"W": (gates * N, E), "R": (gates * N, N), "B": (2 * gates * N,), "P": (3 * N,)}
    return {name: random.normal(size=(directions, *sizes[name])) for name in names}


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("names", ["WR", "WRB", "WRBP"])
def test_logits_are_those_of_the_reference_of_onnx(kind: str, names: str, tmp_path: Path) -> None:
    if kind != "LSTM" and "P" in names:
        pytest.skip("only an LSTM has peepholes")
    options = {"linear_before_reset": 1} if kind == "GRU" else {}
    path = written(tmp_path / "m.onnx", kind, drawn(kind, *names), **options)
    adopted = assemble(read(path), VOCABULARY)
    assert_same(adopted.network, reference(path, ids=IDS))
    assert adopted.layers[0].cell.name == {"LSTM": "peephole" if "P" in names else "lstm", "GRU": "gru"}.get(
        kind, "elman"
    )
    assert adopted.readout == "readout"


@pytest.mark.parametrize(
    ("kind", "options", "match"),
    [
        ("GRU", {}, "got linear_before_reset = 0, which is another cell"),
        ("LSTM", {"clip": 2.0}, "got a clip of 2"),
        ("LSTM", {"input_forget": 1}, "coupled input and forget gates"),
        ("LSTM", {"activations": ["HardSigmoid", "Tanh", "Tanh"]}, "hardsigmoid"),
        ("RNN", {"activations": ["Elu"]}, "elu"),
        ("LSTM", {"direction": "sideways"}, "sideways"),
    ],
)
def test_nodes_that_compute_something_else(kind: str, options: dict[str, Any], match: str, tmp_path: Path) -> None:
    with pytest.raises(AdoptingError, match=match):
        read(written(tmp_path / "m.onnx", kind, drawn(kind, "W", "R", "B"), **options))


def test_both_directions(tmp_path: Path) -> None:
    path = written(tmp_path / "m.onnx", "LSTM", drawn("LSTM", "W", "R", "B", directions=2), direction="bidirectional")
    assert [layer.reverse for layer in read(path).stacks["rnn/node"]] == [False, True]


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman", "elman_relu", "elman_sigmoid", "peephole"])
@pytest.mark.parametrize("embedding", [None, 3])
def test_what_is_exported_computes_the_same_and_is_read_back(cell: str, embedding: int | None, tmp_path: Path) -> None:
    network = Network(configure(VOCABULARY, cell, (5, 4), embedding=embedding), seed=1)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.3 * torch.randn(value.shape, generator=torch.Generator().manual_seed(0)))
        expected = network(IDS).logits
    path = tmp_path / "m.onnx"
    save(network, path, "onnx")
    # ONNX's reference has no other activation than tanh for its RNN; the way back shows the others.
    lengths = () if cell in ("elman_relu", "elman_sigmoid") else (IDS, torch.cat([IDS, IDS])[:, :2])
    for ids in lengths:
        with torch.no_grad():
            np.testing.assert_allclose(reference(path, tokens=ids), network(ids).logits, atol=2e-6)
    back = assemble(read(path), VOCABULARY)
    assert [layer.cell.name for layer in back.layers] == [cell, cell]
    assert_same(back.network, expected)


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman", "elman_relu"])
@pytest.mark.parametrize("kind", ["torch", "safetensors"])
@pytest.mark.parametrize("neurons", [(4, 4), (5, 4)])
def test_what_is_exported_runs_in_torch_and_is_read_back(
    cell: str, kind: str, neurons: tuple[int, ...], tmp_path: Path
) -> None:
    network = Network(configure(VOCABULARY, cell, neurons, embedding=3), seed=1)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.3 * torch.randn(value.shape, generator=torch.Generator().manual_seed(0)))
        expected = network(IDS).logits
    path = tmp_path / f"m.{kind}"
    save(network, path, kind)
    foreign = read(path, "relu" if cell == "elman_relu" else "tanh")
    names = sorted(foreign.stacks)
    assert_same(assemble(foreign, VOCABULARY, layers=names).network, expected)
    if neurons == (4, 4) and kind == "torch":
        options: dict[str, Any] = {"nonlinearity": "relu"} if cell == "elman_relu" else {}
        theirs = model({"lstm": "LSTM", "gru": "GRU"}.get(cell, "RNN"), neurons=4, embedding=3, num_layers=2, **options)
        weights = torch.load(path, weights_only=True)
        renamed = {n.replace("recurrent.", "rnn.").replace("readout.", "fc."): v for n, v in weights.items()}
        theirs.load_state_dict(renamed)
        with torch.no_grad():
            np.testing.assert_allclose(theirs(IDS), expected, atol=2e-6)


@pytest.mark.parametrize("kind", ["torch", "safetensors", "onnx"])
def test_cells_that_the_others_do_not_have(kind: str, tmp_path: Path) -> None:
    network = Network(configure(VOCABULARY, CELLS["slstm"], (3,)))
    with pytest.raises(AdoptingError, match=r"Export of layer0: expected a cell .* got sLSTM"):
        save(network, tmp_path / "m", kind)
    assert not list(tmp_path.iterdir())
    with pytest.raises(AdoptingError, match="torch, safetensors, onnx"):
        save(network, tmp_path / "m", "tensorflow")


@pytest.mark.parametrize("attack", ["cut", "noise", "external", "sizes"])
def test_hostile_files(attack: str, tmp_path: Path) -> None:
    path = written(tmp_path / "m.onnx", "LSTM", drawn("LSTM", "W", "R", "B"))
    if attack == "cut":
        path.write_bytes(path.read_bytes()[:-300])
    elif attack == "noise":
        path.write_bytes(b"\x08" + bytes(range(256)))
    else:
        loaded = onnx.load(path)
        if attack == "sizes":
            loaded.graph.initializer[0].dims[:] = [1, 1 << 30, 1 << 30]
        else:
            tensor = loaded.graph.initializer[0]
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="../secret")
        path.write_bytes(loaded.SerializeToString())
    with pytest.raises(AdoptingError, match=r"m\.onnx"):
        read(path)
