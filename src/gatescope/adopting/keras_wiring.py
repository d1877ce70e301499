"""How the recurrent layers of a Keras model are connected: what each reads, and how the last one is read out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from gatescope.adopting.foreign import NONE, Activation, AdoptingError, Head, Joined, listed
from gatescope.adopting.keras_model import Described
from gatescope.adopting.wiring import order_of
from gatescope.messages import Message
from gatescope.readout import Reads

# Layers that hand their input on unchanged, at least while predicting.
PASSING = (
    "InputLayer",
    "Dropout",
    "SpatialDropout1D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
)
# Keras' name of an activation -> the name in gatescope.head, for those that compute the same.
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
JOINED: dict[str, Joined] = {"concat": "concat", "sum": "sum", "ave": "average"}
CLASS_LOSSES = ("crossentropy",)
NUMBER_LOSSES = ("squared", "mse", "absolute", "mae", "huber", "cosh", "msle", "mape")


@dataclass
class Wiring:
    """How the recurrent layers of a model are connected, in the fields of `Foreign`.

    The embedding and the matrices of the heads are named by their layers here, and by their arrays in `Foreign`.

    Attributes:
        order: the stacks in the order in which they read each other; empty without a single order.
        embedding: the layer of the embedding.
        masked: whether steps of the id 0 are skipped.
        below: stack -> the stack that it reads, or None.
        before: stack -> the part of the model that makes its input.
        refused: stack -> why no run can have it.
        heads: stack -> its readout.
        joined: stack -> how its two directions are joined.
        reversed: the stacks whose forward direction reads the text from its end.
    """

    order: tuple[str, ...] = ()
    embedding: str | None = None
    masked: bool = False
    below: dict[str, str | None] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    refused: dict[str, Message] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    joined: dict[str, Joined] = field(default_factory=dict)
    reversed: set[str] = field(default_factory=set)


def wiring(
    described: Mapping[str, Described], kinds: Mapping[str, Described], stacks: Mapping[str, Any], compiled: Any
) -> Wiring:
    """Return how the recurrent layers are connected.

    Args:
        described: name in the model -> layer.
        kinds: name in the file -> layer.
        stacks: the recurrent layers, by their names in the file.
        compiled: the description of the training.

    Raises:
        AdoptingError: arrays of a recurrent layer belong to no layer of the description.
    """
    wired = Wiring()
    if not described:
        return wired
    for stack in stacks:
        if stack not in kinds:
            raise AdoptingError("KERAS_LAYER_NOT_DESCRIBED", stack=stack, names=listed(described))
    graph = _Graph(described, kinds, stacks)
    below = wired.below
    for stack in stacks:
        below[stack] = _source(graph, stack, wired)
    wired.order = order_of(below)
    backwards = {stack: _is_handed_on_backwards(graph, stack, below) for stack in stacks}
    for stack in stacks:
        about, own = kinds[stack], bool(kinds[stack].config.get("go_backwards"))
        if reason := _why_refused(graph, about):
            wired.refused[stack] = reason
        elif about.wrapper and (own or backwards[stack]):
            wired.refused[stack] = Message("KERAS_LAYER_OF_REVERSED_SEQUENCE", title=about.title)
        if about.wrapper:
            wired.joined[stack] = JOINED.get(str(about.merge_mode), "concat")
        elif backwards[stack]:
            wired.reversed.add(stack)
        wired.heads[stack] = _head(graph, stack, backwards[stack], compiled)
    return wired


class _Graph:
    """The layers of a model, and the readers of each."""

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


def _is_handed_on_backwards(graph: _Graph, stack: str, below: Mapping[str, str | None]) -> bool:
    """Return whether the steps come out from the last to the first: an odd number of layers go backwards."""
    backwards, current, seen = False, stack, set[str]()
    while current is not None and current not in seen:
        seen.add(current)
        backwards ^= bool(graph.kinds[current].config.get("go_backwards"))
        current = below[current]
    return backwards


def _source(graph: _Graph, stack: str, wired: Wiring) -> str | None:
    """Return the recurrent layer that another reads, and note what is between; None if it reads something else."""
    about = graph.kinds[stack]
    current, seen, between = about, {about.name}, ""
    while True:
        name, result = current.reads[0] if current.reads else ("", 0)
        under = graph.described.get(name)
        if under is None and name:
            wired.before[stack] = between or f"{name} (a model in the model)"
        if under is None or under.name in seen or (under.kind == "InputLayer" and not under.reads):
            return None
        seen.add(under.name)
        if graph.keys.get(under.name) in graph.stacks:
            if not between and not result and under.config.get("return_sequences"):
                return graph.keys[under.name]
            wired.refused[stack] = (
                Message("LAYER_READS_THROUGH", name=about.title, below=under.title, through=between)
                if between
                else Message("LAYER_READS_OTHER_RESULT", name=about.title, below=under.title)
            )
            return None
        if under.kind == "Embedding" and not between:
            wired.embedding = graph.keys.get(under.name)
            wired.masked |= bool(under.config.get("mask_zero"))
            lowest = graph.described.get(under.reads[0][0]) if under.reads else None
            while lowest is not None and lowest.kind == "InputLayer" and lowest.reads:
                lowest = graph.described.get(lowest.reads[0][0])
            if lowest is not None and lowest.kind != "InputLayer":
                wired.before[stack] = lowest.title
            return None
        if under.kind not in PASSING and not _is_identity(under):
            between = between or under.title
            wired.before[stack] = between
            if under.kind == "Masking":
                value = under.config.get("mask_value", 0)
                wired.refused[stack] = Message("KERAS_MASKING_LAYER", title=under.title, value=value)
        current = under


def _why_refused(graph: _Graph, about: Described) -> Message | None:
    """Return why no run can have a recurrent layer; None if a run can."""
    if about.wrapper not in ("", "Bidirectional"):
        return Message("KERAS_WRAPPER_UNKNOWN", title=about.title, wrapper=about.wrapper)
    if about.wrapper and str(about.merge_mode) not in JOINED:
        return Message(
            "KERAS_MERGE_MODE_UNKNOWN", title=about.title, names=", ".join(JOINED), merge_mode=about.merge_mode
        )
    if about.calls > 1:
        return Message("KERAS_LAYER_CALLED_AGAIN", title=about.title, calls=about.calls)
    if states := _states(graph, about):
        return Message("KERAS_STATES_COMPUTED", title=about.title, states=listed(states))
    return None


def _states(graph: _Graph, about: Described) -> list[str]:
    """Return the layers that give a recurrent layer more than its input; masks of an embedding do not count."""
    names = [name for name, _ in about.reads[1:]]
    for role, (name, _) in about.besides:
        kind = graph.described[name].kind if name in graph.described else ""
        if role != "mask" or kind != "NotEqual":
            names.append(name)
    return list(dict.fromkeys(names))


def _head(graph: _Graph, stack: str, backwards: bool, compiled: Any) -> Head:
    """Return the readout of a recurrent layer."""
    about = graph.kinds[stack]
    reads: Reads = "every step" if about.config.get("return_sequences") else "last step"
    layers: list[tuple[str, str]] = []
    current, seen = about, {about.name}
    while above := [reader for reader in graph.readers.get(current.name, []) if reader[2] != "mask"]:
        if len(above) > 1:
            parts = listed(reader.title for reader, _, _ in above)
            return Head(NONE, Message("READOUT_SEVERAL_PARTS", parts=parts), reads)
        is_state = current is about and above[0][1] == 1 and not about.wrapper
        current, result, role = above[0]
        if is_state:
            reads = "last step"
        if role or current.name in seen or (result and not is_state) or len(current.reads) > 1 or current.calls > 1:
            return Head(NONE, Message("READOUT_OTHER_PART", part=current.title), reads)
        seen.add(current.name)
        activation = _activation(current)
        if current.kind in PASSING or _is_identity(current):
            continue
        if current.kind == "Dense":
            layers.append((graph.keys.get(current.name, current.name), activation))
        elif current.kind in ("Activation", "Softmax", "ReLU") and layers and layers[-1][1] == "linear":
            layers[-1] = (layers[-1][0], activation)
        else:
            return Head(NONE, Message("READOUT_OTHER_PART", part=current.title), reads)
    return _head_of(layers, reads, backwards and reads == "every step", compiled)


def _head_of(layers: list[tuple[str, str]], reads: Reads, backwards: bool, compiled: Any) -> Head:
    """Return the head of dense layers: name and activation, from the recurrent layer upwards."""
    if not layers:
        return Head(NONE, Message("READOUT_WITHOUT_READER"), reads)
    if backwards:
        return Head(NONE, Message("READOUT_OF_REVERSED_STEPS"), reads)
    *hidden, (matrix, last) = layers
    output = next((known for known in get_args(Activation) if known == last), None)
    unknown = [(key, activation) for key, activation in hidden if HIDDEN.get(activation) is None]
    if output is None or unknown:
        layer, activation = unknown[0] if unknown else (matrix, last)
        return Head(NONE, Message("READOUT_OTHER_ACTIVATION", layer=layer, activation=activation), reads)
    inner = tuple((key, HIDDEN[activation]) for key, activation in hidden)
    return Head(matrix, None, reads, output, _trained_for(compiled), inner)


def _activation(about: Described) -> str:
    """Return the activation of a layer, by Keras' name."""
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
    if any(word in name for word in CLASS_LOSSES):
        return "classes"
    return "numbers" if any(word in name for word in NUMBER_LOSSES) else None
