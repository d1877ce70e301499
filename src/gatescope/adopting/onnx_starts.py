"""The states that a recurrent node of ONNX starts from, and the count of steps that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.adopting.onnx_weights import OnnxModel, attributes
from gatescope.messages import Message

MOVING = ("Identity", "Cast", "Expand", "Tile", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Gather")
LENGTHS, H, C = 4, 5, 6  # places among the inputs of a node


def start_refused(name: str, node: Any, model: OnnxModel) -> Message | None:
    """Return why no run can start and end as a node does; None if a run can.

    Args:
        name: the name of the node.
        node: the node: LSTM, GRU or RNN.
        model: its graph.
    """
    made_by = {output: other for other in model.nodes for output in other.output}
    inputs = [*node.input, *[""] * 8]
    for place, state in ((H, "h"), (C, "c")):
        if inputs[place] and not _is_zero(inputs[place], model, made_by) and constant_start(node, place, model) is None:
            root = _root(inputs[place], made_by)
            code = "ONNX_STATE_IS_INPUT" if root in model.inputs else "ONNX_STATE_COMPUTED"
            return Message(code, name=name, state=state, root=root)
    if inputs[LENGTHS]:
        root = _root(inputs[LENGTHS], made_by)
        source = made_by.get(root)
        if root not in model.inputs and (source is None or source.op_type != "Shape"):
            return Message("ONNX_LENGTHS_COMPUTED", name=name, root=root)
    return None


def constant_start(node: Any, place: int, model: OnnxModel) -> NDArray[np.float32] | None:
    """Return the constant state (D, N) that every sequence starts from; None if the state is no such constant.

    Args:
        node: the node: LSTM, GRU or RNN.
        place: H or C.
        model: its graph.
    """
    name = node.input[place] if len(node.input) > place else ""
    made_by = {output: other for other in model.nodes for output in other.output}
    value = model.weights.get(_root(name, made_by, ("Identity", "Cast", "Expand"))) if name else None
    if value is None or value.ndim != 3 or attributes(node).get("layout") or not value.size:
        return None
    return value[:, 0] if bool(np.all(value == value[:, :1])) else None


def _root(name: str, made_by: dict[str, Any], moving: Sequence[str] = MOVING) -> str:
    """Return the value that a name comes from through nodes that only move numbers."""
    for _ in range(len(made_by) + 1):
        source = made_by.get(name)
        if source is None or source.op_type not in moving or not source.input:
            break
        name = source.input[0]
    return name


def _is_zero(name: str, model: OnnxModel, made_by: dict[str, Any]) -> bool:
    """Return whether every number of a value is 0."""
    root = _root(name, made_by)
    if root in model.weights:
        return not np.any(model.weights[root])
    source = made_by.get(root)
    if source is None:
        return False
    if source.op_type == "ConstantOfShape":
        value = next((attribute.t for attribute in source.attribute if attribute.name == "value"), None)
        return value is None or not (any(value.float_data) or any(value.raw_data) or any(value.int64_data))
    if source.op_type == "Concat" and not attributes(source).get("axis", 0):
        return all(part in model.weights and not np.any(model.weights[part]) for part in source.input)
    return False
