"""ONNX models: their LSTM, GRU and RNN nodes, whichever program wrote them.

W is (directions, G·N, I), R is (directions, G·N, N), B is (directions, 2·G·N): the biases of W, then those of R. The
gates of an LSTM are in the order i o f c, its peepholes i o f; those of a GRU in the order z r h.

`N` neuron, `I` input, `G` gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatescope.adopting.foreign import AdoptingError, Foreign, ForeignLayer, check_size
from gatescope.adopting.onnx_graph import MOVING, around
from gatescope.adopting.torch_names import Nonlinearity, layer_of
from gatescope.cells import CELLS

Array = NDArray[Any]

# Of each node: the gates in torch's order, as places in ONNX's; and its activations, by default.
NODES = {
    "LSTM": ((0, 2, 3, 1), ("sigmoid", "tanh", "tanh")),
    "GRU": ((1, 0, 2), ("sigmoid", "tanh")),
    "RNN": ((0,), ("tanh",)),
}
ACTIVATIONS = {"tanh": "elman", "relu": "elman_relu", "sigmoid": "elman_sigmoid"}
FEW = 8  # whole numbers of a constant that says which part of an array is taken
RESET_BEFORE = (
    "the GRU {name} has linear_before_reset = 0, which is another cell: it multiplies h by the reset gate before the "
    "recurrent product, U.h · (r · h₋₁), and here every recurrent product is one with h₋₁ itself. It cannot be "
    "adopted; PyTorch and cuDNN export linear_before_reset = 1."
)


def read(path: Path, nonlinearity: Nonlinearity | None = None) -> Foreign:
    """The recurrent layers and the other weights; `nonlinearity` is in the file and is not needed.

    Raises:
        AdoptingError: the file is damaged, or a node is of a form that is another cell.
        ImportError: onnx is not installed.
    """
    del nonlinearity
    graph, weights, whole = _opened(path)
    made_by = {output: node for node in graph.node for output in node.output}
    stacks: dict[str, tuple[ForeignLayer, ...]] = {}
    nodes: dict[str, Any] = {}
    notes: list[str] = []
    for number, node in enumerate(node for node in graph.node if node.op_type in NODES):
        name = (node.name or f"{node.op_type.lower()}{number}").strip("/")
        stacks[name], said = _stack(name, node, weights)
        nodes[name] = node
        notes += said
    embeddings = [
        node.input[0]
        for node in graph.node
        if node.op_type == "Gather" and node.input[0] in weights and weights[node.input[0]].ndim == 2
    ]
    matrices, vectors = _others(graph, weights, {name for node in nodes.values() for name in node.input})
    matrices |= {name: torch.from_numpy(weights[name]) for name in embeddings}
    about = around(graph, nodes, weights, whole)
    return Foreign(
        "ONNX model",
        stacks,
        matrices,
        vectors,
        order=_order(nodes, made_by),
        embedding=embeddings[0] if len(set(embeddings)) == 1 else None,
        before=about.before,
        heads=about.heads,
        notes=(*notes, *about.notes),
    )


def _opened(path: Path) -> tuple[Any, dict[str, Array], dict[str, list[int]]]:
    """The graph, every constant of floating-point numbers in it, and those of few whole numbers."""
    try:
        import onnx  # noqa: PLC0415  an extra
        from google.protobuf.message import DecodeError  # noqa: PLC0415  comes with onnx
    except ImportError as error:
        raise ImportError("ONNX files need onnx: pip install 'gatescope[onnx]'.") from error
    try:
        model = onnx.load_model_from_string(path.read_bytes())
        graph = model.graph
        if not graph.node:
            raise AdoptingError(f"{path} is no ONNX model, or one without a single node.")
        if any(isinstance(name, bytes) for node in graph.node for name in _names(node)):
            raise AdoptingError(f"{path} has names that are no UTF-8; it is damaged.")
        tensors = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.name == "value" and node.output:
                    tensors[node.output[0]] = attribute.t
        if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors.values()):
            raise AdoptingError(
                f"{path} keeps its weights in another file; put them into one, with "
                "onnx.save(onnx.load(path), new, save_as_external_data=False)."
            )
        floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
        chosen = {name: tensor for name, tensor in tensors.items() if tensor.data_type in floats}
        check_size(path, sum(_count(tensor.dims) * 4 for tensor in chosen.values()))
        weights = {name: np.array(onnx.numpy_helper.to_array(tensor), np.float32) for name, tensor in chosen.items()}
        whole = {
            name: np.atleast_1d(onnx.numpy_helper.to_array(tensor)).tolist()
            for name, tensor in tensors.items()
            if tensor.data_type in (onnx.TensorProto.INT64, onnx.TensorProto.INT32) and _count(tensor.dims) <= FEW
        }
    except (DecodeError, ValueError, TypeError, RuntimeError, KeyError) as error:
        if isinstance(error, AdoptingError):
            raise
        raise AdoptingError(f"{path} is truncated, damaged or no ONNX model: {str(error)[:200]}.") from error
    for node in graph.node:
        found = _folded(node, weights)
        if found is not None:
            weights[node.output[0]] = found
    return graph, weights, whole


def _names(node: Any) -> list[Any]:
    """The texts of a node, which are bytes where they are damaged."""
    return [node.name, node.op_type, *node.input, *node.output]


def _count(sizes: Sequence[int]) -> int:
    count = 1
    for size in sizes:
        if size < 0:
            raise ValueError("an array has an axis of a negative length")
        count *= size
    return count


def _folded(node: Any, weights: Mapping[str, Array]) -> Array | None:
    """The result of a node that only puts constants together, as exporters leave them; None for any other."""
    simple: dict[str, Callable[[list[Array], dict[str, Any]], Array]] = {
        "Identity": lambda given, about: given[0],
        "Cast": lambda given, about: given[0],
        "Transpose": lambda given, about: np.transpose(given[0], about.get("perm")),
        "Concat": lambda given, about: np.concatenate(given, about["axis"]),
        "Unsqueeze": lambda given, about: given[0][None],
    }
    if node.op_type not in simple or len(node.output) != 1 or not node.input:
        return None
    names = node.input if node.op_type == "Concat" else node.input[:1]
    if any(name not in weights for name in names):
        return None
    try:
        return np.ascontiguousarray(simple[node.op_type]([weights[name] for name in names], _attributes(node)))
    except (ValueError, KeyError, IndexError):
        return None


def _attributes(node: Any) -> dict[str, Any]:
    kinds = {1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints", 8: "strings"}
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.type in kinds:
            value = getattr(attribute, kinds[attribute.type])
            if isinstance(value, bytes):
                value = value.decode(errors="replace")
            elif attribute.type in (6, 7, 8):
                value = [item.decode(errors="replace") if isinstance(item, bytes) else item for item in value]
            found[attribute.name] = value
    return found


def _stack(name: str, node: Any, weights: Mapping[str, Array]) -> tuple[tuple[ForeignLayer, ...], list[str]]:
    """The one or two directions of a node."""
    about, inputs = _attributes(node), [*node.input, *[""] * 8]
    direction = about.get("direction", "forward")
    reverses = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}.get(direction)
    gates = len(NODES[node.op_type][0])
    if reverses is None:
        raise AdoptingError(f"{name} has the direction {direction!r}; forward, reverse and bidirectional are known.")
    given: dict[str, Array] = {}
    for place, role in ((1, "W"), (2, "R"), (3, "B"), (7, "P")):
        if inputs[place] and inputs[place] not in weights:
            raise AdoptingError(
                f"{role} of {name} is computed while the model runs; only constant weights can be adopted."
            )
        if inputs[place]:
            given[role] = weights[inputs[place]]
    W, R = given.get("W"), given.get("R")
    if W is None or R is None or W.ndim != 3 or R.ndim != 3 or not len(W) == len(R) == len(reverses):
        raise AdoptingError(f"the weights of {name} do not have the axes that an ONNX {node.op_type} has.")
    neurons = R.shape[2]
    B = given.get("B", np.zeros((len(reverses), 2 * gates * neurons), np.float32))
    P = given.get("P") if node.op_type == "LSTM" else None
    fits = R.shape[1] == W.shape[1] == gates * neurons and B.shape == (len(reverses), 2 * gates * neurons)
    if not fits or (P is not None and P.shape != (len(reverses), 3 * neurons)):
        raise AdoptingError(
            f"the weights of {name} are {W.shape}, {R.shape} and {B.shape}, which do not fit each other."
        )
    cells = _cells(name, node.op_type, about, len(reverses), P is not None)
    layers = []
    for k, reverse in enumerate(reverses):
        order = NODES[node.op_type][0]
        rows = np.concatenate([np.arange(neurons) + gate * neurons for gate in order])
        both = B[k].reshape(2, gates * neurons)
        arrays = {"weight_ih": W[k], "weight_hh": R[k], "bias_ih": both[0], "bias_hh": both[1]}
        tensors = {role: torch.from_numpy(np.ascontiguousarray(value[rows])) for role, value in arrays.items()}
        called = f"{name}{' backwards' if reverse else ''}"
        layer, _ = layer_of(called, tensors, reverse, "tanh")
        parameters = layer.parameters
        if P is not None:  # i o f -> i f o
            peepholes = P[k].reshape(3, neurons)[[0, 2, 1]]
            parameters = replace(parameters, neuron_weights=torch.from_numpy(np.ascontiguousarray(peepholes)))
        layers.append(replace(layer, cell=CELLS[cells[k]], parameters=parameters))
    notes = []
    for place, state in ((5, "h"), (6, "c")):
        start = weights.get(inputs[place])
        if start is not None and bool(np.any(start)):
            notes.append(f"{name} starts from an {state} that is not 0 in the file; here it starts from 0.")
    return tuple(layers), notes


def _cells(name: str, kind: str, about: Mapping[str, Any], directions: int, peepholes: bool) -> list[str]:
    """The cell of each direction, by the attributes of the node.

    Raises:
        AdoptingError: no cell here computes that.
    """
    if kind == "GRU" and not about.get("linear_before_reset", 0):
        raise AdoptingError(RESET_BEFORE.format(name=name))
    if about.get("clip"):
        raise AdoptingError(f"{name} clips what goes into its gates to {about['clip']:g}, which no cell here does.")
    if about.get("input_forget"):
        raise AdoptingError(f"{name} couples its input and forget gates, in a form that programs do not agree on.")
    usual = NODES[kind][1]
    given = [str(one).lower() for one in about.get("activations", [])] or list(usual) * directions
    each = [tuple(given[k * len(usual) : (k + 1) * len(usual)]) for k in range(directions)]
    if kind == "RNN" and all(len(one) == 1 and one[0] in ACTIVATIONS for one in each):
        return [ACTIVATIONS[one[0]] for one in each]
    if any(one != usual for one in each):
        raise AdoptingError(
            f"{name} is a {kind} with the activations {', '.join(given)}; {', '.join(usual)} can be adopted."
        )
    return [{"GRU": "gru", "LSTM": "peephole" if peepholes else "lstm"}[kind]] * directions


def _others(
    graph: Any, weights: Mapping[str, Array], used: set[str]
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The matrices of products, as (outputs, inputs), and the vectors that are added to them, under the same names."""
    matrices: dict[str, torch.Tensor] = {}
    vectors: dict[str, torch.Tensor] = {}
    products: dict[str, str] = {}
    for node in graph.node:
        names = list(node.input)
        if node.op_type == "MatMul" and names[1] in weights and weights[names[1]].ndim == 2 and names[1] not in used:
            matrices[names[1]] = torch.from_numpy(np.ascontiguousarray(weights[names[1]].T))
            products[node.output[0]] = names[1]
        elif node.op_type == "Gemm" and names[1] in weights and names[1] not in used:
            about, value = _attributes(node), weights[names[1]]
            matrices[names[1]] = torch.from_numpy(np.ascontiguousarray(value if about.get("transB") else value.T))
            if len(names) > 2 and names[2] in weights:
                vectors[f"{names[1]}_bias"] = torch.from_numpy(weights[names[2]].ravel())
        elif node.op_type == "Add" and len(names) == 2:
            for product, bias in (names, names[::-1]):
                if product in products and bias in weights:
                    vectors[f"{products[product]}_bias"] = torch.from_numpy(weights[bias].ravel())
    return matrices, vectors


def _order(nodes: Mapping[str, Any], made_by: Mapping[str, Any]) -> tuple[str, ...]:
    """The recurrent nodes in the order in which they read each other, where each reads only the one before."""
    below: dict[str, str | None] = {}
    for name, node in nodes.items():
        current = made_by.get(node.input[0])
        for _ in range(len(made_by)):
            if current is None or current.op_type not in MOVING:
                break
            current = made_by.get(current.input[0])
        below[name] = next((other for other, one in nodes.items() if one is current), None)
    first = [name for name, under in below.items() if under is None]
    chain = first[:1]
    while chain and len(chain) <= len(nodes):
        above = [name for name, under in below.items() if under == chain[-1]]
        if len(above) != 1:
            break
        chain.append(above[0])
    return tuple(chain) if len(first) == 1 and len(chain) == len(nodes) else ()
