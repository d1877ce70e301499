"""The layers in the description of a Keras model, and what each reads.

A model is a sequence of layers, or a graph of them ("functional"), whose layers name those that they read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatescope.adopting.foreign import AdoptingError

MAX_DEPTH = 12  # of models in models, and of groups in groups

Result = tuple[str, int]
"""One result of a layer: the layer's name, and the number of the result."""


@dataclass(frozen=True)
class Described:
    """A layer in the description of a model.

    Attributes:
        name: its name in the model.
        kind: its class; for a wrapper, the class of the layer inside.
        config: its settings; for a wrapper, those of the layer inside.
        wrapper: "Bidirectional", "TimeDistributed" or "".
        merge_mode: how both directions are joined.
        backward: the settings of the backward direction, if they are written down.
        reads: the results that the layer reads, in order.
        besides: the results that it is given by name, such as "initial_state" and "mask".
        calls: how many times the model applies the layer.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    wrapper: str = ""
    merge_mode: Any = "concat"
    backward: Mapping[str, Any] | None = None
    reads: tuple[Result, ...] = ()
    besides: tuple[tuple[str, Result], ...] = ()
    calls: int = 1

    @property
    def title(self) -> str:
        """Its name and kind."""
        return f"{self.name} ({self.kind})"


def layers_of(config: Any) -> dict[str, Described]:
    """Return the layers of a model by name, including those of models in it.

    Args:
        config: the description, parsed from JSON. Anything without layers, such as None, gives no layers.

    Raises:
        AdoptingError: two layers have one name.
    """
    layers: dict[str, Described] = {}
    for layer in _layers(config):
        if layer.name in layers:
            raise AdoptingError("KERAS_LAYER_NAME_REPEATED", name=layer.name)
        layers[layer.name] = layer
    return layers


def _layers(config: Any, source: tuple[Result, ...] = (), depth: int = 0) -> Iterator[Described]:
    """Yield every layer of a model; `source` is what the model reads, if it is a layer of another one."""
    inner = config.get("config") if isinstance(config, dict) else None
    entries = inner.get("layers") if isinstance(inner, dict) else inner  # a Sequential of Keras 2.0 is a list
    if not isinstance(entries, list) or depth > MAX_DEPTH:
        return
    sequential, before = config.get("class_name") == "Sequential", source
    for layer in entries:
        if not isinstance(layer, dict) or not isinstance(layer.get("config"), dict):
            continue
        about, kind = layer["config"], str(layer.get("class_name"))
        name, wrapper, merge_mode = str(about.get("name", layer.get("name"))), "", about.get("merge_mode", "concat")
        if kind in ("Sequential", "Functional", "Model"):
            reads = before if sequential else _inbound(layer.get("inbound_nodes"))[0]
            for nested in _layers(layer, reads, depth + 1):
                before = ((nested.name, 0),)
                yield nested
            before = _output_of(about) or before
            continue
        backward = about.get("backward_layer")
        backward = backward.get("config") if isinstance(backward, dict) else None
        if kind in ("Bidirectional", "TimeDistributed") and isinstance(about.get("layer"), dict):
            inside = about["layer"].get("config")
            wrapper, kind = kind, str(about["layer"].get("class_name"))
            about = inside if isinstance(inside, dict) else {}
        if sequential:
            yield Described(name, kind, about, wrapper, merge_mode, backward, before)
        else:
            nodes = layer.get("inbound_nodes")
            reads, besides = _inbound(nodes)
            calls = len(nodes) if isinstance(nodes, list) else 1
            reads = source if kind == "InputLayer" else reads
            yield Described(name, kind, about, wrapper, merge_mode, backward, reads, besides, calls)
        before = ((name, 0),)


def _output_of(config: Any) -> tuple[Result, ...]:
    """Return the result of a model of layers in a graph; nothing for a sequence of layers."""
    return tuple(_results(config.get("output_layers"))[:1]) if isinstance(config, dict) else ()


def _inbound(nodes: Any) -> tuple[tuple[Result, ...], tuple[tuple[str, Result], ...]]:
    """Return what the first call of a layer reads, in order, and what it is given by name.

    A node of Keras 2 is [["name", 0, 0, {"initial_state": ["other", 0, 1]}], ...], one of Keras 3 is {"args": [...],
    "kwargs": {...}} with {"keras_history": ["name", 0, 0]} at any depth.
    """
    node = nodes[0] if isinstance(nodes, list) and nodes else None
    if isinstance(node, dict):
        keywords = node.get("kwargs")
        items = keywords.items() if isinstance(keywords, dict) else ()
        besides = tuple((str(key), result) for key, value in items for result in _results(value))
        return tuple(_results(node.get("args"))), besides
    reads, named = list[Result](), list[tuple[str, Result]]()
    entries = node if isinstance(node, list) and node and isinstance(node[0], list) else [node]
    for entry in entries:
        reads += _results(entry)[:1]
        keywords = entry[3] if isinstance(entry, list) and len(entry) > 3 and isinstance(entry[3], dict) else {}
        named += [(str(key), result) for key, value in keywords.items() for result in _results(value)]
    return tuple(reads), tuple(named)


def _results(value: Any, depth: int = 0) -> list[Result]:
    """Return every result of a layer that a part of a node names."""
    if depth > MAX_DEPTH:
        return []
    if isinstance(value, dict):
        history = value.get("keras_history")
        if isinstance(history, list):
            value = history
        else:
            return [result for inner in value.values() for result in _results(inner, depth + 1)]
    if not isinstance(value, list):
        return []
    if len(value) > 2 and isinstance(value[0], str) and type(value[1]) is int and type(value[2]) is int:
        return [(value[0], value[2])]
    return [result for inner in value for result in _results(inner, depth + 1)]


def matched(
    arrays: Mapping[str, Any], described: Mapping[str, Described], order: Sequence[str]
) -> dict[str, Described]:
    """Return the description of each layer that has arrays, by its name in the file.

    In files of Keras 3 that name is the layer's class and a number: "lstm" is the first LSTM, whatever its name in the
    model is, and another layer may be called "lstm".

    Args:
        arrays: name in the file -> arrays.
        described: name in the model -> layer.
        order: the names of the layers, in files of Keras 2.
    """
    by_name = {name: described[name] for name in arrays if name in described}
    if order:
        return by_name
    by_class: dict[str, Described] = {}
    counts: dict[str, int] = {}
    for layer in described.values():
        kind = layer.wrapper or layer.kind
        base = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower()
        number = counts.get(base, 0)
        counts[base] = number + 1
        key = base if not number else f"{base}_{number}"
        if key in arrays:
            by_class[key] = layer
    return by_class if len(by_class) >= len(by_name) else by_name
