"""What the description of a Keras model says: which layer reads which, how the last one is read out.

A model is a sequence of layers, or a graph of them ("functional"), whose layers name those that they read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from gatescope.adopting.foreign import NONE, Activation, AdoptingError, Head, Joined
from gatescope.readout import Reads

DEEPEST = 12  # models in models, groups in groups
PASSING = (
    "InputLayer",
    "Dropout",
    "SpatialDropout1D",
    "Masking",
    "GaussianNoise",
    "ActivityRegularization",
)
JOINED: dict[str, Joined] = {"concat": "concat", "sum": "sum", "ave": "average"}
OF_CLASSES, OF_NUMBERS = ("crossentropy",), ("squared", "mse", "absolute", "mae", "huber", "cosh", "msle", "mape")


@dataclass(frozen=True)
class Described:
    """What config.json, or the attribute of an .h5 file, says of a layer.

    Attributes:
        name, kind, config: of the layer; of one that is wrapped, of what is in it.
        wrapped: "Bidirectional", "TimeDistributed".
        merge_mode: of both directions.
        reads: the names of the layers that it reads.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    wrapped: str = ""
    merge_mode: Any = "concat"
    reads: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Its name and kind."""
        return f"{self.name} ({self.kind})"


@dataclass
class Wiring:
    """How the recurrent layers of a model hang together, in the fields of `Foreign`.

    There, `embedding` and the matrices of the heads are names of arrays; here of layers.
    """

    order: tuple[str, ...] = ()
    embedding: str | None = None
    before: dict[str, str] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    joined: dict[str, Joined] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def layers_of(config: Any) -> dict[str, Described]:
    """Name -> what is said of each layer, models in models too."""
    return {about.name: about for about in _layers(config)}


def _layers(config: Any, before: str | None = None, depth: int = 0) -> Iterator[Described]:
    inner = config.get("config") if isinstance(config, dict) else None
    entries = inner.get("layers") if isinstance(inner, dict) else inner  # a Sequential of Keras 2.0 is a list
    if not isinstance(entries, list) or depth > DEEPEST:
        return
    sequential = config.get("class_name") == "Sequential"
    for layer in entries:
        if not isinstance(layer, dict) or not isinstance(layer.get("config"), dict):
            continue
        about, kind = layer["config"], str(layer.get("class_name"))
        name, wrapped, merged = str(about.get("name", layer.get("name"))), "", about.get("merge_mode", "concat")
        if kind in ("Sequential", "Functional", "Model"):
            for found in _layers(layer, before if sequential else None, depth + 1):
                before = found.name
                yield found
            continue
        if kind in ("Bidirectional", "TimeDistributed") and isinstance(about.get("layer"), dict):
            inside = about["layer"].get("config")
            wrapped, kind = kind, str(about["layer"].get("class_name"))
            about = inside if isinstance(inside, dict) else {}
        reads = ((before,) if before else ()) if sequential else tuple(_inbound(layer.get("inbound_nodes")))
        yield Described(name, kind, about, wrapped, merged, reads)
        before = name


def _inbound(nodes: Any, depth: int = 0) -> Iterator[str]:
    """The layers that are read: [["name", 0, 0, {}], ...] of Keras 2, {"keras_history": ["name", 0, 0]} of Keras 3."""
    if depth > DEEPEST:
        return
    if isinstance(nodes, dict):
        history = nodes.get("keras_history")
        if isinstance(history, list) and history:
            yield str(history[0])
        else:
            yield from _inbound([nodes.get("args"), nodes.get("config")], depth + 1)
    elif isinstance(nodes, list):
        if len(nodes) > 2 and isinstance(nodes[0], str) and isinstance(nodes[1], int):
            yield nodes[0]
        else:
            for node in nodes:
                yield from _inbound(node, depth + 1)


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
    """What reads what, as far as it is plain.

    Raises:
        AdoptingError: both directions of a layer are put together in a way that a network here cannot.
    """
    found = Wiring()
    keys = {about.name: key for key, about in kinds.items()}  # the name of a layer in the model -> in the file
    readers: dict[str, list[Described]] = {}
    for about in described.values():
        for name in about.reads:
            readers.setdefault(name, []).append(about)
    below: dict[str, str | None] = {}
    for stack in stacks:
        about = kinds.get(stack)
        if about is None:
            return found
        if about.wrapped == "Bidirectional":
            if str(about.merge_mode) not in JOINED:
                raise AdoptingError(
                    f"{about.title} puts its directions together by {about.merge_mode!r}; {', '.join(JOINED)} can be "
                    "adopted."
                )
            found.joined[stack] = JOINED[about.merge_mode]
        below[stack] = _source(about, described, keys, stacks, found, stack)
        found.heads[stack] = _head(about, readers, keys, stacks, compiled)
    first = [stack for stack, under in below.items() if under is None]
    chain = first[:1]
    while chain:
        above = [stack for stack, under in below.items() if under == chain[-1]]
        if len(above) != 1 or len(chain) >= len(stacks):
            break
        chain.append(above[0])
    if len(first) == 1 and len(chain) == len(stacks):
        found.order = tuple(chain)
    return found


def _source(
    about: Described,
    described: Mapping[str, Described],
    keys: Mapping[str, str],
    stacks: Mapping[str, Any],
    found: Wiring,
    stack: str,
) -> str | None:
    """The recurrent layer that another reads; None for one that reads the input, or something else."""
    current, seen = about, {about.name}
    while True:
        # Of several, the first is what is read; others are states and masks, or the model is no chain.
        under = described.get(current.reads[0]) if current.reads else None
        if under is None or under.name in seen:
            return None
        seen.add(under.name)
        if keys.get(under.name) in stacks:
            return keys[under.name]
        if under.kind == "Embedding":
            found.embedding = keys.get(under.name)
            if under.config.get("mask_zero"):
                found.notes.append(
                    f"{under.name} has the id 0 skipped (mask_zero); a run skips nothing: give texts without it."
                )
            return None
        if under.kind not in PASSING:
            found.before[stack] = under.title
            return None
        if under.kind == "Masking":
            found.notes.append(f"{under.name} has steps skipped; a run skips none: give sequences without them.")
        current = under


def _head(
    about: Described,
    readers: Mapping[str, list[Described]],
    keys: Mapping[str, str],
    stacks: Mapping[str, Any],
    compiled: Any,
) -> Head:
    """How a recurrent layer is read out."""
    reads: Reads = "every step" if about.config.get("return_sequences") else "last step"
    dense: Described | None = None
    activation: Activation | None = None
    current, seen = about, {about.name}
    while True:
        above = readers.get(current.name, [])
        if len(above) != 1 or above[0].name in seen:
            break
        current = above[0]
        seen.add(current.name)
        if current.kind in PASSING:
            continue
        given = _activation(current)
        if dense is None and current.kind == "Dense" and keys.get(current.name) not in stacks:
            dense, activation = current, given
            if given is None:
                return Head(NONE, f"{current.title} with {current.config.get('activation')!r}", reads)
        elif dense is not None and current.kind in ("Activation", "Softmax") and given is not None:
            activation = given
        else:
            return Head(NONE, current.title, reads)
    if dense is None:
        return Head(reads=reads)
    return Head(keys.get(dense.name), "", reads, activation, _trained_for(compiled))


def _activation(about: Described) -> Activation | None:
    """What is done with the values; None for something else."""
    name = "softmax" if about.kind == "Softmax" else about.config.get("activation") or "linear"
    return next((known for known in get_args(Activation) if known == name), None)


def _trained_for(compiled: Any) -> Literal["classes", "numbers"] | None:
    """What is predicted, by the loss."""
    loss = compiled.get("loss") if isinstance(compiled, dict) else None
    if isinstance(loss, dict):
        loss = loss.get("class_name") or loss.get("config")
    if isinstance(loss, list) and len(loss) == 1:
        loss = loss[0]
    name = loss.lower().replace("_", "") if isinstance(loss, str) else ""
    if any(word in name for word in OF_CLASSES):
        return "classes"
    return "numbers" if any(word in name for word in OF_NUMBERS) else None
