"""The surroundings of the recurrent nodes of an ONNX graph: what they read, and how they are read out.

Every value that comes from a recurrent node carries the names of its axes. A node that only moves numbers changes the
names, and a product with a constant matrix begins the head. A node that computes something else ends the path, and is
named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gatescope.adopting.foreign import NONE, Head, listed
from gatescope.adopting.onnx_sizes import Sizes
from gatescope.adopting.onnx_values import HIDDEN, OUTPUTS, Value, activated, joined, rearranged
from gatescope.adopting.onnx_weights import FLOATS, STANDARD, OnnxModel, attributes
from gatescope.messages import Message
from gatescope.readout import Reads

UNCHANGED = ("Identity", "Dropout", "Cast")  # nodes that change no number
SHAPES = ("Shape", "Size")  # nodes that read only the shape of a value
BACKWARD_UNREAD = (
    "{name} is read out at the last step of its outputs, where the backward direction has read one step only. The run "
    "predicts at every step, and its prediction at the last step is that of the network in the file."
)
CELL_STATES = "its cell states c"


@dataclass
class Around:
    """The surroundings of recurrent nodes, by their names, in the fields of `Foreign`.

    Attributes:
        below: node -> the node that it reads, or None.
        before: node -> the part of the graph that makes its input.
        refused: node -> why no run can have it.
        heads: node -> its readout.
        embeddings: node -> the matrix of its embedding.
        biases: matrix of a head -> the constant that is added to its product.
        notes: what was assumed, one sentence each.
    """

    below: dict[str, str | None] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    refused: dict[str, Message] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    embeddings: dict[str, str] = field(default_factory=dict)
    biases: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def around(model: OnnxModel, nodes: Mapping[str, Any], directions: Mapping[str, tuple[bool, ...]]) -> Around:
    """Return the surroundings of the recurrent nodes.

    Args:
        model: the graph and its constants.
        nodes: the recurrent nodes by name.
        directions: whether each direction of a node reads from the end.
    """
    return _Walk(model, nodes, directions).around


class _Walk:
    """One pass over the nodes, in the order of the file, which is the order of computation."""

    def __init__(self, model: OnnxModel, nodes: Mapping[str, Any], directions: Mapping[str, tuple[bool, ...]]) -> None:
        self.model, self.directions, self.around = model, directions, Around()
        self.names = {id(node): name for name, node in nodes.items()}
        self.made_by = {output: node for node in model.nodes for output in node.output}
        self.values: dict[str, Value] = {}
        self.sizes = Sizes(model)
        self.readers: dict[str, list[str]] = {}  # node -> the unknown nodes that read its values
        for node in model.nodes:
            if id(node) in self.names:
                self._follow_recurrent(self.names[id(node)], node)
            else:
                self._follow_other(node)
        read = {name for node in model.nodes if node.op_type not in SHAPES for name in node.input}
        ends = [value for name, value in self.values.items() if name in model.outputs or name not in read]
        for name in nodes:
            self.around.heads[name] = self._head(name, [value for value in ends if value.stack == name])

    def _follow_recurrent(self, name: str, node: Any) -> None:
        """Record what a recurrent node reads, and name the axes of its results."""
        value, sides = self.values.get(node.input[0]), self._sides(name)
        self.around.below[name] = None
        if value is not None:
            if value.is_whole and value.axes in self._layouts(node) and not value.step and not value.head:
                self.around.below[name] = value.stack
                self.readers.setdefault(value.stack, []).append(f"the recurrent layer {name}")
            else:
                self.around.refused[name] = (
                    Message("LAYER_READS_THROUGH", name=name, below=value.stack, through=value.by)
                    if value.by
                    else Message("LAYER_READS_OTHER_RESULT", name=name, below=value.stack)
                )
        else:
            self._source(name, node.input[0])
        first = attributes(node).get("layout") == 1
        axes = [("B", "T", "D", "F"), ("B", "D", "F")] if first else [("T", "D", "B", "F"), ("D", "B", "F")]
        for k, output in enumerate(node.output[:3]):
            if output and k < 2:
                self.values[output] = Value(name, axes[k], sides, "final" if k else None)
            elif output:
                self.values[output] = Value(name, None, sides, by=CELL_STATES)
        for state in node.input[5:7]:
            if state in self.values:
                self.readers.setdefault(self.values[state].stack, []).append(
                    f"the recurrent layer {name}, as its start"
                )

    def _sides(self, name: str) -> tuple[tuple[str, int], ...]:
        """Return the directions of a node."""
        return tuple((name, k) for k in range(len(self.directions[name])))

    def _layouts(self, node: Any) -> tuple[tuple[str, ...], ...]:
        """Return the axes that a node reads."""
        return (("B", "T", "F"),) if attributes(node).get("layout") == 1 else (("T", "B", "F"),)

    def _source(self, stack: str, name: str) -> None:
        """Record the embedding that a node reads, or the part of the graph that makes its input."""
        for _ in range(len(self.made_by) + 1):
            current = self.made_by.get(name)
            if current is None or current.domain not in STANDARD or not current.input:
                break
            if current.op_type == "OneHot":
                return
            if current.op_type == "Gather" and self._is_table(current.input[0]) and len(current.input) > 1:
                self.around.embeddings.setdefault(stack, current.input[0])
                name = current.input[1]
            elif current.op_type in (*UNCHANGED, "Transpose", "Squeeze", "Unsqueeze"):
                name = current.input[0]
            else:
                break
        source = self.made_by.get(name)
        if source is not None:
            self.around.before[stack] = _title(source)
        elif name not in self.model.inputs:
            self.around.before[stack] = f"the constant {name}"

    def _follow_other(self, node: Any) -> None:
        """Follow the values that a node reads."""
        inputs = {name: self.values[name] for name in (*node.input, *self.model.captured(node)) if name in self.values}
        if self.sizes.follow(node, self.values) or not inputs or node.op_type in SHAPES:
            return
        stacks = list(dict.fromkeys(value.stack for value in inputs.values()))
        outputs = self._moved(node, list(inputs.values())) if node.domain in STANDARD else None
        for k, output in enumerate(node.output):
            if outputs is not None and k < len(outputs):
                self.values[output] = outputs[k]
                continue
            for stack in stacks:
                by = next((value.by for value in inputs.values() if value.by), _title(node))
                self.values[output] = Value(stack, None, (), by=by)
                self.readers.setdefault(stack, []).append(by)

    def _moved(self, node: Any, values: list[Value]) -> list[Value] | None:
        """Return the results of a node that moves numbers or extends a head; None if it computes something else."""
        value, about = values[0], attributes(node)
        if any(other.axes is None for other in values):
            return None
        if node.op_type == "Concat":
            return joined([self.values[name] for name in node.input if name in self.values], node, about)
        if len(values) > 1 or value.axes is None:
            return None
        if node.op_type in ("MatMul", "Gemm"):
            return self._product(node, value, about)
        if node.op_type == "Add" and value.head and value.head[-1][0] not in self.around.biases:
            constant = next((name for name in node.input if name in self.model.weights), None)
            if constant is None or value.head[-1][1] != "none":
                return None
            self.around.biases[value.head[-1][0]] = constant
            return [value]
        if node.op_type in UNCHANGED:
            return [value] if node.op_type != "Cast" or about.get("to") in FLOATS else None
        if node.op_type in HIDDEN or node.op_type in OUTPUTS:
            return activated(node.op_type, value, about)
        return rearranged(node, value, about, self.model, self.sizes)

    def _is_table(self, name: str) -> bool:
        """Return whether a constant can be an embedding."""
        return name in self.model.weights and self.model.weights[name].ndim == 2

    def _product(self, node: Any, value: Value, about: Mapping[str, Any]) -> list[Value] | None:
        """Return the product of a value with a constant matrix; None if it is another product."""
        weights = node.input[1] if len(node.input) > 1 else ""
        sides = value.head or value.sides == self._sides(value.stack)
        plain = node.op_type == "MatMul" or (
            not about.get("transA") and about.get("alpha", 1.0) == 1.0 and about.get("beta", 1.0) == 1.0
        )
        if not (value.is_whole and sides and plain and weights in self.model.weights and node.input[0] in self.values):
            return None
        if self.model.weights[weights].ndim != 2 or any(weights == name for name, _ in value.head):
            return None
        if node.op_type == "Gemm" and len(node.input) > 2 and node.input[2]:
            self.around.biases[weights] = node.input[2]
        return [replace(value, head=(*value.head, (weights, "none")))]

    def _head(self, name: str, ends: Sequence[Value]) -> Head:
        """Return the readout of a node, by the values at the end of the paths from it."""
        heads = [value for value in ends if value.head]
        others = [value.by for value in ends if value.by and value.by != CELL_STATES]
        others += self.readers.get(name, [])
        if len(heads) > 1:
            others += [f"the product with {value.head[0][0]}" for value in heads]
        if others or not heads:
            if not others:
                return Head(NONE, Message("READOUT_WITHOUT_READER"))
            return Head(NONE, Message("READOUT_OTHER_PART", part=listed(dict.fromkeys(others), 4)))
        value, directions = heads[0], self.directions[name]
        known: dict[str | None, Reads] = {None: "every step", "final": "last step"}
        reads = known.get(value.step)
        if reads is None and value.step == ("first" if directions[0] else "last") and len(directions) == 1:
            reads = "last step"
        elif reads is None and value.step == "last":
            reads = "every step"
            self.around.notes.append(BACKWARD_UNREAD.format(name=name))
        if reads is None:
            return Head(NONE, Message("READOUT_OF_FIRST_STEP"))
        *hidden, (matrix, last) = value.head
        output = value.output or ("sigmoid" if last == "sigmoid" else None)
        if last not in ("none", "sigmoid"):
            return Head(NONE, Message("READOUT_OTHER_ACTIVATION", layer=matrix, activation=last))
        return Head(matrix, None, reads, output, None, tuple(hidden))


def _title(node: Any) -> str:
    """Return the name and the kind of a node."""
    kind = f"{node.domain}.{node.op_type}" if node.domain not in STANDARD else node.op_type
    return f"{node.name} ({kind})" if node.name else f"a node {kind}"
