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


def model_bytes(network: Network) -> bytes:
    """The model: ids `tokens` (T, B) in, `logits` (T, B, V) and the final state of each layer out.

    Every sequence starts from the initial state 0. An id that is no symbol is not allowed (a run reads it as zeros).

    Raises:
        AdoptingError: ONNX has no node for a cell.
        ImportError: onnx is not installed.
    """
    try:
        import onnx  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ImportError("writing ONNX files needs onnx: pip install 'gatescope[onnx]'.") from error
    make, constants = onnx.helper, dict[str, NDArray[Any]]()
    nodes, outputs = [], []
    symbols = network.configuration.vocabulary.size
    if network.embedding is None:
        constants |= {"symbols": np.array(symbols, np.int64), "off_on": np.array([0, 1], np.float32)}
        nodes.append(make.make_node("OneHot", ["tokens", "symbols", "off_on"], ["x0"], name="one_hot"))
    else:
        constants["embedding"] = network.embedding.detach().numpy()
        nodes.append(make.make_node("Gather", ["embedding", "tokens"], ["x0"], name="embed"))
    constants["direction"] = np.array([1], np.int64)
    for k, layer in enumerate(network.configuration.layers):
        if layer.cell.name not in NODES:
            raise AdoptingError(
                f"layer{k} is a {layer.cell.title}, for which ONNX has no node; it has those for {', '.join(NODES)}."
            )
        kind, _, told = NODES[layer.cell.name]
        arrays = _arrays(network, k)
        constants |= arrays
        names = [f"x{k}", *(f"{role}{k}" for role in "WRB")]
        if layer.cell.name == "peephole":
            names += ["", "", "", f"P{k}"]
        states = [f"h{k}", f"c{k}"] if kind == "LSTM" else [f"h{k}"]
        nodes.append(
            make.make_node(kind, names, [f"y{k}", *states], name=f"layer{k}", hidden_size=layer.neurons, **told)
        )
        nodes.append(make.make_node("Squeeze", [f"y{k}", "direction"], [f"x{k + 1}"], name=f"layer{k}_steps"))
        outputs += [
            make.make_tensor_value_info(state, onnx.TensorProto.FLOAT, [1, "sequences", layer.neurons])
            for state in states
        ]
    last = f"x{len(network.configuration.layers)}"
    constants["readout"] = np.ascontiguousarray(network.readout_weights.detach().numpy().T)
    constants["readout_biases"] = network.readout_biases.detach().numpy()
    nodes.append(make.make_node("MatMul", [last, "readout"], ["products"], name="readout_product"))
    nodes.append(make.make_node("Add", ["products", "readout_biases"], ["logits"], name="readout_sum"))
    size = ["steps", "sequences"]
    graph = make.make_graph(
        nodes,
        "gatescope",
        [make.make_tensor_value_info("tokens", onnx.TensorProto.INT64, size)],
        [
            make.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [*size, network.configuration.predicted]),
            *outputs,
        ],
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
        found[f"P{layer}"] = values["neuron_weights"][[0, 2, 1]].reshape(1, -1)
    heard, recurrent = values["input_weights"][order], values["recurrent_weights"][order]
    return found | {
        f"W{layer}": heard.reshape(1, -1, heard.shape[2]),
        f"R{layer}": recurrent.reshape(1, -1, neurons),
        f"B{layer}": np.concatenate([values["biases"][order], echoed[order]]).reshape(1, -1),
    }
