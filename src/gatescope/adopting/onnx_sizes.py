"""Shapes that an ONNX graph computes from its own shapes, as exporters write them before a Reshape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from gatescope.adopting.onnx_weights import OnnxModel, attributes

Length = int | str
"""A number, or the axes whose lengths are multiplied, such as "T" or "D F"."""

SAME = ("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze")


class HasAxes(Protocol):
    """A value whose axes have names."""

    @property
    def axes(self) -> tuple[str, ...] | None:
        """The names of the axes; None if they are unknown."""
        ...


class Sizes:
    """The lengths in every small array of integers that comes from the shape of a value."""

    def __init__(self, model: OnnxModel) -> None:
        self.model, self.known = model, dict[str, list[Length]]()

    def lengths(self, name: str) -> list[Length] | None:
        """Return the lengths in an array; None if they are unknown.

        Args:
            name: the name of the array.
        """
        if name in self.known:
            return self.known[name]
        constant = self.model.integers.get(name)
        return None if constant is None else [int(k) for k in constant]

    def follow(self, node: Any, values: Mapping[str, HasAxes]) -> bool:
        """Keep the lengths that a node computes; return whether it computes any.

        Args:
            node: the node.
            values: the values that come from recurrent nodes, by name.
        """
        if not node.input or len(node.output) != 1:
            return False
        about = attributes(node)
        source = values.get(node.input[0])
        lengths: list[Length] | None = None
        if node.op_type == "Shape" and source is not None and source.axes is not None:
            lengths = list[Length](source.axes)[about.get("start", 0) : about.get("end")]
        elif any(name in self.known for name in node.input):
            lengths = self._computed(node, about)
        if lengths is None:
            return False
        self.known[node.output[0]] = lengths
        return True

    def _computed(self, node: Any, about: Mapping[str, Any]) -> list[Length] | None:
        """Return the lengths that a node computes from lengths; None if it computes something else."""
        inputs = [self.lengths(name) for name in node.input]
        first = inputs[0]
        if first is None:
            return None
        if node.op_type in SAME and node.input[0] in self.known:
            return first
        if node.op_type == "Concat" and all(lengths is not None for lengths in inputs):
            return [length for lengths in inputs if lengths is not None for length in lengths]
        if node.op_type == "Gather" and len(inputs) == 2 and inputs[1] is not None:
            places = [k for k in inputs[1] if isinstance(k, int) and -len(first) <= k < len(first)]
            return [first[k] for k in places] if len(places) == len(inputs[1]) else None
        if node.op_type == "Slice":
            ends = [end[0] for end in inputs[1:3] if end is not None and len(end) == 1 and isinstance(end[0], int)]
            step = inputs[4] if len(inputs) > 4 else [1]
            return first[ends[0] : ends[1]] if len(ends) == 2 and step == [1] else None
        if node.op_type == "Mul" and len(inputs) == 2 and inputs[1] is not None and len(first) == len(inputs[1]) == 1:
            factors = [first[0], inputs[1][0]]
            return [" ".join(map(str, factors))] if all(isinstance(factor, str) for factor in factors) else None
        return None
