"""ONNX graphs as exporters write them: heads, states, weights beside the model, branches, and layers taken apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from gatescope.adopting import AdoptingError, assemble, read
from gatescope.network import predict
from tests.adopting.models import VOCABULARY
from tests.adopting.test_onnx import E, N, V, drawn, reference
from tests.adopting.test_onnx import torch as torch_of_tests

SEQUENCES = [np.array(ids, np.int32) for ids in ([1, 3, 6, 1], [2], [5, 0, 4])]
LSTM = ["vectors", "W", "R", "B"]


def node(kind: str, reads: str, gives: str, **options: Any) -> Any:
    return helper.make_node(kind, [one if one != "-" else "" for one in reads.split()], gives.split(), **options)


def graph(path: Path, nodes: list[Any], result: str, constants: dict[str, Any], **options: Any) -> Path:
    """Write a graph that embeds ids, runs these nodes and returns one result."""
    random = np.random.default_rng(3)
    arrays = {**drawn("LSTM", "W", "R", "B"), "table": random.normal(size=(V, E)), **constants}
    tensors = [
        onnx.numpy_helper.from_array(np.asarray(v, "f") if np.asarray(v).dtype.kind == "f" else np.asarray(v), k)
        for k, v in arrays.items()
    ]
    made = helper.make_graph(
        [node("Gather", "table ids", "vectors"), *nodes],
        "test",
        [helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["t", "b"])],
        [helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, None)],
        tensors,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **options)
    onnx.save(model, path)
    return path


def assert_same_log_probs(path: Path, **options: Any) -> None:
    """Check that the adopted network's log-probabilities equal those of ONNX's own implementation."""
    network = assemble(read(path), VOCABULARY, **options).network
    for ids, log_probs in zip(SEQUENCES, predict(network, SEQUENCES), strict=True):
        theirs = reference(path, ids=torch_of_tests.from_numpy(ids).long()[:, None])
        logits = torch_of_tests.from_numpy(theirs.reshape(len(log_probs), -1))
        np.testing.assert_allclose(log_probs, logits.log_softmax(-1), atol=2e-6)


RANDOM = np.random.default_rng(4)
HEAD = {
    "A": RANDOM.normal(size=(N, 6)),
    "a": RANDOM.normal(size=6),
    "Z": RANDOM.normal(size=(6, 3)),
    "z": RANDOM.normal(size=3),
    "one": np.array([1]),
    "zero": np.array([0]),
}
RUN = [helper.make_node("LSTM", LSTM, ["y", "h"], name="rnn", hidden_size=N)]


@pytest.mark.parametrize("activation", ["Relu", "Tanh", "Sigmoid", "Elu", "Softplus", ""])
@pytest.mark.parametrize("once", [True, False])
def test_onnx_head_with_a_hidden_layer_is_adopted(activation: str, once: bool, tmp_path: Path) -> None:
    nodes = [
        *RUN,
        node("Squeeze", "h zero" if once else "y one", "x"),
        node("MatMul", "x A", "p"),
        node("Add", "a p", "q"),
        *([node(activation, "q", "r")] if activation else []),
        node("MatMul", f"{'r' if activation else 'q'} Z", "s"),
        node("Add", "s z", "logits"),
    ]
    assert_same_log_probs(graph(tmp_path / "m.onnx", nodes, "logits", HEAD), predicts="classes")


@pytest.mark.parametrize("between", ["LayerNormalization", "Softsign", "HardSigmoid"])
def test_onnx_head_with_another_node_is_refused(between: str, tmp_path: Path) -> None:
    reads = "x scale" if between == "LayerNormalization" else "x"
    nodes = [*RUN, node("Squeeze", "y one", "x"), node(between, reads, "n"), node("MatMul", "n A", "logits")]
    path = graph(tmp_path / "m.onnx", nodes, "logits", HEAD | {"scale": np.ones(N)})
    with pytest.raises(AdoptingError, match=rf"got something else.*{between}"):
        assemble(read(path), VOCABULARY, predicts="classes")


def test_onnx_layers_with_a_node_between_are_refused(tmp_path: Path) -> None:
    second = {"W2": RANDOM.normal(size=(1, 4 * N, N)), "R2": RANDOM.normal(size=(1, 4 * N, N))}
    nodes = [
        *RUN,
        node("Squeeze", "y one", "x"),
        node("Tanh", "x", "bent"),
        node("LSTM", "bent W2 R2", "y2", name="second", hidden_size=N),
        node("Squeeze", "y2 one", "x2"),
        node("MatMul", "x2 A", "logits"),
    ]
    path = graph(tmp_path / "m.onnx", nodes, "logits", HEAD | second)
    with pytest.raises(
        AdoptingError, match=r"Layer second: expected to read rnn directly, got a node Tanh between them"
    ):
        assemble(read(path), VOCABULARY, layers=["rnn", "second"])


def test_onnx_constant_initial_states_are_adopted(tmp_path: Path) -> None:
    states = {"h0": RANDOM.normal(size=(1, 1, N)), "c0": RANDOM.normal(size=(1, 1, N))}
    nodes = [
        node("LSTM", "vectors W R B - h0 c0", "y h", name="rnn", hidden_size=N),
        node("Squeeze", "y one", "x"),
        node("MatMul", "x A", "logits"),
    ]
    assert_same_log_probs(graph(tmp_path / "m.onnx", nodes, "logits", HEAD | states), predicts="classes")


@pytest.mark.parametrize(
    ("reads", "match"), [("vectors W R B lengths", "sequence_lens"), ("vectors W R B - states", "same initial state h")]
)
def test_onnx_nodes_that_start_or_end_elsewhere_are_refused(reads: str, match: str, tmp_path: Path) -> None:
    constants = HEAD | {"lengths": np.array([2], np.int32), "states": RANDOM.normal(size=(1, 2, N))}
    nodes = [
        node("LSTM", reads, "y h", name="rnn", hidden_size=N),
        node("Squeeze", "y one", "x"),
        node("MatMul", "x A", "logits"),
    ]
    with pytest.raises(AdoptingError, match=match):
        assemble(read(graph(tmp_path / "m.onnx", nodes, "logits", constants)), VOCABULARY, predicts="classes")


def test_onnx_weights_beside_the_model_stay_inside_its_folder(tmp_path: Path) -> None:
    nodes = [*RUN, node("Squeeze", "y one", "x"), node("MatMul", "x A", "logits")]
    whole = graph(tmp_path / "m.onnx", nodes, "logits", HEAD)
    apart = tmp_path / "apart" / "m.onnx"
    apart.parent.mkdir()
    onnx.save(onnx.load(whole), apart, save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    assert_same_log_probs(apart, predicts="classes")
    model = onnx.load(apart, load_external_data=False)
    data = (apart.parent / "m.onnx.data").read_bytes()
    (tmp_path / "m.onnx.data").write_bytes(data)
    for location in ("../m.onnx.data", str(tmp_path / "m.onnx.data"), "..\\m.onnx.data", "", "C:\\x", "nothing"):
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = location
        apart.write_bytes(model.SerializeToString())
        with pytest.raises(AdoptingError, match=r"m\.onnx|nothing"):
            read(apart)


def test_onnx_branches_with_a_constant_condition_are_followed(tmp_path: Path) -> None:
    inner = helper.make_graph(
        [*RUN, node("Squeeze", "y one", "inside")],
        "branch",
        [],
        [helper.make_tensor_value_info("inside", onnx.TensorProto.FLOAT, None)],
    )
    other = helper.make_graph(
        [node("Identity", "vectors", "same")],
        "other",
        [],
        [helper.make_tensor_value_info("same", onnx.TensorProto.FLOAT, None)],
    )
    for condition in ("yes", "asked"):
        nodes = [
            *([node("Not", "no", "asked")] if condition == "asked" else []),
            helper.make_node("If", [condition], ["x"], name="choice", then_branch=inner, else_branch=other),
            node("MatMul", "x A", "logits"),
        ]
        path = graph(tmp_path / "m.onnx", nodes, "logits", HEAD | {"yes": np.array(True), "no": np.array(False)})
        if condition == "yes":
            assert_same_log_probs(path, predicts="classes")
        else:
            with pytest.raises(AdoptingError, match=r"got rnn \(LSTM\) inside choice \(If\)"):
                read(path)


def test_onnx_layers_that_were_taken_apart_are_named(tmp_path: Path) -> None:
    nodes = [node("MatMul", "vectors T", "p"), node("Sigmoid", "p", "g"), node("Tanh", "g", "logits")]
    with pytest.raises(AdoptingError, match=r"got 1 products and 2 nodes Sigmoid or Tanh.*the exporter took apart"):
        read(graph(tmp_path / "m.onnx", nodes, "logits", {"T": RANDOM.normal(size=(E, E))}))


def test_onnx_constants_that_double_are_bounded(tmp_path: Path) -> None:
    nodes = [node("Concat", f"k{k} k{k}", f"k{k + 1}", axis=0) for k in range(40)]
    path = graph(tmp_path / "m.onnx", [*RUN, *nodes], "y", {"k0": np.zeros(1024)})
    read(path)


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        (1, "direction", ["forward"]),
        (1, "activations", 1),
        (1, "clip", [1.5]),
        (1, "layout", "first"),
        (2, "axes", 1.5),
    ],
)
def test_onnx_attributes_of_another_type_are_refused(place: int, name: str, value: Any, tmp_path: Path) -> None:
    nodes = [*RUN, node("Squeeze", "y one", "x"), node("MatMul", "x A", "logits")]
    path = graph(tmp_path / "m.onnx", nodes, "logits", HEAD)
    model = onnx.load(path)
    model.graph.node[place].attribute.append(helper.make_attribute(name, value))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(AdoptingError, match=f"expected the attribute '{name}' with its type in ONNX"):
        assemble(read(path), VOCABULARY, predicts="classes")


def test_onnx_table_of_one_axis_is_no_embedding(tmp_path: Path) -> None:
    nodes = [*RUN, node("Squeeze", "y one", "x"), node("MatMul", "x A", "logits")]
    path = graph(tmp_path / "m.onnx", nodes, "logits", HEAD | {"table": np.ones(V)})
    with pytest.raises(AdoptingError, match=r"Input of rnn: expected symbols, got the output of a node Gather"):
        assemble(read(path), VOCABULARY, predicts="classes")


def test_onnx_models_with_local_functions_are_adopted(tmp_path: Path) -> None:
    """Functions are put in where they are called, as torch's exporter writes them."""
    bodies = [node("MatMul", "a b", "c")]
    function = helper.make_function("own", "Product", ["a", "b"], ["c"], bodies, [helper.make_opsetid("", 17)])
    nodes = [*RUN, node("Squeeze", "y one", "x"), helper.make_node("Product", ["x", "A"], ["logits"], domain="own")]
    path = graph(tmp_path / "m.onnx", nodes, "logits", HEAD, functions=[function])
    model = onnx.load(path)
    model.opset_import.append(helper.make_opsetid("own", 1))
    path.write_bytes(model.SerializeToString())
    assert_same_log_probs(path, predicts="classes")
