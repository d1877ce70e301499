"""What stands around the recurrent nodes of an ONNX graph: what they read, and how they are read out.

Every value that comes from a recurrent node carries the names of its axes. A node that only moves numbers changes the
names; a product with a constant matrix begins the head; whatever computes something else ends the way, and is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from gatescope.adopting.foreign import NONE, Activation, Head, listed
from gatescope.adopting.onnx_sizes import Length, Sizes
from gatescope.adopting.onnx_weights import FLOATS, STANDARD, OnnxModel, attributes
from gatescope.readout import Reads

RECURRENT = ("LSTM", "GRU", "RNN")
SAME = ("Identity", "Dropout", "Cast")
ASIDE = ("Shape", "Size")  # what only reads how large something is
# The node of an activation -> its name in gatescope.head, and the attributes with which both are the same.
HIDDEN: dict[str, tuple[str, dict[str, Any]]] = {
    "Relu": ("relu", {}),
    "Tanh": ("tanh", {}),
    "Sigmoid": ("sigmoid", {}),
    "Elu": ("elu", {"alpha": 1.0}),
    "Selu": ("selu", {}),
    "Softplus": ("softplus", {}),
    "Gelu": ("gelu", {"approximate": "none"}),
}
OUTPUTS: dict[str, Activation] = {"Softmax": "softmax", "LogSoftmax": "softmax", "ArgMax": "softmax"}
BACKWARD_UNREAD = (
    "{name} is read out at the last step of its outputs, where the backward direction has read one step only; the run "
    "predicts at every step, and what it says at the last one is what the file's network says."
)


@dataclass(frozen=True)
class Value:
    """A result that comes from a recurrent node.

    Attributes:
        stack: the node's name; of states of several layers, that of the highest.
        axes: "T" step, "B" sequence, "D" direction, "F" feature, "1" one, "*" steps and sequences; None after a node
            that is not understood.
        sides: the directions in it, in order, each with the name of its node.
        step: which steps are in it: None all, "final" the final states, else one step.
        head: the names and activations of the matrices that were applied.
        output: what was done with the predictions.
        by: the node that is not understood.
    """

    stack: str
    axes: tuple[str, ...] | None
    sides: tuple[tuple[str, int], ...]
    step: Literal["final", "last", "first"] | None = None
    head: tuple[tuple[str, str], ...] = ()
    output: Activation | None = None
    by: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it is what a run hands on: features in the last axis, of all directions in order."""
        return self.axes is not None and self.axes[-1:] == ("F",) and "D" not in self.axes and not self.output


@dataclass
class Around:
    """What the graph says of its recurrent nodes, by their names: in the fields of `Foreign`."""

    below: dict[str, str | None] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    embeddings: dict[str, str] = field(default_factory=dict)
    biases: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def around(model: OnnxModel, nodes: Mapping[str, Any], directions: Mapping[str, tuple[bool, ...]]) -> Around:
    """Follow what recurrent nodes read and hand on.

    Args:
        model: the graph and its constants.
        nodes: the recurrent nodes by name.
        directions: whether each direction of a node reads from the end.
    """
    return _Walk(model, nodes, directions).found


