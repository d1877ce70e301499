"""What stands around the recurrent nodes of an ONNX graph: what they read, and how they are read out.

Nodes that only move numbers about are passed; whatever computes something else ends the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gatescope.adopting.foreign import NONE, Activation, Head

MOVING = ("Squeeze", "Unsqueeze", "Transpose", "Reshape", "Identity", "Dropout", "Cast", "Flatten")
SELECTING = ("Gather", "Slice", "Split", "Concat")
ASIDE = ("Shape", "Size")  # what only asks how large something is
PRODUCTS = ("MatMul", "Gemm")
ACTIVATIONS: dict[str, Activation] = {
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "LogSoftmax": "softmax",
    "ArgMax": "softmax",
}
BACKWARD_UNREAD = (
    "{name} is read out at the last step of its outputs, where the backward direction has read one step only; the run "
    "predicts at every step, and what it says at the last one is what the file's network says."
)


@dataclass
class Around:
    """What the graph says of its recurrent nodes, by their names: in the fields of `Foreign`."""

    before: dict[str, str] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def around(
    graph: Any, nodes: Mapping[str, Any], constants: Mapping[str, Any], whole: Mapping[str, list[int]]
) -> Around:
    """What is before and behind each recurrent node.

    Args:
        graph: of the model.
        nodes: the recurrent nodes by name.
        constants: the names of the weights, and their values.
        whole: the values of small constants of whole numbers.
    """
    made_by = {output: node for node in graph.node for output in node.output}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in dict.fromkeys(node.input):
            readers.setdefault(name, []).append(node)
    found = Around()
    for name, node in nodes.items():
        between = _before(node, made_by, constants)
        if between is not None:
            found.before[name] = between
        found.heads[name], said = _head(name, node, readers, made_by, constants, whole)
        found.notes += said
    return found


def _before(node: Any, made_by: Mapping[str, Any], constants: Mapping[str, Any]) -> str | None:
    """What makes the numbers that a node reads, where that is neither the input nor an embedding nor another node."""
    name = node.input[0]
    for _ in range(len(made_by) + 1):
        current = made_by.get(name)
        if current is None or current.op_type in ("OneHot", "LSTM", "GRU", "RNN"):
            return None
        if current.op_type == "Gather" and current.input[0] in constants:
            return None
        if current.op_type not in MOVING:
            return f"{current.name} ({current.op_type})" if current.name else f"a node {current.op_type}"
        name = current.input[0]
    return None


def _head(
    name: str,
    node: Any,
    readers: Mapping[str, list[Any]],
    made_by: Mapping[str, Any],
    constants: Mapping[str, Any],
    whole: Mapping[str, list[int]],
) -> tuple[Head, list[str]]:
    """How a node is read out, and what is to be said about it."""
    passed, ends, outputs = _ways(node, readers)
    if not ends:
        return Head(), []
    product = ends[0]
    weighing = product.input[1] if len(product.input) > 1 else ""
    if len(ends) > 1 or product.op_type not in PRODUCTS or weighing not in constants:
        return Head(NONE, ", ".join(dict.fromkeys(end.op_type for end in ends))), []
    if _turned(passed, made_by, whole) or len(outputs) > 1:
        return Head(NONE, "another order of the directions or steps"), []
    activation, between = _activation(product, readers, constants)
    if between:
        return Head(NONE, between), []
    selecting = [one for one in passed if one.op_type in SELECTING]
    if outputs == {0} and not selecting:
        return Head(weighing, "", "every step", activation), []
    if outputs == {0}:
        steps = [_index(one, whole) for one in selecting]
        if any(step not in (None, -1) for step in steps):
            return Head(NONE, "a choice of steps"), []
        if any(one.name == "direction" and one.s == b"bidirectional" for one in node.attribute):
            return Head(weighing, "", "every step", activation), [BACKWARD_UNREAD.format(name=name)]
    return Head(weighing, "", "last step", activation), []


def _ways(node: Any, readers: Mapping[str, list[Any]]) -> tuple[list[Any], list[Any], set[int]]:
    """The nodes that a node's results pass, those at which they become something else, and which results these are."""
    passed: dict[int, Any] = {}
    ends: dict[int, Any] = {}
    outputs: set[int] = set()
    for place, output in enumerate(list(node.output)[:2]):
        waiting = [output] if output else []
        while waiting:
            for reader in readers.get(waiting.pop(), []):
                if reader.op_type in (*MOVING, *SELECTING):
                    if id(reader) not in passed:
                        passed[id(reader)] = reader
                        waiting += list(reader.output)
                        outputs.add(place)
                elif reader.op_type not in (*ASIDE, "LSTM", "GRU", "RNN"):
                    ends[id(reader)] = reader
                    outputs.add(place)
    if not ends:
        outputs.clear()
    return list(passed.values()), list(ends.values()), outputs


def _turned(passed: list[Any], made_by: Mapping[str, Any], whole: Mapping[str, list[int]]) -> bool:
    """Whether the backward direction is put before the forward one."""
    for node in passed:
        if node.op_type == "Concat":
            chosen = [_index(made_by[name], whole) for name in node.input if name in made_by]
            places = [index % 2 for index in chosen if index is not None]
            if places == [1, 0]:
                return True
    return False


def _index(node: Any, whole: Mapping[str, list[int]]) -> int | None:
    """Which part a node takes, where that is one and known."""
    if node.op_type not in ("Gather", "Slice") or len(node.input) < 2:
        return None
    values = whole.get(node.input[1])
    return values[0] if values is not None and len(values) == 1 else None


def _activation(
    product: Any, readers: Mapping[str, list[Any]], constants: Mapping[str, Any]
) -> tuple[Activation | None, str]:
    """What is done with a product, and what else stands behind it."""
    current = product
    for _ in range(len(readers) + 1):
        above = [one for name in current.output for one in readers.get(name, []) if one.op_type not in ASIDE]
        if not above:
            return None, ""
        if len(above) > 1:
            return None, ", ".join(dict.fromkeys(one.op_type for one in above))
        if above[0].op_type in ACTIVATIONS:
            return ACTIVATIONS[above[0].op_type], ""
        biases = above[0].op_type == "Add" and any(name in constants for name in above[0].input)
        if not biases and above[0].op_type not in (*MOVING, *SELECTING):
            return None, above[0].op_type
        current = above[0]
    return None, ""
