"""Shapes that an ONNX graph computes from the shapes of its own values, as exporters write them before a Reshape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from gatescope.adopting.onnx_weights import OnnxModel, attributes

Length = int | str
"""A number, or the axes whose lengths are multiplied: "T", "D F"."""

SAME = ("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze")


class HasAxes(Protocol):
    """A value whose axes have names."""

    @property
    def axes(self) -> tuple[str, ...] | None:
        """The names."""
        ...


class Sizes:
    """The lengths in every small array of whole numbers that comes from the shape of a value."""

    def __init__(self, model: OnnxModel) -> None:
        self.model, self.known = model, dict[str, list[Length]]()

    def lengths(self, name: str) -> list[Length] | None:
        """Return the lengths in an array; None if they are not known."""
        if name in self.known:
            return self.known[name]
        constant = self.model.whole.get(name)
        return None if constant is None else [int(k) for k in constant]

    def follow(self, node: Any, values: Mapping[str, HasAxes]) -> bool:
        """Note what a node makes of lengths; return whether it makes anything of them."""
        if not node.input or len(node.output) != 1:
            return False
        about = attributes(node)
        source = values.get(node.input[0])
        made: list[Length] | None = None
        if node.op_type == "Shape" and source is not None and source.axes is not None:
            made = list[Length](source.axes)[about.get("start", 0) : about.get("end")]
        elif any(name in self.known for name in node.input):
            made = self._made(node, about)
        if made is None:
            return False
        self.known[node.output[0]] = made
        return True

    def _made(self, node: Any, about: Mapping[str, Any]) -> list[Length] | None:
        given = [self.lengths(name) for name in node.input]
        first = given[0]
        if first is None:
            return None
        if node.op_type in SAME and node.input[0] in self.known:
            return first
        if node.op_type == "Concat" and all(one is not None for one in given):
            return [length for one in given if one is not None for length in one]
        if node.op_type == "Gather" and len(given) == 2 and given[1] is not None:
            places = [k for k in given[1] if isinstance(k, int) and -len(first) <= k < len(first)]
            return [first[k] for k in places] if len(places) == len(given[1]) else None
        if node.op_type == "Slice":
            ends = [one[0] for one in given[1:3] if one is not None and len(one) == 1 and isinstance(one[0], int)]
            step = given[4] if len(given) > 4 else [1]
            return first[ends[0] : ends[1]] if len(ends) == 2 and step == [1] else None
        if node.op_type == "Mul" and len(given) == 2 and given[1] is not None and len(first) == len(given[1]) == 1:
            factors = [first[0], given[1][0]]
            return [" ".join(str(one) for one in factors)] if all(isinstance(one, str) for one in factors) else None
        return None
