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

from gatescope.adopting.foreign import MAX_EXPANSION, AdoptingError, max_array_bytes, reason_of
from gatescope.files import FileError, open_regular

Array = NDArray[Any]

MAX_INTEGERS = 64  # of a constant that selects a part of an array
MAX_NODES = 50_000  # of a graph, with functions and branches put into it
MAX_EXTERNAL_BYTES = 8 << 30  # of a file of weights beside a model
STANDARD = ("", "ai.onnx")  # domains of the nodes that the specification of ONNX defines
FLOATS = (1, 10, 11, 16)  # types of tensors: float32, float16, float64, bfloat16
INTEGERS = (6, 7, 9)  # int32, int64, bool
GRAPH, GRAPHS = 5, 10  # types of attributes that hold graphs
# Types of the attributes that are used here, as the specification of ONNX has them.
FLOAT, INTEGER, TEXT, LIST_OF_INTEGERS, LIST_OF_TEXTS = 1, 2, 3, 7, 8
ATTRIBUTES = {
    **dict.fromkeys(("alpha", "beta", "clip"), FLOAT),
    **dict.fromkeys(("axis", "start", "end", "to", "layout", "input_forget", "linear_before_reset"), INTEGER),
    **dict.fromkeys(("transA", "transB", "hidden_size", "keepdims"), INTEGER),
    **dict.fromkeys(("direction", "approximate"), TEXT),
    **dict.fromkeys(("axes", "perm"), LIST_OF_INTEGERS),
    "activations": LIST_OF_TEXTS,
}


@dataclass
class OnnxModel:
    """A graph without functions, and without branches whose condition is constant.

    Attributes:
        nodes: the nodes, in the order of computation.
        weights: the constants of floating-point numbers.
        integers: the constants of a few integers.
        scalars: the names of the constants of integers without axes.
        inputs: the names of the graph's inputs, without constants.
        outputs: the names of the graph's outputs.
    """

    nodes: list[Any]
    weights: dict[str, Array] = field(default_factory=dict)
    integers: dict[str, Array] = field(default_factory=dict)
    scalars: set[str] = field(default_factory=set)
    inputs: set[str] = field(default_factory=set)
    outputs: set[str] = field(default_factory=set)

    def captured(self, node: Any) -> list[str]:
        """Return the names that the graphs inside a node read from outside.

        Args:
            node: the node.
        """
        return list(dict.fromkeys(name for inner in nodes_inside(node) for name in inner.input))


