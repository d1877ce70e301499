"""From which states a recurrent node of ONNX starts, and how many steps it reads of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.adopting.onnx_weights import OnnxModel, attributes

MOVING = ("Identity", "Cast", "Expand", "Tile", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Gather")
LENGTHS, H, C = 4, 5, 6  # places among the inputs of a node


def start_refused(name: str, node: Any, model: OnnxModel) -> str:
    """Return why no run can start and end as a node does; nothing if a run can.

    Args:
        name: of the node.
        node: LSTM, GRU or RNN.
        model: its graph.
    """
    made_by = {output: one for one in model.nodes for output in one.output}
    given = [*node.input, *[""] * 8]
    for place, state in ((H, "h"), (C, "c")):
        if given[place] and not _is_zero(given[place], model, made_by) and constant_start(node, place, model) is None:
            root = _root(given[place], made_by)
            if root in model.inputs:
                return (
                    f"{name} starts from the {state} that the graph takes as its input {root}; in a run it starts from "
                    f"constants. If the state is 0 at the start of a text, make {root} a constant of zeros in the file."
                )
            return f"{name} starts from an {state} that is not the same for every sequence ({root}); in a run it is."
    if given[LENGTHS]:
        root = _root(given[LENGTHS], made_by)
        made = made_by.get(root)
        if root not in model.inputs and (made is None or made.op_type != "Shape"):
            return (
                f"{name} reads as many steps of a sequence as {root} says (sequence_lens), which is constant or "
                "computed in the file; a run reads all. Export the model without it."
            )
    return ""


def constant_start(node: Any, place: int, model: OnnxModel) -> NDArray[np.float32] | None:
    """Return the constant state (D, N) that every sequence starts from; None if the state is no such constant.

    Args:
        node: LSTM, GRU or RNN.
        place: H or C.
        model: its graph.
    """
    name = node.input[place] if len(node.input) > place else ""
    made_by = {output: one for one in model.nodes for output in one.output}
    value = model.weights.get(_root(name, made_by, ("Identity", "Cast", "Expand"))) if name else None
    if value is None or value.ndim != 3 or attributes(node).get("layout") or not value.size:
        return None
    return value[:, 0] if bool(np.all(value == value[:, :1])) else None


def _root(name: str, made_by: dict[str, Any], moving: Sequence[str] = MOVING) -> str:
    """Return the value that a name comes from through nodes that only move numbers."""
    for _ in range(len(made_by) + 1):
        made = made_by.get(name)
        if made is None or made.op_type not in moving or not made.input:
            break
        name = made.input[0]
    return name


def _is_zero(name: str, model: OnnxModel, made_by: dict[str, Any]) -> bool:
    """Whether every number of a value is 0."""
    root = _root(name, made_by)
    if root in model.weights:
        return not np.any(model.weights[root])
    made = made_by.get(root)
    if made is None:
        return False
    if made.op_type == "ConstantOfShape":
        value = next((one.t for one in made.attribute if one.name == "value"), None)
        return value is None or not (any(value.float_data) or any(value.raw_data) or any(value.int64_data))
    if made.op_type == "Concat" and not attributes(made).get("axis", 0):
        return all(part in model.weights and not np.any(model.weights[part]) for part in made.input)
    return False
