"""ONNX models: their LSTM, GRU and RNN nodes, whichever program wrote them.

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

# Of each node: the gates in torch's order, as places in ONNX's; and its activations, by default.
NODES = {
    "LSTM": ((0, 2, 3, 1), ("sigmoid", "tanh", "tanh")),
    "GRU": ((1, 0, 2), ("sigmoid", "tanh")),
    "RNN": ((0,), ("tanh",)),
}
ACTIVATIONS = {"tanh": "elman", "relu": "elman_relu", "sigmoid": "elman_sigmoid"}
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
    model = opened(path)
    stacks: dict[str, tuple[ForeignLayer, ...]] = {}
    nodes: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for number, node in enumerate(node for node in model.nodes if node.op_type in NODES and node.domain in STANDARD):
        name = (node.name or f"{node.op_type.lower()}{number}").strip("/")
        if name in stacks:
            raise AdoptingError("ONNX_FILE_TWO_NODES_DAMAGED", path=path, name=name)
        stacks[name], nodes[name] = _started(_stack(name, node, model.weights), node, model), node
        if why := start_refused(name, node, model):
            refused[name] = why
    if not stacks:
        raise AdoptingError(_without_recurrent_nodes(path, model))
    matrices, vectors = _others(model, {name for node in nodes.values() for name in node.input})
    about = around(model, nodes, {name: tuple(one.reverse for one in layers) for name, layers in stacks.items()})
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


def _without_recurrent_nodes(path: Path, model: OnnxModel) -> str:
    """Why a model without recurrent nodes cannot be adopted: where its recurrent layers may be."""
    for node in model.nodes:
        for inner in nodes_inside(node):
            if inner.op_type in NODES:
                what, where = inner.name or inner.op_type, node.name or "a node"
                return (
                    f"The node {what} ({inner.op_type}) of {path} is inside {where} ({node.op_type}), which runs it "
                    "only on a condition or many times over. Export the model again without branches, or adopt its own "
                    "weights."
                )
    others = [node.op_type for node in model.nodes if any(kind in node.op_type for kind in NODES)]
    if others:
        got = listed(dict.fromkeys(others))
        return f"{path}: expected nodes {', '.join(NODES)} of ONNX, got {got}, which other programs defined."
    kinds = [inner.op_type for node in model.nodes for inner in (node, *nodes_inside(node))]
    gates = kinds.count("Sigmoid") + kinds.count("Tanh")
    products = sum(kinds.count(kind) for kind in ("MatMul", "Gemm"))
    if gates and products:
        return (
            f"{path}: expected nodes {', '.join(NODES)}, got {products} products and {gates} nodes Sigmoid or Tanh. A "
            "recurrent layer that the exporter took apart, step by step, cannot be put together again. Adopt the "
            "weights of the model itself, such as its state dict, or export a module LSTM, GRU or RNN."
        )
    return (
        f"{path}: expected nodes {', '.join(NODES)}, got {listed(dict.fromkeys(kinds))}. No recurrent layer is in it."
    )


def _started(layers: tuple[ForeignLayer, ...], node: Any, model: OnnxModel) -> tuple[ForeignLayer, ...]:
    """The layers with the constant states that they start from, if these are not 0."""
    states = {"h": constant_start(node, H, model), "c": constant_start(node, C, model)}
    found = []
    for k, layer in enumerate(layers):
        own = {
            state: value[k] for state, value in states.items() if value is not None and value.shape[0] == len(layers)
        }
        if any(np.any(value) for value in own.values()) and all(len(value) == layer.neurons for value in own.values()):
            zero = torch.zeros(layer.neurons)
            initial = {s: torch.from_numpy(own[s].copy()) if s in own else zero for s in layer.cell.states}
            found.append(replace(layer, initial=initial))
        else:
            found.append(layer)
    return tuple(found)


def _stack(name: str, node: Any, weights: Mapping[str, Array]) -> tuple[ForeignLayer, ...]:
    """The one or two directions of a node."""
    about, inputs = attributes(node), [*node.input, *[""] * 8]
    direction = about.get("direction", "forward")
    reverses = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}.get(direction)
    gates = len(NODES[node.op_type][0])
    if reverses is None:
        raise AdoptingError("ONNX_FILE_DIRECTION_FORWARD_REVERSE_BIDIRECTIONAL", name=name, direction=direction)
    given: dict[str, Array] = {}
    for place, role in ((1, "W"), (2, "R"), (3, "B"), (7, "P")):
        if inputs[place] and inputs[place] not in weights:
            raise AdoptingError("ONNX_FILE_COMPUTED_WHILE_MODEL_RUNS", role=role, name=name)
        if inputs[place]:
            given[role] = weights[inputs[place]]
    W, R = given.get("W"), given.get("R")
    if W is None or R is None or W.ndim != 3 or R.ndim != 3 or not len(W) == len(R) == len(reverses):
        raise AdoptingError("ONNX_FILE_WEIGHTS_AXES_ONNX", name=name, op_type=node.op_type)
    neurons = R.shape[2]
    B = given.get("B", np.zeros((len(reverses), 2 * gates * neurons), np.float32))
    P = given.get("P") if node.op_type == "LSTM" else None
    fits = R.shape[1] == W.shape[1] == gates * neurons and B.shape == (len(reverses), 2 * gates * neurons)
    if not fits or (P is not None and P.shape != (len(reverses), 3 * neurons)):
        raise AdoptingError("ONNX_FILE_WEIGHTS_FIT_OTHER", name=name, shape=W.shape, shape2=R.shape, shape3=B.shape)
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
    return tuple(layers)


def _cells(name: str, kind: str, about: Mapping[str, Any], directions: int, peepholes: bool) -> list[str]:
    """The cell of each direction, by the attributes of the node.

    Raises:
        AdoptingError: no cell here computes that.
    """
    if kind == "GRU" and not about.get("linear_before_reset", 0):
        raise AdoptingError(RESET_BEFORE.format(name=name))
    if about.get("clip"):
        raise AdoptingError("ONNX_FILE_CLIPS_GOES_INTO_GATES", name=name, about=about["clip"])
    if about.get("input_forget"):
        raise AdoptingError("ONNX_FILE_COUPLES_INPUT_FORGET_GATES", name=name)
    usual = NODES[kind][1]
    given = [str(one).lower() for one in about.get("activations", [])] or list(usual) * directions
    each = [tuple(given[k * len(usual) : (k + 1) * len(usual)]) for k in range(directions)]
    if kind == "RNN" and all(len(one) == 1 and one[0] in ACTIVATIONS for one in each):
        return [ACTIVATIONS[one[0]] for one in each]
    if any(one != usual for one in each):
        raise AdoptingError(
            "ONNX_FILE_ACTIVATIONS_ADOPTED", name=name, kind=kind, given=", ".join(given), usual=", ".join(usual)
        )
    return [{"GRU": "gru", "LSTM": "peephole" if peepholes else "lstm"}[kind]] * directions


def _others(model: OnnxModel, used: set[str]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The matrices of products, as (outputs, inputs), and the vectors that are added to them, under the same names."""
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
            turned = attributes(node).get("transB")
            matrices[second] = torch.from_numpy(np.ascontiguousarray(value if turned else value.T))
            if len(names) > 2 and names[2] in weights:
                vectors[f"{second}_bias"] = torch.from_numpy(weights[names[2]].ravel())
        elif node.op_type == "Add" and len(names) == 2:
            for product, bias in (names, names[::-1]):
                if product in products and bias in weights:
                    vectors[f"{products[product]}_bias"] = torch.from_numpy(weights[bias].ravel())
    return matrices, vectors
