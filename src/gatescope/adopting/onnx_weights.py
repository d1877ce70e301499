"""The nodes and constants of an ONNX model, from its file and the files of weights beside it.

Sizes are bounded before anything is read: a file names the sizes of its tensors, and the offsets in files beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.adopting.foreign import EXPANSION, SLACK, AdoptingError
from gatescope.files import FileError, open_regular

Array = NDArray[Any]

FEW = 64  # whole numbers of a constant that says which part of an array is taken
MAX_NODES = 50_000  # of a graph, and of what functions and branches become when they are put into it
MAX_BESIDE_BYTES = 8 << 30  # of a file of weights beside a model
STANDARD = ("", "ai.onnx")  # domains of the nodes that the specification of ONNX defines
FLOATS = (1, 10, 11, 16)  # types of tensors: float32, float16, float64, bfloat16
WHOLE = (6, 7, 9)  # int32, int64, bool
GRAPH, GRAPHS = 5, 10  # types of attributes that hold graphs


@dataclass
class OnnxModel:
    """A graph without functions, and without branches whose condition is constant.

    Attributes:
        nodes: in the order of computation.
        weights: constants of floating-point numbers.
        whole: constants of few whole numbers.
        scalars: the names of those without axes.
        inputs, outputs: the names of the graph's inputs, constants aside, and of its outputs.
    """

    nodes: list[Any]
    weights: dict[str, Array] = field(default_factory=dict)
    whole: dict[str, Array] = field(default_factory=dict)
    scalars: set[str] = field(default_factory=set)
    inputs: set[str] = field(default_factory=set)
    outputs: set[str] = field(default_factory=set)

    def captured(self, node: Any) -> list[str]:
        """The names that the graphs inside a node read from outside."""
        return list(dict.fromkeys(name for inner in nodes_inside(node) for name in inner.input))


def attributes(node: Any) -> dict[str, Any]:
    """Return the numbers and texts among the attributes of a node."""
    kinds = {1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints", 8: "strings"}
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.type in kinds:
            value = getattr(attribute, kinds[attribute.type])
            if isinstance(value, bytes):
                value = value.decode(errors="replace")
            elif attribute.type in (6, 7, 8):
                value = [item.decode(errors="replace") if isinstance(item, bytes) else item for item in value]
            found[attribute.name] = value
    return found


def graphs_of(node: Any) -> list[Any]:
    """Return the graphs inside a node: the branches of If, the bodies of Loop and Scan."""
    found = [attribute.g for attribute in node.attribute if attribute.type == GRAPH]
    return found + [graph for attribute in node.attribute if attribute.type == GRAPHS for graph in attribute.graphs]


def nodes_inside(node: Any, depth: int = 0) -> Iterator[Any]:
    """Yield every node of the graphs inside a node."""
    for graph in graphs_of(node) if depth < 16 else ():
        for inner in graph.node:
            yield inner
            yield from nodes_inside(inner, depth + 1)


def opened(path: Path) -> OnnxModel:
    """Read a model.

    Raises:
        AdoptingError: the file is damaged, says that it holds more than it can, or has weights in places that are not
            read.
        ImportError: onnx is not installed.
    """
    try:
        import onnx  # noqa: PLC0415  an extra
        from google.protobuf.message import DecodeError  # noqa: PLC0415  comes with onnx
    except ImportError as error:
        raise ImportError("ONNX files need onnx: pip install 'gatescope[onnx]'.") from error
    try:
        model = onnx.load_model_from_string(path.read_bytes())
        if not model.graph.node:
            raise AdoptingError("ONNX_WEIGHTS_ONNX_MODEL_WITHOUT_SINGLE", path=path)
        if model.functions:
            model = _without_functions(path, model)
        return _Reading(path, onnx).model_of(model.graph)
    except FileError as error:
        raise AdoptingError(str(error)) from error
    except (DecodeError, ValueError, TypeError, RuntimeError, KeyError, OverflowError, RecursionError) as error:
        if isinstance(error, AdoptingError):
            raise
        raise AdoptingError("ONNX_WEIGHTS_TRUNCATED_DAMAGED_ONNX_MODEL", path=path, error=str(error)[:200]) from error


def _without_functions(path: Path, model: Any) -> Any:
    """Return the model with its functions put in where they are called.

    Raises:
        AdoptingError: they would become too many nodes, or call each other in a circle.
    """
    bodies = {(one.domain, one.name): one for one in model.functions}
    counts: dict[tuple[str, str], int] = {}

    def count(nodes: Sequence[Any], open_calls: frozenset[tuple[str, str]]) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in open_calls or len(open_calls) > 64:
                raise AdoptingError("ONNX_WEIGHTS_FUNCTIONS_END_CALLS_ITSELF", path=path, op_type=node.op_type)
            if key in bodies and key not in counts:
                counts[key] = count(bodies[key].node, open_calls | {key})
            total += counts.get(key, 1) + sum(1 for _ in nodes_inside(node))
        return total

    if count(model.graph.node, frozenset()) > MAX_NODES:
        raise AdoptingError("ONNX_WEIGHTS_MOST_NODES_FUNCTIONS_BECOME", path=path, max_nodes=MAX_NODES)
    from onnx import inliner  # noqa: PLC0415  an extra; `import onnx` does not load this module

    return inliner.inline_local_functions(model)


class _Reading:
    """One file being read: the bytes that its tensors may take are counted."""

    def __init__(self, path: Path, onnx: Any) -> None:
        self.path, self.onnx = path, onnx
        self.beside: dict[str, int] = {}  # files of weights, and their sizes
        self.remaining_bytes = SLACK + EXPANSION * path.stat().st_size

    def model_of(self, graph: Any) -> OnnxModel:
        model = OnnxModel([])
        model.outputs = {output.name for output in graph.output}
        self._add(model, graph, 0)
        model.inputs = {given.name for given in graph.input} - set(model.weights) - set(model.whole)
        return model

    def _add(self, model: OnnxModel, graph: Any, depth: int) -> None:
        """Add the nodes and constants of a graph, branches with a constant condition in place of their If."""
        for tensor in graph.initializer:
            self._constant(model, tensor.name, tensor)
        for node in graph.node:
            if len(model.nodes) > MAX_NODES or depth > 16:
                raise AdoptingError("ONNX_WEIGHTS_MOST_NODES", path=self.path, max_nodes=MAX_NODES)
            if any(isinstance(name, bytes) for name in (node.name, node.op_type, *node.input, *node.output)):
                raise AdoptingError("ONNX_WEIGHTS_NAMES_UTF_DAMAGED", path=self.path)
            branch = self._branch(model, node)
            if branch is not None:
                self._add(model, branch, depth + 1)
                for inner, outer in zip(branch.output, node.output, strict=True):
                    model.nodes.append(self.onnx.helper.make_node("Identity", [inner.name], [outer]))
                continue
            if node.op_type == "Constant" and node.output:
                for attribute in node.attribute:
                    if attribute.name == "value":
                        self._constant(model, node.output[0], attribute.t)
                    elif attribute.name in ("value_int", "value_ints"):
                        value = attribute.i if attribute.name == "value_int" else list(attribute.ints)
                        self._whole(model, node.output[0], np.array(value, np.int64))
                continue
            model.nodes.append(node)
            folded = _folded(node, model.weights, model.whole, self.remaining_bytes)
            if folded is not None:
                self._take(folded.nbytes)
                model.weights[node.output[0]] = folded

    def _branch(self, model: OnnxModel, node: Any) -> Any:
        """Return the branch of an If whose condition is constant; None for any other node."""
        condition = model.whole.get(node.input[0]) if node.op_type == "If" and node.input else None
        if condition is None or len(condition) != 1:
            return None
        wanted = "then_branch" if condition[0] else "else_branch"
        branch = next((one.g for one in node.attribute if one.name == wanted and one.type == GRAPH), None)
        return branch if branch is not None and len(branch.output) == len(node.output) else None

    def _constant(self, model: OnnxModel, name: str, tensor: Any) -> None:
        if tensor.data_type in FLOATS:
            count = _count(tensor.dims)
            self._take(count * 4)
            model.weights[name] = np.array(self._values(tensor, count), np.float32)
        elif tensor.data_type in WHOLE and _count(tensor.dims) <= FEW:
            self._whole(model, name, np.asarray(self._values(tensor, _count(tensor.dims))))

    @staticmethod
    def _whole(model: OnnxModel, name: str, value: Array) -> None:
        if value.ndim == 0:
            model.scalars.add(name)
        model.whole[name] = np.atleast_1d(value).ravel()

    def _take(self, size: int) -> None:
        self.remaining_bytes -= size
        if self.remaining_bytes < 0:
            raise AdoptingError("ONNX_WEIGHTS_BYTES_SAYS_HOLDS_FAR", path=self.path, st_size=self.path.stat().st_size)

    def _values(self, tensor: Any, count: int) -> Array:
        """Return the numbers of a tensor, which may be in a file beside the model."""
        if tensor.data_location != self.onnx.TensorProto.EXTERNAL:
            return self.onnx.numpy_helper.to_array(tensor)
        about = {entry.key: entry.value for entry in tensor.external_data}
        place = self._beside(about.get("location", ""))
        dtype = np.dtype({1: "<f4", 11: "<f8", 10: "<f2", 16: "<u2", 6: "<i4", 7: "<i8", 9: "?"}[tensor.data_type])
        offset, size = int(about.get("offset", 0)), count * dtype.itemsize
        if int(about.get("length", size)) != size or offset < 0 or offset + size > self.beside[str(place)]:
            raise AdoptingError("ONNX_WEIGHTS_BYTES_FEWER", place=place, size=size, offset=offset, name=tensor.name)
        with open_regular(place, MAX_BESIDE_BYTES, inside=self.path.parent) as file:
            file.seek(offset)
            values = np.frombuffer(file.read(size), dtype)
        if tensor.data_type == self.onnx.TensorProto.BFLOAT16:
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return values.reshape([int(length) for length in tensor.dims])

    def _beside(self, location: str) -> Path:
        """Return the file of weights of that name, in the model's folder."""
        parts = PureWindowsPath(location).parts
        absolute = PureWindowsPath(location).anchor or PurePosixPath(location).is_absolute()
        if not parts or absolute or ".." in parts or "\0" in location:
            raise AdoptingError("ONNX_WEIGHTS_NAMES_FILE_WEIGHTS_FILE", path=self.path, location=location)
        place = self.path.parent.joinpath(*parts)
        if str(place) not in self.beside:
            with open_regular(place, MAX_BESIDE_BYTES, inside=self.path.parent) as file:
                self.beside[str(place)] = file.seek(0, 2)
            self.remaining_bytes += EXPANSION * self.beside[str(place)]
        return place