class _Walk:
    """One pass over the nodes, in the order of the file, which is the order of computation."""

    def __init__(self, model: OnnxModel, nodes: Mapping[str, Any], directions: Mapping[str, tuple[bool, ...]]) -> None:
        self.model, self.directions, self.found = model, directions, Around()
        self.names = {id(node): name for name, node in nodes.items()}
        self.made_by = {output: node for node in model.nodes for output in node.output}
        self.values: dict[str, Value] = {}
        self.sizes = Sizes(model)
        self.read: dict[str, list[str]] = {}  # what reads the values of a node without being understood
        for node in model.nodes:
            if id(node) in self.names:
                self._recurrent(self.names[id(node)], node)
            else:
                self._other(node)
        read = {name for node in model.nodes if node.op_type not in ASIDE for name in node.input}
        ends = {name: one for name, one in self.values.items() if name in model.outputs or name not in read}
        for name in nodes:
            self.found.heads[name] = self._head(name, [one for one in ends.values() if one.stack == name])

    def _recurrent(self, name: str, node: Any) -> None:
        """Note what a recurrent node reads, and name the axes of its results."""
        value, sides = self.values.get(node.input[0]), self._sides(name)
        self.found.below[name] = None
        if value is not None:
            if value.is_whole and value.axes in self._layouts(node) and not value.step and not value.head:
                self.found.below[name] = value.stack
                self.read.setdefault(value.stack, []).append(f"the recurrent layer {name}")
            else:
                what = value.by or "another order or part of its results"
                self.found.refused[name] = f"{name} reads {value.stack} through {what}, which a run does not have."
        else:
            self._source(name, node.input[0])
        first = attributes(node).get("layout") == 1
        axes = [("B", "T", "D", "F"), ("B", "D", "F")] if first else [("T", "D", "B", "F"), ("D", "B", "F")]
        for k, output in enumerate(node.output[:3]):
            if output and k < 2:
                self.values[output] = Value(name, axes[k], sides, "final" if k else None)
            elif output:
                self.values[output] = Value(name, None, sides, by="its cell states c")
        for state in node.input[5:7]:
            if state in self.values:
                self.read.setdefault(self.values[state].stack, []).append(f"the recurrent layer {name}, as its start")

    def _sides(self, name: str) -> tuple[tuple[str, int], ...]:
        return tuple((name, k) for k in range(len(self.directions[name])))

    def _layouts(self, node: Any) -> tuple[tuple[str, ...], ...]:
        return (("B", "T", "F"),) if attributes(node).get("layout") == 1 else (("T", "B", "F"),)

    def _source(self, stack: str, name: str) -> None:
        """Note the embedding that a node reads, or what else makes its input."""
        for _ in range(len(self.made_by) + 1):
            current = self.made_by.get(name)
            if current is None or current.domain not in STANDARD or not current.input:
                break
            if current.op_type == "OneHot":
                return
            if current.op_type == "Gather" and current.input[0] in self.model.weights:
                self.found.embeddings.setdefault(stack, current.input[0])
                name = current.input[1]
            elif current.op_type in (*SAME, "Transpose", "Squeeze", "Unsqueeze"):
                name = current.input[0]
            else:
                break
        made = self.made_by.get(name)
        if made is not None:
            self.found.before[stack] = _title(made)
        elif name not in self.model.inputs:
            self.found.before[stack] = f"the constant {name}"

    def _other(self, node: Any) -> None:
        """Follow the values that a node reads."""
        given = {name: self.values[name] for name in (*node.input, *self.model.captured(node)) if name in self.values}
        if self.sizes.follow(node, self.values) or not given or node.op_type in ASIDE:
            return
        stacks = list(dict.fromkeys(value.stack for value in given.values()))
        made = self._moved(node, list(given.values())) if node.domain in STANDARD else None
        for k, output in enumerate(node.output):
            if made is not None and k < len(made):
                self.values[output] = made[k]
                continue
            for stack in stacks:
                by = next((value.by for value in given.values() if value.by), _title(node))
                self.values[output] = Value(stack, None, (), by=by)
                self.read.setdefault(stack, []).append(by)

    def _moved(self, node: Any, values: list[Value]) -> list[Value] | None:
        """Return the values that a node makes of one (or, of Concat, several); None if it computes something else."""
        value, about = values[0], attributes(node)
        if any(one.axes is None for one in values):
            return None
        if node.op_type == "Concat":
            return _joined([self.values[name] for name in node.input if name in self.values], node, about)
        if len(values) > 1 or value.axes is None:
            return None
        if node.op_type in ("MatMul", "Gemm"):
            return self._product(node, value, about)
        if node.op_type == "Add" and value.head and value.head[-1][0] not in self.found.biases:
            constant = next((name for name in node.input if name in self.model.weights), None)
            if constant is None or value.head[-1][1] != "none":
                return None
            self.found.biases[value.head[-1][0]] = constant
            return [value]
        if node.op_type in SAME:
            return [value] if node.op_type != "Cast" or about.get("to") in FLOATS else None
        if node.op_type in HIDDEN or node.op_type in OUTPUTS:
            return _activated(node.op_type, value, about)
        return _rearranged(node, value, about, self.model, self.sizes)

    def _product(self, node: Any, value: Value, about: Mapping[str, Any]) -> list[Value] | None:
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
            self.found.biases[weights] = node.input[2]
        return [replace(value, head=(*value.head, (weights, "none")))]

    def _head(self, name: str, ends: Sequence[Value]) -> Head:
        """How a node is read out, by the values that end the way from it."""
        heads = [value for value in ends if value.head]
        besides = [value.by for value in ends if value.by and value.by != "its cell states c"]
        besides += self.read.get(name, [])
        if len(heads) > 1:
            besides += [f"the product with {value.head[0][0]}" for value in heads]
        if besides or not heads:
            return Head(NONE, listed(dict.fromkeys(besides), 4) if besides else "nothing: no layer reads it")
        value, directions = heads[0], self.directions[name]
        known: dict[str | None, Reads] = {None: "every step", "final": "last step"}
        reads = known.get(value.step)
        if reads is None and value.step == ("first" if directions[0] else "last") and len(directions) == 1:
            reads = "last step"
        elif reads is None and value.step == "last":
            reads = "every step"
            self.found.notes.append(BACKWARD_UNREAD.format(name=name))
        if reads is None:
            return Head(NONE, "the first step of its results")
        *hidden, (matrix, last) = value.head
        output = value.output or ("sigmoid" if last == "sigmoid" else None)
        if last not in ("none", "sigmoid"):
            return Head(NONE, f"{last} behind the product with {matrix}")
        return Head(matrix, "", reads, output, None, tuple(hidden))


