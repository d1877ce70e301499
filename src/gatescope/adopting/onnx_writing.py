"""Writing a network as an ONNX model, node by node, for any number and length of sequences.

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
# For each cell: the node, ONNX's gates as places in the cell's own order, and the attributes of the node.
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
    """Return the bytes of an ONNX model.

    Its input is the ids `tokens` (T, B) or `numbers` (T, B, I). Its outputs are `logits` of symbols or classes, or
    `estimates` of numbers, (T, B, V), or (B, V) for many-to-one networks, and the final state of each layer. Every
    sequence starts from the initial state 0, and all sequences of a call have the same length. Unknown ids, which a run
    reads as zeros, are not allowed.

    Args:
        network: any network whose cells ONNX has.

    Raises:
        AdoptingError: ONNX has no node for a cell, or for two directions that differ.
        ImportError: onnx is not installed.
    """
    try:
        import onnx  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ImportError("Writing ONNX files needs onnx: pip install 'gatescope[onnx]'.") from error
    make, configuration = onnx.helper, network.configuration
    if configuration.starts:
        raise AdoptingError("EXPORTING_ONNX_INITIAL_STATES")
    constants: dict[str, NDArray[Any]] = {}
    nodes, graph_input, below = _input_nodes(network, make, onnx.TensorProto, constants)
    outputs: list[Any] = []
    once = configuration.readout.reads == "last step"
    for k, level in enumerate(configuration.levels):
        recurrent, states = _level_node(network, k, level, below, make, constants)
        last = once and k == len(configuration.levels) - 1
        nodes += [recurrent, *_output_nodes(k, len(level), last, make, constants)]
        sizes = [len(level), "sequences", configuration.layers[level[0]].neurons]
        outputs += [make.make_tensor_value_info(state, onnx.TensorProto.FLOAT, sizes) for state in states]
        below = f"x{k + 1}"
    head, below = _hidden_nodes(network, below, make, constants)
    nodes += head
    constants["readout"] = np.ascontiguousarray(network.readout_weights.detach().numpy().T)
    constants["readout_biases"] = network.readout_biases.detach().numpy()
    predictions = "estimates" if configuration.readout.kind == "numbers" else "logits"
    nodes.append(make.make_node("MatMul", [below, "readout"], ["products"], name="readout_product"))
    nodes.append(make.make_node("Add", ["products", "readout_biases"], [predictions], name="readout_sum"))
    size = [*([] if once else ["steps"]), "sequences", configuration.predicted]
    graph = make.make_graph(
        nodes,
        "gatescope",
        [graph_input],
        [make.make_tensor_value_info(predictions, onnx.TensorProto.FLOAT, size), *outputs],
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


def _input_nodes(
    network: Network, make: Any, types: Any, constants: dict[str, NDArray[Any]]
) -> tuple[list[Any], Any, str]:
    """Return the nodes before the first layer, the input of the graph, and the name of what the first layer reads."""
    vocabulary = network.configuration.vocabulary
    size: list[Any] = ["steps", "sequences"]
    if vocabulary.unit == "number":
        return [], make.make_tensor_value_info("numbers", types.FLOAT, [*size, vocabulary.size]), "numbers"
    graph_input = make.make_tensor_value_info("tokens", types.INT64, size)
    if network.embedding is None:
        constants |= {"symbols": np.array(vocabulary.size, np.int64), "off_on": np.array([0, 1], np.float32)}
        return [make.make_node("OneHot", ["tokens", "symbols", "off_on"], ["x0"], name="one_hot")], graph_input, "x0"
    constants["embedding"] = network.embedding.detach().numpy()
    return [make.make_node("Gather", ["embedding", "tokens"], ["x0"], name="embed")], graph_input, "x0"


def _level_node(
    network: Network, k: int, level: list[int], below: str, make: Any, constants: dict[str, NDArray[Any]]
) -> tuple[Any, list[str]]:
    """Return the node of one layer or of both its directions, and the names of its final states."""
    layers = [network.configuration.layers[j] for j in level]
    cell, neurons = layers[0].cell, layers[0].neurons
    for layer in layers:
        if layer.cell.name not in NODES:
            raise AdoptingError(
                "EXPORTING_ONNX_CELL_UNKNOWN", layer=f"layer{k}", title=layer.cell.title, names=", ".join(NODES)
            )
        if (layer.cell.name, layer.neurons) != (cell.name, neurons):
            raise AdoptingError("EXPORTING_DIRECTIONS_DIFFER", layer=f"layer{k}")
    kind, _, about = NODES[cell.name]
    directions = [_arrays(network, j) for j in level]
    constants |= {f"{role}{k}": np.concatenate([arrays[role] for arrays in directions]) for role in directions[0]}
    names = [below, *(f"{role}{k}" for role in "WRB")]
    if cell.name == "peephole":
        names += ["", "", "", f"P{k}"]
    if len(level) > 1:
        about = {name: value * 2 if isinstance(value, list) else value for name, value in about.items()}
        about["direction"] = "bidirectional"
    elif layers[0].reverse:
        about = {**about, "direction": "reverse"}
    states = [f"h{k}", f"c{k}"] if kind == "LSTM" else [f"h{k}"]
    return make.make_node(kind, names, [f"y{k}", *states], name=f"layer{k}", hidden_size=neurons, **about), states


def _output_nodes(k: int, directions: int, last: bool, make: Any, constants: dict[str, NDArray[Any]]) -> list[Any]:
    """Return the nodes from y (T, directions, B, N), or the final h (directions, B, N), to the output of a layer."""
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


def _hidden_nodes(network: Network, below: str, make: Any, constants: dict[str, NDArray[Any]]) -> tuple[list[Any], str]:
    """Return the nodes of the hidden layers of the readout, and the name of the readout's input."""
    nodes: list[Any] = []
    for k, layer in enumerate(network.configuration.hidden):
        weights, biases = network.hidden_weights(k)
        if layer.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise AdoptingError("EXPORTING_ONNX_ACTIVATION_UNKNOWN", names=known, activation=layer.activation)
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
    """Return W (1, G·N, I), R (1, G·N, N), B (1, 2·G·N) and, for peepholes, P (1, 3·N), in ONNX's order of gates."""
    cell = network.configuration.layers[layer].cell
    order = list(NODES[cell.name][1])
    values = {name: value.detach().numpy() for name, value in network.parameters_of(layer).by_name().items()}
    neurons = values["biases"].shape[1]
    recurrent_biases = np.zeros_like(values["biases"])
    peepholes = {}
    if cell.name == "gru":
        recurrent_biases[-1] = values["neuron_weights"][0]
    if cell.name == "peephole":  # p.i p.f p.o -> i o f
        peepholes["P"] = values["neuron_weights"][[0, 2, 1]].reshape(1, -1)
    inputs, recurrent = values["input_weights"][order], values["recurrent_weights"][order]
    return peepholes | {
        "W": inputs.reshape(1, -1, inputs.shape[2]),
        "R": recurrent.reshape(1, -1, neurons),
        "B": np.concatenate([values["biases"][order], recurrent_biases[order]]).reshape(1, -1),
    }
