"""Values that come from a recurrent node of ONNX: the names of their axes, and what other nodes make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from gatescope.adopting.foreign import Activation
from gatescope.adopting.onnx_sizes import Length, Sizes
from gatescope.adopting.onnx_weights import OnnxModel

# The node of an activation -> its name in gatescope.head, and the attributes for which both compute the same.
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


@dataclass(frozen=True)
class Value:
    """A result that comes from a recurrent node.

    Attributes:
        stack: the name of the node; for states of several layers, the name of the highest.
        axes: "T" step, "B" sequence, "D" direction, "F" feature, "1" a single entry, "*" steps and sequences; None
            after an unknown node.
        sides: the directions in it, in order, each with the name of its node.
        step: the steps in it: None for all steps, "final" for the final states, else one step.
        head: the names and activations of the matrices that were applied.
        output: the activation of the predictions.
        by: the unknown node.
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
        """Whether the next layer of a run could read it: features in the last axis, of all directions in order."""
        return self.axes is not None and self.axes[-1:] == ("F",) and "D" not in self.axes and not self.output


def activated(kind: str, value: Value, about: Mapping[str, Any]) -> list[Value] | None:
    """Return a value after an activation; None if no head of a run has it.

    Args:
        kind: the kind of the node.
        value: the value that it reads.
        about: its attributes.
    """
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


def joined(values: Sequence[Value], node: Any, about: Mapping[str, Any]) -> list[Value] | None:
    """Return the directions of a layer side by side; None for other concatenations.

    Args:
        values: the values that come from recurrent nodes, in the order of the inputs.
        node: the node Concat.
        about: its attributes.
    """
    first = values[0]
    same = all((value.axes, value.step, value.head) == (first.axes, first.step, ()) for value in values)
    if not same or len(values) != len(node.input) or first.axes is None or first.output:
        return None
    axis = about.get("axis", 0)
    if not -len(first.axes) <= axis < len(first.axes):
        return None
    # The directions of a layer beside each other, or the final states of several layers one after the other.
    sides = tuple(side for value in values for side in value.sides)
    beside = first.axes[axis] == "F" and "D" not in first.axes and len({value.stack for value in values}) == 1
    if not beside and (first.axes[axis] != "D" or first.step != "final"):
        return None
    return [replace(first, stack=values[-1].stack, sides=sides)]


def rearranged(node: Any, value: Value, about: Mapping[str, Any], model: OnnxModel, sizes: Sizes) -> list[Value] | None:
    """Return the parts of a value that a node selects or reorders; None if it computes something else.

    Args:
        node: the node.
        value: the value that it reads.
        about: its attributes.
        model: its graph.
        sizes: the lengths that the graph computes.
    """
    axes = value.axes or ()
    constant = [model.integers.get(name) for name in node.input[1:]]
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
    axis = about.get("axis", 0)
    if node.op_type == "Split" and -len(axes) <= axis < len(axes) and axes[axis] == "D" and not value.head:
        if len(node.output) != len(value.sides):
            return None
        sides = [_selected(value, axis, k, keep=True) for k in range(len(value.sides))]
        return [part for parts in sides for part in parts or ()]
    return None


def _squeezed(kind: str, value: Value, places: list[int] | None) -> list[Value] | None:
    """Return a value with axes of length 1 added or removed."""
    axes = list(value.axes or ())
    if places is None:
        return None
    if kind == "Unsqueeze":
        for k in sorted(k if k >= 0 else k + len(axes) + len(places) for k in places):
            axes.insert(k, "1")
        return [replace(value, axes=tuple(axes))]
    if any(not -len(axes) <= k < len(axes) for k in places):
        return None
    removed = {k % len(axes) for k in places}
    if any(axes[k] not in ("1", "D") or (axes[k] == "D" and len(value.sides) > 1) for k in removed):
        return None
    return [replace(value, axes=tuple(axis for k, axis in enumerate(axes) if k not in removed))]


def _reshaped(value: Value, target: list[Length] | None) -> list[Value] | None:
    """Return a value in which directions and features, or steps and sequences, became one axis."""
    axes = value.axes or ()
    if target is None:
        return None
    plain = [axes[k] if length == 0 and k < len(axes) else length for k, length in enumerate(target)]
    merged = (*axes[:-2], "F") if axes[-2:] == ("D", "F") else None
    for shape, lengths in ((axes, axes), (merged, axes[:-2])):
        count = len(lengths)
        if shape is None or len(plain) != len(shape) or plain[:count] != list(lengths):
            continue
        if shape == axes or plain[count] in (-1, "D F"):
            return [replace(value, axes=shape)]
    if len(axes) == len(plain) and plain[:-1] == list(axes[:-1]) and plain[-1] == -1:
        return [value]
    flat = len(plain) == 2 and plain[0] in (-1, " ".join(axes[:-1]))
    if flat and axes in (("T", "B", "F"), ("B", "T", "F")):
        last = plain[1]
        if last == "F" or (isinstance(last, int) and last > 0):
            return [replace(value, axes=("*", "F"))]
    return None


def _selected(value: Value, axis: int, place: int, *, keep: bool) -> list[Value] | None:
    """Return one step or one direction of a value; None for other selections."""
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
    """Return all steps, one step or one direction of a value; None for other slices."""
    bounds = [list(model.integers.get(name, ())) for name in node.input[1:]]
    if not 2 <= len(bounds) <= 4 or any(len(bound) != 1 for bound in bounds):
        return None
    start, end, axis, step = [*(int(bound[0]) for bound in bounds), *(0, 1)[len(bounds) - 2 :]]
    if step != 1:
        return None
    if start == 0 and end > 1 << 30:
        return [value]
    if end == start + 1 or (start == -1 and end > 1 << 30):
        return _selected(value, axis, start, keep=True)
    return None