def _title(node: Any) -> str:
    kind = f"{node.domain}.{node.op_type}" if node.domain not in STANDARD else node.op_type
    return f"{node.name} ({kind})" if node.name else f"a node {kind}"


def _activated(kind: str, value: Value, about: Mapping[str, Any]) -> list[Value] | None:
    """Return the value behind an activation."""
    if not value.head or value.output or value.axes is None or value.head[-1][1] != "none":
        return None
    if kind in OUTPUTS:
        axis = about.get("axis", 0 if kind == "ArgMax" else -1)
        if not -len(value.axes) <= axis < len(value.axes) or value.axes[axis] != "F":
            return None
        return [replace(value, output=OUTPUTS[kind])]
    name, needed = HIDDEN[kind]
    if any(about.get(key, usual) != usual for key, usual in needed.items()) or (kind == "Selu" and about):
        return None
    return [replace(value, head=(*value.head[:-1], (value.head[-1][0], name)))]


def _joined(values: Sequence[Value], node: Any, about: Mapping[str, Any]) -> list[Value] | None:
    """Return the directions of a layer side by side."""
    first = values[0]
    alike = all((one.axes, one.step, one.head) == (first.axes, first.step, ()) for one in values)
    if not alike or len(values) != len(node.input) or first.axes is None or first.output:
        return None
    axis = about.get("axis", 0)
    if not -len(first.axes) <= axis < len(first.axes):
        return None
    # The directions of a layer beside each other, or the final states of several layers one after the other.
    sides = tuple(side for one in values for side in one.sides)
    beside = first.axes[axis] == "F" and "D" not in first.axes and len({one.stack for one in values}) == 1
    if not beside and (first.axes[axis] != "D" or first.step != "final"):
        return None
    return [replace(first, stack=values[-1].stack, sides=sides)]


