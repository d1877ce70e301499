"""What the description of a Keras model says: which layer reads which, how the last one is read out.

A model is a sequence of layers, or a graph of them ("functional"), whose layers name those that they read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from gatescope.adopting.foreign import NONE, Activation, AdoptingError, Head, Joined, listed
from gatescope.adopting.wiring import order_of
from gatescope.readout import Reads

DEEPEST = 12  # models in models, groups in groups
PASSING = (
    "InputLayer",
    "Dropout",
    "SpatialDropout1D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
)
# Keras' name of an activation -> the name in gatescope.head, where both compute the same.
HIDDEN = {
    "linear": "none",
    "none": "none",
    "relu": "relu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "elu": "elu",
    "selu": "selu",
    "silu": "silu",
    "swish": "silu",
    "softplus": "softplus",
    "gelu": "gelu",
}
MASKING = (
    "{title} has steps skipped whose numbers are all {value}; a run skips none. Take that layer out of the model if no "
    "sequence has such steps."
)
JOINED: dict[str, Joined] = {"concat": "concat", "sum": "sum", "ave": "average"}
OF_CLASSES, OF_NUMBERS = ("crossentropy",), ("squared", "mse", "absolute", "mae", "huber", "cosh", "msle", "mape")


Tensor = tuple[str, int]
"""One result of a layer: the layer's name, and which of its results."""