def _count(sizes: Sequence[int]) -> int:
    count = 1
    for size in sizes:
        if size < 0:
            raise ValueError("an array has an axis of a negative length")
        count *= size
    return count


def _folded(node: Any, weights: Mapping[str, Array], whole: Mapping[str, Array], most_bytes: int) -> Array | None:
    """Return the result of a node that only puts constants together, as exporters leave them; None for any other."""
    simple: dict[str, Callable[[list[Array], dict[str, Any]], Array]] = {
        "Identity": lambda given, about: given[0],
        "Transpose": lambda given, about: np.transpose(given[0], about.get("perm")),
        "Concat": lambda given, about: np.concatenate(given, about["axis"]),
        "Unsqueeze": lambda given, about: given[0][None],
        "Cast": lambda given, about: given[0],
    }
    if node.op_type not in simple or len(node.output) != 1 or not node.input or node.domain not in STANDARD:
        return None
    names = node.input if node.op_type == "Concat" else node.input[:1]
    if any(name not in weights for name in names) or sum(weights[name].nbytes for name in names) > most_bytes:
        return None
    axes = attributes(node).get("axes") or [int(k) for name in node.input[1:2] for k in whole.get(name, ())]
    floating = attributes(node).get("to") in FLOATS
    if (node.op_type == "Unsqueeze" and axes != [0]) or (node.op_type == "Cast" and not floating):
        return None
    try:
        return np.ascontiguousarray(simple[node.op_type]([weights[name] for name in names], attributes(node)))
    except (ValueError, KeyError, IndexError, TypeError):
        return None
