"""ONNX models of any program: their LSTM, GRU and RNN nodes.

W is (directions, G·N, I), R is (directions, G·N, N), B is (directions, 2·G·N): the biases of W, then those of R. The
gates of an LSTM are in the order i o f c, its peepholes i o f; those of a GRU in the order z r h.

`N` neuron, `I` input, `G` gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gatescope.adopting.foreign import AdoptingError, Foreign, ForeignLayer, listed
from gatescope.adopting.onnx_graph import around
from gatescope.adopting.onnx_starts import C, H, constant_start, start_refused
from gatescope.adopting.onnx_weights import STANDARD, Array, OnnxModel, attributes, nodes_inside, opened
from gatescope.adopting.torch_names import Nonlinearity, layer_of
from gatescope.adopting.wiring import order_of
from gatescope.cells import CELLS
from gatescope.messages import Message

# For each node: the gates in torch's order, as places in ONNX's order, and its default activations.
NODES = {
    "LSTM": ((0, 2, 3, 1), ("sigmoid", "tanh", "tanh")),
    "GRU": ((1, 0, 2), ("sigmoid", "tanh")),
    "RNN": ((0,), ("tanh",)),
}
ACTIVATIONS = {"tanh": "elman", "relu": "elman_relu", "sigmoid": "elman_sigmoid"}


def read(path: Path, nonlinearity: Nonlinearity | None = None) -> Foreign:
    """Return the recurrent layers and the other weights.

    Args:
        path: the file.
        nonlinearity: not used, because an ONNX model records its activations.

    Raises:
        AdoptingError: the file is damaged, or a node is of a form that is another cell.
        ImportError: onnx is not installed.
    """
    del nonlinearity
    model = opened(path)
    stacks: dict[str, tuple[ForeignLayer, ...]] = {}
    nodes: dict[str, Any] = {}
    refused: dict[str, Message] = {}
    for number, node in enumerate(node for node in model.nodes if node.op_type in NODES and node.domain in STANDARD):
        name = (node.name or f"{node.op_type.lower()}{number}").strip("/")
        if name in stacks:
            raise AdoptingError("ONNX_NODE_NAME_REPEATED", path=path, name=name)
        stacks[name], nodes[name] = _started(_stack(name, node, model.weights), node, model), node
        if reason := start_refused(name, node, model):
            refused[name] = reason
    if not stacks:
        raise _without_recurrent_nodes(path, model)
    matrices, vectors = _others(model, {name for node in nodes.values() for name in node.input})
    about = around(model, nodes, {name: tuple(layer.reverse for layer in layers) for name, layers in stacks.items()})
    matrices |= {name: torch.from_numpy(model.weights[name]) for name in about.embeddings.values()}
    used = [matrix for head in about.heads.values() for matrix, _ in (*head.hidden, (head.matrix, ""))]
    for matrix in used:
        if matrix in matrices and matrix not in about.biases:
            vectors[f"{matrix}_bias"] = torch.zeros(len(matrices[matrix]))
    return Foreign(
        "ONNX model",
        stacks,
        matrices,
        vectors,
        order=order_of(about.below),
        embedding=next(iter(about.embeddings.values())) if len(set(about.embeddings.values())) == 1 else None,
        below=about.below,
        before=about.before,
        refused=about.refused | refused,
        heads=about.heads,
        notes=tuple(about.notes),
    )


def _without_recurrent_nodes(path: Path, model: OnnxModel) -> AdoptingError:
    """Return why a model without recurrent nodes cannot be adopted, and where its recurrent layers may be."""
    for node in model.nodes:
        for inner in nodes_inside(node):
            if inner.op_type in NODES:
                return AdoptingError(
                    "ONNX_NODE_IN_BRANCH",
                    path=path,
                    inner=inner.name or inner.op_type,
                    inner_kind=inner.op_type,
                    outer=node.name or "a node",
                    outer_kind=node.op_type,
                )
    names = ", ".join(NODES)
    others = [node.op_type for node in model.nodes if any(kind in node.op_type for kind in NODES)]
    if others:
        return AdoptingError(
            "ONNX_NODES_OF_OTHER_PROGRAM", path=path, names=names, others=listed(dict.fromkeys(others))
        )
    kinds = [inner.op_type for node in model.nodes for inner in (node, *nodes_inside(node))]
    gates = kinds.count("Sigmoid") + kinds.count("Tanh")
    products = sum(kinds.count(kind) for kind in ("MatMul", "Gemm"))
    if gates and products:
        return AdoptingError("ONNX_LAYER_TAKEN_APART", path=path, names=names, products=products, gates=gates)
    return AdoptingError("ONNX_WITHOUT_RECURRENT_NODES", path=path, names=names, kinds=listed(dict.fromkeys(kinds)))


def _started(layers: tuple[ForeignLayer, ...], node: Any, model: OnnxModel) -> tuple[ForeignLayer, ...]:
    """Return the layers with the constant states that they start from, if these are not 0."""
    states = {"h": constant_start(node, H, model), "c": constant_start(node, C, model)}
    started = []
    for k, layer in enumerate(layers):
        own = {
            state: value[k] for state, value in states.items() if value is not None and value.shape[0] == len(layers)
        }
        if any(np.any(value) for value in own.values()) and all(len(value) == layer.neurons for value in own.values()):
            zero = torch.zeros(layer.neurons)
            initial = {s: torch.from_numpy(own[s].copy()) if s in own else zero for s in layer.cell.states}
            started.append(replace(layer, initial=initial))
        else:
            started.append(layer)
    return tuple(started)


def _stack(name: str, node: Any, weights: Mapping[str, Array]) -> tuple[ForeignLayer, ...]:
    """Return the one or two directions of a node."""
    about, inputs = attributes(node), [*node.input, *[""] * 8]
    direction = about.get("direction", "forward")
    reverses = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}.get(direction)
    gates = len(NODES[node.op_type][0])
    if reverses is None:
        raise AdoptingError("ONNX_DIRECTION_UNKNOWN", name=name, direction=direction)
    arrays: dict[str, Array] = {}
    for place, role in ((1, "W"), (2, "R"), (3, "B"), (7, "P")):
        if inputs[place] and inputs[place] not in weights:
            raise AdoptingError("ONNX_WEIGHT_COMPUTED", role=role, name=name)
        if inputs[place]:
            arrays[role] = weights[inputs[place]]
    W, R = arrays.get("W"), arrays.get("R")
    if W is None or R is None or W.ndim != 3 or R.ndim != 3 or not len(W) == len(R) == len(reverses):
        raise AdoptingError(
            "ONNX_WEIGHTS_AXES_DIFFER",
            name=name,
            kind=node.op_type,
            directions=len(reverses),
            W=None if W is None else W.shape,
            R=None if R is None else R.shape,
        )
    neurons = R.shape[2]
    B = arrays.get("B", np.zeros((len(reverses), 2 * gates * neurons), np.float32))
    P = arrays.get("P") if node.op_type == "LSTM" else None
    fits = R.shape[1] == W.shape[1] == gates * neurons and B.shape == (len(reverses), 2 * gates * neurons)
    if not fits or (P is not None and P.shape != (len(reverses), 3 * neurons)):
        raise AdoptingError("ONNX_WEIGHTS_SHAPES_DIFFER", name=name, kind=node.op_type, W=W.shape, R=R.shape, B=B.shape)
    cells = _cells(name, node.op_type, about, len(reverses), P is not None)
    layers = []
    for k, reverse in enumerate(reverses):
        order = NODES[node.op_type][0]
        rows = np.concatenate([np.arange(neurons) + gate * neurons for gate in order])
        biases = B[k].reshape(2, gates * neurons)
        own = {"weight_ih": W[k], "weight_hh": R[k], "bias_ih": biases[0], "bias_hh": biases[1]}
        tensors = {role: torch.from_numpy(np.ascontiguousarray(value[rows])) for role, value in own.items()}
        layer = layer_of(f"{name}{' backwards' if reverse else ''}", tensors, reverse, "tanh")
        parameters = layer.parameters
        if P is not None:  # i o f -> i f o
            peepholes = P[k].reshape(3, neurons)[[0, 2, 1]]
            parameters = replace(parameters, neuron_weights=torch.from_numpy(np.ascontiguousarray(peepholes)))
        layers.append(replace(layer, cell=CELLS[cells[k]], parameters=parameters))
    return tuple(layers)


def _cells(name: str, kind: str, about: Mapping[str, Any], directions: int, peepholes: bool) -> list[str]:
    """Return the cell of each direction, by the attributes of the node.

    Raises:
        AdoptingError: no built-in cell computes that.
    """
    if kind == "GRU" and not about.get("linear_before_reset", 0):
        raise AdoptingError("ONNX_GRU_RESET_BEFORE", name=name)
    if about.get("clip"):
        raise AdoptingError("ONNX_GATES_CLIPPED", name=name, clip=about["clip"])
    if about.get("input_forget"):
        raise AdoptingError("ONNX_GATES_COUPLED", name=name)
    usual = NODES[kind][1]
    names = [name.lower() for name in about.get("activations", [])] or list(usual) * directions
    by_direction = [tuple(names[k * len(usual) : (k + 1) * len(usual)]) for k in range(directions)]
    if kind == "RNN" and all(len(own) == 1 and own[0] in ACTIVATIONS for own in by_direction):
        return [ACTIVATIONS[own[0]] for own in by_direction]
    if any(own != usual for own in by_direction):
        expected = ", ".join(ACTIVATIONS if kind == "RNN" else usual)
        raise AdoptingError("ONNX_ACTIVATIONS_UNKNOWN", name=name, kind=kind, expected=expected, names=", ".join(names))
    return [{"GRU": "gru", "LSTM": "peephole" if peepholes else "lstm"}[kind]] * directions


def _others(model: OnnxModel, used: set[str]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the matrices of products, as (outputs, inputs), and the vectors that are added to these products."""
    matrices: dict[str, torch.Tensor] = {}
    vectors: dict[str, torch.Tensor] = {}
    products: dict[str, str] = {}
    weights = model.weights
    for node in model.nodes:
        names = list(node.input)
        second = names[1] if len(names) > 1 and names[1] in weights and names[1] not in used else None
        if node.op_type == "MatMul" and second and weights[second].ndim == 2:
            matrices[second] = torch.from_numpy(np.ascontiguousarray(weights[second].T))
            products |= dict.fromkeys(node.output[:1], second)
        elif node.op_type == "Gemm" and second and weights[second].ndim == 2:
            value = weights[second]
            transposed = attributes(node).get("transB")
            matrices[second] = torch.from_numpy(np.ascontiguousarray(value if transposed else value.T))
            if len(names) > 2 and names[2] in weights:
                vectors[f"{second}_bias"] = torch.from_numpy(weights[names[2]].ravel())
        elif node.op_type == "Add" and len(names) == 2:
            for product, bias in (names, names[::-1]):
                if product in products and bias in weights:
                    vectors[f"{products[product]}_bias"] = torch.from_numpy(weights[bias].ravel())
    return matrices, vectors