@dataclass(frozen=True)
class Described:
    """What config.json, or the attribute of an .h5 file, says of a layer.

    Attributes:
        name, kind, config: of the layer; of one that is wrapped, of what is in it.
        wrapped: "Bidirectional", "TimeDistributed".
        merge_mode: of both directions.
        backward: the settings of the backward direction, where they are written down.
        reads: the results that the layer reads, in order.
        besides: the results that it is given by name, such as "initial_state" and "mask".
        calls: how many times the model applies the layer.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    wrapped: str = ""
    merge_mode: Any = "concat"
    backward: Mapping[str, Any] | None = None
    reads: tuple[Tensor, ...] = ()
    besides: tuple[tuple[str, Tensor], ...] = ()
    calls: int = 1

    @property
    def title(self) -> str:
        """Its name and kind."""
        return f"{self.name} ({self.kind})"

    @property
    def is_time_distributed(self) -> bool:
        """Whether it is applied to each step of its input."""
        return self.wrapped == "TimeDistributed"


@dataclass
class Wiring:
    """How the recurrent layers of a model hang together, in the fields of `Foreign`.

    There, `embedding` and the matrices of the heads are names of arrays; here of layers.

    Attributes:
        reversed: the recurrent layers whose forward direction reads the text from its end.
    """

    order: tuple[str, ...] = ()
    embedding: str | None = None
    masked: bool = False
    below: dict[str, str | None] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    joined: dict[str, Joined] = field(default_factory=dict)
    reversed: set[str] = field(default_factory=set)


def layers_of(config: Any) -> dict[str, Described]:
    """Name -> what is said of each layer, models in models too.

    Raises:
        AdoptingError: two layers have one name.
    """
    found: dict[str, Described] = {}
    for about in _layers(config):
        if about.name in found:
            raise AdoptingError("KERAS_MODEL_LAYER_NAME_TWO_MODELS", name=about.name)
        found[about.name] = about
    return found


def _layers(config: Any, source: tuple[Tensor, ...] = (), depth: int = 0) -> Iterator[Described]:
    """Yield every layer of a model; `source` is what the model reads, where it is a layer of another one."""
    inner = config.get("config") if isinstance(config, dict) else None
    entries = inner.get("layers") if isinstance(inner, dict) else inner  # a Sequential of Keras 2.0 is a list
    if not isinstance(entries, list) or depth > DEEPEST:
        return
    sequential, before = config.get("class_name") == "Sequential", source
    for layer in entries:
        if not isinstance(layer, dict) or not isinstance(layer.get("config"), dict):
            continue
        about, kind = layer["config"], str(layer.get("class_name"))
        name, wrapped, merged = str(about.get("name", layer.get("name"))), "", about.get("merge_mode", "concat")
        if kind in ("Sequential", "Functional", "Model"):
            read = before if sequential else _inbound(layer.get("inbound_nodes"))[0]
            for found in _layers(layer, read, depth + 1):
                before = ((found.name, 0),)
                yield found
            before = _output_of(about) or before
            continue
        backward = about.get("backward_layer")
        backward = backward.get("config") if isinstance(backward, dict) else None
        if kind in ("Bidirectional", "TimeDistributed") and isinstance(about.get("layer"), dict):
            inside = about["layer"].get("config")
            wrapped, kind = kind, str(about["layer"].get("class_name"))
            about = inside if isinstance(inside, dict) else {}
        if sequential:
            yield Described(name, kind, about, wrapped, merged, backward, before)
        else:
            nodes = layer.get("inbound_nodes")
            reads, besides = _inbound(nodes)
            calls = len(nodes) if isinstance(nodes, list) else 1
            reads = source if kind == "InputLayer" else reads
            yield Described(name, kind, about, wrapped, merged, backward, reads, besides, calls)
        before = ((name, 0),)


def _output_of(config: Any) -> tuple[Tensor, ...]:
    """The result that a model of layers in a graph hands on; nothing for a sequence of layers."""
    return tuple(_tensors(config.get("output_layers"))[:1]) if isinstance(config, dict) else ()


def _inbound(nodes: Any) -> tuple[tuple[Tensor, ...], tuple[tuple[str, Tensor], ...]]:
    """What the first call of a layer reads, in order, and what it is given by name.

    A node of Keras 2 is [["name", 0, 0, {"initial_state": ["other", 0, 1]}], ...], one of Keras 3 is {"args": [...],
    "kwargs": {...}} with {"keras_history": ["name", 0, 0]} at any depth.
    """
    node = nodes[0] if isinstance(nodes, list) and nodes else None
    if isinstance(node, dict):
        named = node.get("kwargs")
        given = named.items() if isinstance(named, dict) else ()
        return tuple(_tensors(node.get("args"))), tuple((str(key), one) for key, v in given for one in _tensors(v))
    reads, besides = list[Tensor](), list[tuple[str, Tensor]]()
    entries = node if isinstance(node, list) and node and isinstance(node[0], list) else [node]
    for entry in entries:
        reads += _tensors(entry)[:1]
        named = entry[3] if isinstance(entry, list) and len(entry) > 3 and isinstance(entry[3], dict) else {}
        besides += [(str(key), one) for key, value in named.items() for one in _tensors(value)]
    return tuple(reads), tuple(besides)


def _tensors(value: Any, depth: int = 0) -> list[Tensor]:
    """Every result of a layer that a part of a node names."""
    if depth > DEEPEST:
        return []
    if isinstance(value, dict):
        history = value.get("keras_history")
        if isinstance(history, list):
            value = history
        else:
            return [one for inner in value.values() for one in _tensors(inner, depth + 1)]
    if not isinstance(value, list):
        return []
    if len(value) > 2 and isinstance(value[0], str) and type(value[1]) is int and type(value[2]) is int:
        return [(value[0], value[2])]
    return [one for inner in value for one in _tensors(inner, depth + 1)]


def matched(
    arrays: Mapping[str, Any], described: Mapping[str, Described], order: Sequence[str]
) -> dict[str, Described]:
    """The description of each layer of arrays: by its name, or, in Keras 3's files, by its class and a number.

    In those, "lstm" is the first LSTM, whatever it is called, and another one may be called "lstm".
    """
    named = {name: described[name] for name in arrays if name in described}
    if order:
        return named
    found: dict[str, Described] = {}
    counted: dict[str, int] = {}
    for about in described.values():
        kind = about.wrapped or about.kind
        base = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower()
        number = counted.get(base, 0)
        counted[base] = number + 1
        key = base if not number else f"{base}_{number}"
        if key in arrays:
            found[key] = about
    return found if len(found) >= len(named) else named


def wiring(
    described: Mapping[str, Described], kinds: Mapping[str, Described], stacks: Mapping[str, Any], compiled: Any
) -> Wiring:
    """What reads what.

    Raises:
        AdoptingError: arrays of a recurrent layer belong to no layer of the description.
    """
    found = Wiring()
    if not described:
        return found
    for stack in stacks:
        if stack not in kinds:
            raise AdoptingError("KERAS_MODEL_RECURRENT_LAYER_FILE_LAYER", stack=stack, listed=listed(described))
    graph = _Graph(described, kinds, stacks)
    below = found.below
    for stack in stacks:
        below[stack] = _source(graph, stack, found)
    found.order = order_of(below)
    turned = {stack: _turned(graph, stack, below) for stack in stacks}
    for stack in stacks:
        about, own = kinds[stack], bool(kinds[stack].config.get("go_backwards"))
        if why := _why_refused(graph, about):
            found.refused[stack] = why
        elif about.wrapped and (own or turned[stack]):
            found.refused[stack] = f"{about.title} has both directions of a sequence that was turned round."
        if about.wrapped:
            found.joined[stack] = JOINED.get(str(about.merge_mode), "concat")
        elif turned[stack]:
            found.reversed.add(stack)
        found.heads[stack] = _head(graph, stack, turned[stack], compiled)
    return found


class _Graph:
    """The layers of a model, and who reads them."""

    def __init__(
        self, described: Mapping[str, Described], kinds: Mapping[str, Described], stacks: Mapping[str, Any]
    ) -> None:
        self.described, self.kinds, self.stacks = described, kinds, stacks
        self.keys = {about.name: key for key, about in kinds.items()}  # a layer's name in the model -> in the file
        self.readers: dict[str, list[tuple[Described, int, str]]] = {}
        for about in described.values():
            for name, result in dict.fromkeys(about.reads):
                self.readers.setdefault(name, []).append((about, result, ""))
            for role, (name, result) in about.besides:
                self.readers.setdefault(name, []).append((about, result, role))


def _turned(graph: _Graph, stack: str, below: Mapping[str, str | None]) -> bool:
    """Whether a layer hands on its steps from the last to the first: an odd number of layers go backwards."""
    turned, current, seen = False, stack, set[str]()
    while current is not None and current not in seen:
        seen.add(current)
        turned ^= bool(graph.kinds[current].config.get("go_backwards"))
        current = below[current]
    return turned


def _source(graph: _Graph, stack: str, found: Wiring) -> str | None:
    """The recurrent layer that another reads; None for one that reads the input, or something else."""
    about = graph.kinds[stack]
    current, seen, between = about, {about.name}, ""
    while True:
        name, result = current.reads[0] if current.reads else ("", 0)
        under = graph.described.get(name)
        if under is None and name:
            found.before[stack] = between or f"{name} (a model in the model)"
        if under is None or under.name in seen or (under.kind == "InputLayer" and not under.reads):
            return None
        seen.add(under.name)
        if graph.keys.get(under.name) in graph.stacks:
            if not between and not result and under.config.get("return_sequences"):
                return graph.keys[under.name]
            what = between or "another result than its steps"
            found.refused[stack] = f"{about.title} reads {under.title} through {what}, which a run does not have."
            return None
        if under.kind == "Embedding" and not between:
            found.embedding = graph.keys.get(under.name)
            found.masked |= bool(under.config.get("mask_zero"))
            bare = graph.described.get(under.reads[0][0]) if under.reads else None
            while bare is not None and bare.kind == "InputLayer" and bare.reads:
                bare = graph.described.get(bare.reads[0][0])
            if bare is not None and bare.kind != "InputLayer":
                found.before[stack] = bare.title
            return None
        if under.kind not in PASSING and not _is_identity(under):
            between = between or under.title
            found.before[stack] = between
            if under.kind == "Masking":
                found.refused[stack] = MASKING.format(title=under.title, value=under.config.get("mask_value", 0))
        current = under


def _why_refused(graph: _Graph, about: Described) -> str:
    """Why no run can have a recurrent layer; nothing if a run can."""
    if about.wrapped not in ("", "Bidirectional"):
        return f"{about.title} is applied to parts of its input ({about.wrapped}), not to a sequence."
    if about.wrapped and str(about.merge_mode) not in JOINED:
        joined = ", ".join(JOINED)
        return f"{about.title} puts its directions together by {about.merge_mode!r}; {joined} can be adopted."
    if about.calls > 1:
        return f"{about.title} is applied {about.calls} times in the model; a run applies it once."
    if states := _states(graph, about):
        return (
            f"{about.title} starts from states that {listed(states)} computes; in a run it starts from constants. "
            "Adopt the part that computes them, or watch the whole model (gatescope.watch)."
        )
    return ""


def _states(graph: _Graph, about: Described) -> list[str]:
    """The layers that give a recurrent layer more than its input; masks of an embedding are its own."""
    more = [name for name, _ in about.reads[1:]]
    for role, (name, _) in about.besides:
        kind = graph.described[name].kind if name in graph.described else ""
        if role != "mask" or kind != "NotEqual":
            more.append(name)
    return list(dict.fromkeys(more))


def _head(graph: _Graph, stack: str, turned: bool, compiled: Any) -> Head:
    """How a recurrent layer is read out."""
    about = graph.kinds[stack]
    reads: Reads = "every step" if about.config.get("return_sequences") else "last step"
    layers: list[tuple[str, str]] = []
    current, seen = about, {about.name}
    while above := [one for one in graph.readers.get(current.name, []) if one[2] != "mask"]:
        if len(above) > 1:
            return Head(NONE, f"more than one part ({listed(one.title for one, _, _ in above)})", reads)
        state = current is about and above[0][1] == 1 and not about.wrapped
        current, result, role = above[0]
        if state:
            reads = "last step"
        if role or current.name in seen or (result and not state) or len(current.reads) > 1 or current.calls > 1:
            return Head(NONE, current.title, reads)
        seen.add(current.name)
        name = _activation(current)
        if current.kind in PASSING or _is_identity(current):
            continue
        if current.kind == "Dense":
            layers.append((graph.keys.get(current.name, current.name), name))
        elif current.kind in ("Activation", "Softmax", "ReLU") and layers and layers[-1][1] == "linear":
            layers[-1] = (layers[-1][0], name)
        else:
            return Head(NONE, current.title, reads)
    return _read_out(layers, reads, turned and reads == "every step", compiled)


def _read_out(layers: list[tuple[str, str]], reads: Reads, turned: bool, compiled: Any) -> Head:
    """The head of these layers of matrices: name and activation, from the recurrent layer upwards."""
    if not layers:
        return Head(NONE, "nothing: no layer reads it", reads)
    if turned:
        return Head(NONE, "the order of its steps, from the last to the first,", reads)
    *hidden, (matrix, name) = layers
    output = next((known for known in get_args(Activation) if known == name), None)
    unknown = [f"{key} with {given!r}" for key, given in hidden if HIDDEN.get(given) is None]
    if output is None or unknown:
        return Head(NONE, unknown[0] if unknown else f"{matrix} with {name!r}", reads)
    inner = tuple((key, HIDDEN[given]) for key, given in hidden)
    return Head(matrix, "", reads, output, _trained_for(compiled), inner)


def _activation(about: Described) -> str:
    """What a layer does with its values, as Keras calls it."""
    if about.kind == "ReLU":
        usual = {"max_value": None, "negative_slope": 0, "threshold": 0}
        return "relu" if all((about.config.get(key) or 0) == (value or 0) for key, value in usual.items()) else "ReLU"
    if about.kind == "Softmax":
        return "softmax" if about.config.get("axis", -1) == -1 else "softmax of another axis"
    return str(about.config.get("activation") or "linear")


def _is_identity(about: Described) -> bool:
    return about.kind == "Activation" and about.config.get("activation") == "linear"


def _trained_for(compiled: Any) -> Literal["classes", "numbers"] | None:
    """Return what is predicted, classes or numbers, judged by the loss."""
    loss = compiled.get("loss") if isinstance(compiled, dict) else None
    if isinstance(loss, dict):
        loss = loss.get("class_name") or loss.get("config")
    if isinstance(loss, list) and len(loss) == 1:
        loss = loss[0]
    name = loss.lower().replace("_", "") if isinstance(loss, str) else ""
    if any(word in name for word in OF_CLASSES):
        return "classes"
    return "numbers" if any(word in name for word in OF_NUMBERS) else None