def _rearranged(
    node: Any, value: Value, about: Mapping[str, Any], model: OnnxModel, sizes: Sizes
) -> list[Value] | None:
    """Return the parts of a value that a node selects or puts in another order."""
    axes = value.axes or ()
    constant = [model.whole.get(name) for name in node.input[1:]]
    if node.op_type == "Transpose":
        order = about.get("perm") or list(reversed(range(len(axes))))
        if sorted(order) != list(range(len(axes))):
            return None
        return [replace(value, axes=tuple(axes[k] for k in order))]
    if node.op_type in ("Squeeze", "Unsqueeze"):
        places = about.get("axes") if "axes" in about else None if not constant else constant[0]
        return _squeezed(node.op_type, value, None if places is None else [int(k) for k in places])
    if node.op_type == "Reshape" and len(node.input) > 1:
        return _reshaped(value, sizes.lengths(node.input[1]))
    if node.op_type == "Gather" and constant and constant[0] is not None and len(constant[0]) == 1:
        place, axis = int(constant[0][0]), about.get("axis", 0)
        return _selected(value, axis, place, keep=node.input[1] not in model.scalars)
    if node.op_type == "Slice":
        return _sliced(node, value, model)
    if node.op_type == "Split" and "D" in axes and axes[about.get("axis", 0)] == "D" and not value.head:
        if len(node.output) != len(value.sides):
            return None
        made = [_selected(value, about.get("axis", 0), k, keep=True) for k in range(len(value.sides))]
        return [one for found in made for one in found or ()]
    return None


def _squeezed(kind: str, value: Value, places: list[int] | None) -> list[Value] | None:
    axes = list(value.axes or ())
    if places is None:
        return None
    if kind == "Unsqueeze":
        for k in sorted(k if k >= 0 else k + len(axes) + len(places) for k in places):
            axes.insert(k, "1")
        return [replace(value, axes=tuple(axes))]
    if any(not -len(axes) <= k < len(axes) for k in places):
        return None
    gone = {k % len(axes) for k in places}
    if any(axes[k] not in ("1", "D") or (axes[k] == "D" and len(value.sides) > 1) for k in gone):
        return None
    return [replace(value, axes=tuple(axis for k, axis in enumerate(axes) if k not in gone))]


def _reshaped(value: Value, target: list[Length] | None) -> list[Value] | None:
    """Directions and features become one axis, or steps and sequences do; each length is a number or axes."""
    axes = value.axes or ()
    if target is None:
        return None
    plain = [axes[k] if length == 0 and k < len(axes) else length for k, length in enumerate(target)]
    merged = (*axes[:-2], "F") if axes[-2:] == ("D", "F") else None
    for made, lengths in ((axes, axes), (merged, axes[:-2])):
        kept = len(lengths)
        if made is None or len(plain) != len(made) or plain[:kept] != list(lengths):
            continue
        if made == axes or plain[kept] in (-1, "D F"):
            return [replace(value, axes=made)]
    if len(axes) == len(plain) and plain[:-1] == list(axes[:-1]) and plain[-1] == -1:
        return [value]
    flat = len(plain) == 2 and plain[0] in (-1, " ".join(axes[:-1]))
    if flat and axes in (("T", "B", "F"), ("B", "T", "F")):
        last = plain[1]
        if last == "F" or (isinstance(last, int) and last > 0):
            return [replace(value, axes=("*", "F"))]
    return None


def _selected(value: Value, axis: int, place: int, *, keep: bool) -> list[Value] | None:
    """One step, or one direction."""
    axes = list(value.axes or ())
    if not -len(axes) <= axis < len(axes):
        return None
    kind = axes[axis]
    if keep:
        axes[axis] = "1"
    else:
        del axes[axis]
    if kind == "T" and place in (0, -1) and value.step is None:
        return [replace(value, axes=tuple(axes), step="last" if place else "first")]
    if kind == "D" and -len(value.sides) <= place < len(value.sides):
        side = value.sides[place]
        return [replace(value, axes=tuple(axes), stack=side[0], sides=(side,))]
    return [replace(value, axes=tuple(axes))] if kind == "1" and place in (0, -1) else None


def _sliced(node: Any, value: Value, model: OnnxModel) -> list[Value] | None:
    given = [list(model.whole.get(name, ())) for name in node.input[1:]]
    if len(given) < 2 or any(len(one) != 1 for one in given):
        return None
    start, end, axis, step = [*(int(one[0]) for one in given), *(0, 1)[len(given) - 2 :]]
    if step != 1:
        return None
    if start == 0 and end > 1 << 30:
        return [value]
    if end == start + 1 or (start == -1 and end > 1 << 30):
        return _selected(value, axis, start, keep=True)
    return None