def attributes(node: Any) -> dict[str, Any]:
    """Return the numbers and texts among the attributes of a node.

    Args:
        node: the node.

    Raises:
        AdoptingError: an attribute of a standard node has another type than ONNX specifies.
    """
    kinds = {1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints", 8: "strings"}
    values: dict[str, Any] = {}
    for attribute in node.attribute:
        if ATTRIBUTES.get(attribute.name, attribute.type) != attribute.type:
            if node.domain in STANDARD:
                raise AdoptingError("ONNX_ATTRIBUTE_TYPE_DIFFERS", node=node.name or node.op_type, name=attribute.name)
            continue
        if attribute.type in kinds:
            value = getattr(attribute, kinds[attribute.type])
            if isinstance(value, bytes):
                value = value.decode(errors="replace")
            elif attribute.type in (6, 7, 8):
                value = [item.decode(errors="replace") if isinstance(item, bytes) else item for item in value]
            values[attribute.name] = value
    return values


def graphs_of(node: Any) -> list[Any]:
    """Return the graphs inside a node: the branches of If, the bodies of Loop and Scan.

    Args:
        node: the node.
    """
    graphs = [attribute.g for attribute in node.attribute if attribute.type == GRAPH]
    return graphs + [graph for attribute in node.attribute if attribute.type == GRAPHS for graph in attribute.graphs]


def nodes_inside(node: Any, depth: int = 0) -> Iterator[Any]:
    """Yield every node of the graphs inside a node.

    Args:
        node: the node.
        depth: the count of graphs around it.
    """
    for graph in graphs_of(node) if depth < 16 else ():
        for inner in graph.node:
            yield inner
            yield from nodes_inside(inner, depth + 1)


def opened(path: Path) -> OnnxModel:
    """Return the model in a file.

    Args:
        path: the file.

    Raises:
        AdoptingError: the file is damaged, claims to hold more than it can, or has weights outside of its folder.
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
            raise AdoptingError("ONNX_FILE_WITHOUT_NODES", path=path)
        if model.functions:
            model = _without_functions(path, model)
        return _Reading(path, onnx).model_of(model.graph)
    except FileError as error:
        raise AdoptingError(error.message) from error
    except (DecodeError, ValueError, TypeError, RuntimeError, KeyError, OverflowError, RecursionError) as error:
        if isinstance(error, AdoptingError):
            raise
        raise AdoptingError("ONNX_FILE_DAMAGED", path=path, reason=reason_of(error)) from error


def _without_functions(path: Path, model: Any) -> Any:
    """Return the model with its functions put in where they are called.

    Raises:
        AdoptingError: they would become too many nodes, or call each other in a circle.
    """
    bodies = {(function.domain, function.name): function for function in model.functions}
    counts: dict[tuple[str, str], int] = {}

    def count(nodes: Sequence[Any], open_calls: frozenset[tuple[str, str]]) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in open_calls or len(open_calls) > 64:
                raise AdoptingError("ONNX_FUNCTION_CALLS_ITSELF", path=path, name=node.op_type)
            if key in bodies and key not in counts:
                counts[key] = count(bodies[key].node, open_calls | {key})
            total += counts.get(key, 1) + sum(1 for _ in nodes_inside(node))
        return total

    if count(model.graph.node, frozenset()) > MAX_NODES:
        raise AdoptingError("ONNX_NODES_TOO_MANY", path=path, limit=MAX_NODES)
    from onnx import inliner  # noqa: PLC0415  an extra; `import onnx` does not load this module

    return inliner.inline_local_functions(model)


class _Reading:
    """Reads one file, and counts the bytes that its tensors take."""

    def __init__(self, path: Path, onnx: Any) -> None:
        self.path, self.onnx = path, onnx
        self.external: dict[str, int] = {}  # files of weights, and their sizes
        self.remaining_bytes = max_array_bytes(path)

    def model_of(self, graph: Any) -> OnnxModel:
        """Return the model of a graph.

        Args:
            graph: the outermost graph of the file.
        """
        model = OnnxModel([])
        model.outputs = {output.name for output in graph.output}
        self._add(model, graph, 0)
        model.inputs = {value.name for value in graph.input} - set(model.weights) - set(model.integers)
        return model

    def _add(self, model: OnnxModel, graph: Any, depth: int) -> None:
        """Add the nodes and constants of a graph; a branch with a constant condition replaces its If."""
        for tensor in graph.initializer:
            self._add_constant(model, tensor.name, tensor)
        for node in graph.node:
            if len(model.nodes) > MAX_NODES or depth > 16:
                raise AdoptingError("ONNX_NODES_TOO_MANY", path=self.path, limit=MAX_NODES)
            if any(isinstance(name, bytes) for name in (node.name, node.op_type, *node.input, *node.output)):
                raise AdoptingError("ONNX_NAMES_DAMAGED", path=self.path)
            branch = self._branch(model, node)
            if branch is not None:
                self._add(model, branch, depth + 1)
                for inner, outer in zip(branch.output, node.output, strict=True):
                    model.nodes.append(self.onnx.helper.make_node("Identity", [inner.name], [outer]))
                continue
            if node.op_type == "Constant" and node.output:
                for attribute in node.attribute:
                    if attribute.name == "value":
                        self._add_constant(model, node.output[0], attribute.t)
                    elif attribute.name in ("value_int", "value_ints"):
                        value = attribute.i if attribute.name == "value_int" else list(attribute.ints)
                        self._add_integers(model, node.output[0], np.array(value, np.int64))
                continue
            model.nodes.append(node)
            folded = _folded(node, model.weights, model.integers, self.remaining_bytes)
            if folded is not None:
                self._count_bytes(folded.nbytes)
                model.weights[node.output[0]] = folded

    def _branch(self, model: OnnxModel, node: Any) -> Any:
        """Return the branch of an If whose condition is constant; None for any other node."""
        condition = model.integers.get(node.input[0]) if node.op_type == "If" and node.input else None
        if condition is None or len(condition) != 1:
            return None
        name = "then_branch" if condition[0] else "else_branch"
        graphs = (attribute.g for attribute in node.attribute if attribute.name == name and attribute.type == GRAPH)
        branch = next(graphs, None)
        return branch if branch is not None and len(branch.output) == len(node.output) else None

    def _add_constant(self, model: OnnxModel, name: str, tensor: Any) -> None:
        if tensor.data_type in FLOATS:
            count = _count(tensor.dims)
            self._count_bytes(count * 4)
            model.weights[name] = np.array(self._values(tensor, count), np.float32)
        elif tensor.data_type in INTEGERS and _count(tensor.dims) <= MAX_INTEGERS:
            self._add_integers(model, name, np.asarray(self._values(tensor, _count(tensor.dims))))

    @staticmethod
    def _add_integers(model: OnnxModel, name: str, value: Array) -> None:
        if value.ndim == 0:
            model.scalars.add(name)
        model.integers[name] = np.atleast_1d(value).ravel()

    def _count_bytes(self, size: int) -> None:
        self.remaining_bytes -= size
        if self.remaining_bytes < 0:
            raise AdoptingError("ONNX_TENSORS_TOO_LARGE", path=self.path, limit=max_array_bytes(self.path))

    def _values(self, tensor: Any, count: int) -> Array:
        """Return the numbers of a tensor, which may be in a file beside the model."""
        if tensor.data_location != self.onnx.TensorProto.EXTERNAL:
            return self.onnx.numpy_helper.to_array(tensor)
        about = {entry.key: entry.value for entry in tensor.external_data}
        path = self._external_file(about.get("location", ""))
        dtype = np.dtype({1: "<f4", 11: "<f8", 10: "<f2", 16: "<u2", 6: "<i4", 7: "<i8", 9: "?"}[tensor.data_type])
        offset, size = int(about.get("offset", 0)), count * dtype.itemsize
        if int(about.get("length", size)) != size or offset < 0 or offset + size > self.external[str(path)]:
            raise AdoptingError(
                "ONNX_EXTERNAL_BYTES_MISSING",
                path=path,
                size=size,
                offset=offset,
                name=tensor.name,
                file_bytes=self.external[str(path)],
            )
        with open_regular(path, MAX_EXTERNAL_BYTES, inside=self.path.parent) as file:
            file.seek(offset)
            values = np.frombuffer(file.read(size), dtype)
        if tensor.data_type == self.onnx.TensorProto.BFLOAT16:
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return values.reshape([int(length) for length in tensor.dims])

    def _external_file(self, location: str) -> Path:
        """Return the file of weights at a location, in the model's folder."""
        parts = PureWindowsPath(location).parts
        absolute = PureWindowsPath(location).anchor or PurePosixPath(location).is_absolute()
        if not parts or absolute or ".." in parts or "\0" in location:
            raise AdoptingError("ONNX_EXTERNAL_FILE_OUTSIDE", path=self.path, location=location)
        path = self.path.parent.joinpath(*parts)
        if str(path) not in self.external:
            with open_regular(path, MAX_EXTERNAL_BYTES, inside=self.path.parent) as file:
                self.external[str(path)] = file.seek(0, 2)
            self.remaining_bytes += MAX_EXPANSION * self.external[str(path)]
        return path


def _count(sizes: Sequence[int]) -> int:
    """Return the count of numbers of an array."""
    count = 1
    for size in sizes:
        if size < 0:
            raise AdoptingError("ONNX_AXIS_NEGATIVE", sizes=list(sizes))
        count *= size
    return count


def _folded(node: Any, weights: Mapping[str, Array], integers: Mapping[str, Array], max_bytes: int) -> Array | None:
    """Return the result of a node that only rearranges constants, as exporters leave them; None for other nodes."""
    simple: dict[str, Callable[[list[Array], dict[str, Any]], Array]] = {
        "Identity": lambda arrays, about: arrays[0],
        "Transpose": lambda arrays, about: np.transpose(arrays[0], about.get("perm")),
        "Concat": lambda arrays, about: np.concatenate(arrays, about["axis"]),
        "Unsqueeze": lambda arrays, about: arrays[0][None],
        "Cast": lambda arrays, about: arrays[0],
    }
    if node.op_type not in simple or len(node.output) != 1 or not node.input or node.domain not in STANDARD:
        return None
    names = node.input if node.op_type == "Concat" else node.input[:1]
    if any(name not in weights for name in names) or sum(weights[name].nbytes for name in names) > max_bytes:
        return None
    axes = attributes(node).get("axes") or [int(k) for name in node.input[1:2] for k in integers.get(name, ())]
    floating = attributes(node).get("to") in FLOATS
    if (node.op_type == "Unsqueeze" and axes != [0]) or (node.op_type == "Cast" and not floating):
        return None
    try:
        return np.ascontiguousarray(simple[node.op_type]([weights[name] for name in names], attributes(node)))
    except (ValueError, KeyError, IndexError, TypeError):
        return None
