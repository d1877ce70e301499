"""A network as an ONNX model, node by node, for sequences of any length and any number of them.

`T` step, `B` sequence, `V` symbol, `N` neuron, `I` input, `G` gate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.adopting.foreign import AdoptingError
from gatescope.network import Network
from gatescope.version import __version__

OPSET, IR = 17, 8
# Of each cell: the node, ONNX's gates as places in the cell's own order, and what else the node has to be told.
NODES: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "lstm": ("LSTM", (0, 3, 1, 2), {}),
    "peephole": ("LSTM", (0, 3, 1, 2), {}),
    "gru": ("GRU", (1, 0, 2), {"linear_before_reset": 1}),
    "elman": ("RNN", (0,), {"activations": ["Tanh"]}),
    "elman_relu": ("RNN", (0,), {"activations": ["Relu"]}),
    "elman_sigmoid": ("RNN", (0,), {"activations": ["Sigmoid"]}),
}
# Activation of a hidden layer of the readout -> the node, and its attributes.
ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("Identity", {}),
    "relu": ("Relu", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "elu": ("Elu", {}),
    "selu": ("Selu", {}),
    "softplus": ("Softplus", {}),
}


def model_bytes(network: Network) -> bytes:
    """The model: ids `tokens` (T, B) or `numbers` (T, B, I) in; out what is predicted, and each layer's final state.

    That is `logits` of symbols or classes, or `estimates` of numbers, (T, B, V); (B, V) of a network that reads out
    once. Every sequence starts from the initial state 0, and all of one call have the same length. An id that is no
    symbol is not allowed (a run reads it as zeros).

    Raises:
        AdoptingError: ONNX has no node for a cell, or for two directions that differ.
        ImportError: onnx is not installed.
    """
    try:
        import onnx  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ImportError("writing ONNX files needs onnx: pip install 'gatescope[onnx]'.") from error
    make, configuration = onnx.helper, network.configuration
    if configuration.starts:
        raise AdoptingError("ONNX_WRITING_EXPORT_ONNX_INITIAL_STATES")
    constants: dict[str, NDArray[Any]] = {}
    nodes, given, below = _reading(network, make, onnx.TensorProto, constants)
    outputs: list[Any] = []
    once = configuration.readout.reads == "last step"
    for k, level in enumerate(configuration.levels):
        recurrent, states = _level(network, k, level, below, make, constants)
        last = once and k == len(configuration.levels) - 1
        nodes += [recurrent, *_handed_on(k, len(level), last, make, constants)]
        sizes = [len(level), "sequences", configuration.layers[level[0]].neurons]
        outputs += [make.make_tensor_value_info(state, onnx.TensorProto.FLOAT, sizes) for state in states]
        below = f"x{k + 1}"
    head, below = _hidden_layers(network, below, make, constants)
    nodes += head
    constants["readout"] = np.ascontiguousarray(network.readout_weights.detach().numpy().T)
    constants["readout_biases"] = network.readout_biases.detach().numpy()
    told = "estimates" if configuration.readout.kind == "numbers" else "logits"
    nodes.append(make.make_node("MatMul", [below, "readout"], ["products"], name="readout_product"))
    nodes.append(make.make_node("Add", ["products", "readout_biases"], [told], name="readout_sum"))
    size = [*([] if once else ["steps"]), "sequences", configuration.predicted]
    graph = make.make_graph(
        nodes,
        "gatescope",
        [given],
        [make.make_tensor_value_info(told, onnx.TensorProto.FLOAT, size), *outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = make.make_model(
        graph,
        opset_imports=[make.make_opsetid("", OPSET)],
        ir_version=IR,
        producer_name="gatescope",
        producer_version=__version__,
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _reading(network: Network, make: Any, types: Any, constants: dict[str, NDArray[Any]]) -> tuple[list[Any], Any, str]:
    """The nodes from the input to the first layer, the input, and the name of what the first layer reads."""
    vocabulary = network.configuration.vocabulary
    size: list[Any] = ["steps", "sequences"]
    if vocabulary.unit == "number":
        return [], make.make_tensor_value_info("numbers", types.FLOAT, [*size, vocabulary.size]), "numbers"
    given = make.make_tensor_value_info("tokens", types.INT64, size)
    if network.embedding is None:
        constants |= {"symbols": np.array(vocabulary.size, np.int64), "off_on": np.array([0, 1], np.float32)}
        return [make.make_node("OneHot", ["tokens", "symbols", "off_on"], ["x0"], name="one_hot")], given, "x0"
    constants["embedding"] = network.embedding.detach().numpy()
    return [make.make_node("Gather", ["embedding", "tokens"], ["x0"], name="embed")], given, "x0"


def _level(
    network: Network, k: int, level: list[int], below: str, make: Any, constants: dict[str, NDArray[Any]]
) -> tuple[Any, list[str]]:
    """The node of one layer, or of both directions of one, and the names of its final states."""
    layers = [network.configuration.layers[j] for j in level]
    cell, neurons = layers[0].cell, layers[0].neurons
    for layer in layers:
        if layer.cell.name not in NODES:
            raise AdoptingError(
                "ONNX_WRITING_LAYER_ONNX_NODE_THOSE", k=k, title=layer.cell.title, nodes=", ".join(NODES)
            )
        if (layer.cell.name, layer.neurons) != (cell.name, neurons):
            raise AdoptingError("ONNX_WRITING_DIRECTIONS_LAYER_TWO_NODE", k=k)
    kind, _, told = NODES[cell.name]
    each = [_arrays(network, j) for j in level]
    constants |= {f"{role}{k}": np.concatenate([arrays[role] for arrays in each]) for role in each[0]}
    names = [below, *(f"{role}{k}" for role in "WRB")]
    if cell.name == "peephole":
        names += ["", "", "", f"P{k}"]
    if len(level) > 1:
        told = {name: value * 2 if isinstance(value, list) else value for name, value in told.items()}
        told["direction"] = "bidirectional"
    elif layers[0].reverse:
        told = {**told, "direction": "reverse"}
    states = [f"h{k}", f"c{k}"] if kind == "LSTM" else [f"h{k}"]
    return make.make_node(kind, names, [f"y{k}", *states], name=f"layer{k}", hidden_size=neurons, **told), states


def _handed_on(k: int, directions: int, last: bool, make: Any, constants: dict[str, NDArray[Any]]) -> list[Any]:
    """The nodes from y (T, directions, B, N), or from the final h (directions, B, N), to what is read of a layer."""
    source, above = (f"h{k}", f"x{k + 1}") if last else (f"y{k}", f"x{k + 1}")
    if directions == 1:
        axes = "first" if last else "directions"
        constants[axes] = np.array([0 if last else 1], np.int64)
        return [make.make_node("Squeeze", [source, axes], [above], name=f"layer{k}_steps")]
    order, shape = ([1, 0, 2], [0, -1]) if last else ([0, 2, 1, 3], [0, 0, -1])
    constants[f"shape{k}"] = np.array(shape, np.int64)
    return [
        make.make_node("Transpose", [source], [f"z{k}"], name=f"layer{k}_sides", perm=order),
        make.make_node("Reshape", [f"z{k}", f"shape{k}"], [above], name=f"layer{k}_steps"),
    ]


def _hidden_layers(
    network: Network, below: str, make: Any, constants: dict[str, NDArray[Any]]
) -> tuple[list[Any], str]:
    """Return the nodes of the hidden layers of the readout, and the name of what the readout reads."""
    nodes: list[Any] = []
    for k, layer in enumerate(network.configuration.hidden):
        weights, biases = network.hidden_weights(k)
        if layer.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise AdoptingError("ONNX_WRITING_EXPORT_ONNX_ACTIVATION_AMONG", known=known, activation=layer.activation)
        constants[f"hidden{k}"] = np.ascontiguousarray(weights.detach().numpy().T)
        constants[f"hidden_biases{k}"] = biases.detach().numpy()
        nodes.append(
            make.make_node("MatMul", [below, f"hidden{k}"], [f"hidden_products{k}"], name=f"hidden{k}_product")
        )
        nodes.append(
            make.make_node("Add", [f"hidden_products{k}", f"hidden_biases{k}"], [f"drives{k}"], name=f"hidden{k}_sum")
        )
        kind, options = ACTIVATIONS[layer.activation]
        nodes.append(make.make_node(kind, [f"drives{k}"], [f"activations{k}"], name=f"hidden{k}_activation", **options))
        below = f"activations{k}"
    return nodes, below


def _arrays(network: Network, layer: int) -> dict[str, NDArray[Any]]:
    """W (1, G·N, I), R (1, G·N, N), B (1, 2·G·N) and, of a peephole LSTM, P (1, 3·N), in ONNX's order of gates."""
    cell = network.configuration.layers[layer].cell
    order = list(NODES[cell.name][1])
    values = {name: value.detach().numpy() for name, value in network.parameters_of(layer).by_name().items()}
    neurons = values["biases"].shape[1]
    echoed = np.zeros_like(values["biases"])
    found = {}
    if cell.name == "gru":
        echoed[-1] = values["neuron_weights"][0]
    if cell.name == "peephole":  # p.i p.f p.o -> i o f
        found["P"] = values["neuron_weights"][[0, 2, 1]].reshape(1, -1)
    heard, recurrent = values["input_weights"][order], values["recurrent_weights"][order]
    return found | {
        "W": heard.reshape(1, -1, heard.shape[2]),
        "R": recurrent.reshape(1, -1, neurons),
        "B": np.concatenate([values["biases"][order], echoed[order]]).reshape(1, -1),
    }
