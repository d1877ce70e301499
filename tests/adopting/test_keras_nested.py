"""Models in models: what stands before a recurrent layer is seen, in whichever of them it is."""

from __future__ import annotations

from typing import Any

import pytest

from gatescope.adopting.keras_model import layers_of
from gatescope.adopting.keras_wiring import wiring


def _layer(kind: str, name: str, reads: str | None = None, **config: Any) -> dict[str, Any]:
    """Return a layer as Keras 3 writes it; `reads` is the name of its input in a graph."""
    history = {"config": {"keras_history": [reads, 0, 0]}}
    nodes = [] if reads is None else [{"args": [history], "kwargs": {}}]
    return {"class_name": kind, "config": {"name": name, **config}, "name": name, "inbound_nodes": nodes}


def _graph(name: str, *layers: dict[str, Any], reads: str | None = None) -> dict[str, Any]:
    return _layer("Functional", name, reads, layers=list(layers), output_layers=[[layers[-1]["name"], 0, 0]])


def _sequence(name: str, *layers: dict[str, Any], reads: str | None = None) -> dict[str, Any]:
    return _layer("Sequential", name, reads, layers=list(layers))


LSTM = _layer("LSTM", "rnn", "inner", return_sequences=True)
INNER = _layer("InputLayer", "inner")
SCALE = _layer("Rescaling", "scale", "outer", scale=2.0)
OUTER = _layer("InputLayer", "outer")


@pytest.mark.parametrize(
    ("model", "before"),
    [
        (_sequence("m", OUTER, SCALE, _graph("part", INNER, LSTM)), "scale (Rescaling)"),
        (_sequence("m", OUTER, SCALE, _sequence("part", INNER, LSTM)), "scale (Rescaling)"),
        (_graph("m", OUTER, SCALE, _graph("part", INNER, LSTM, reads="scale")), "scale (Rescaling)"),
        (_graph("m", OUTER, SCALE, _sequence("part", INNER, LSTM, reads="scale")), "scale (Rescaling)"),
        (
            _graph("m", OUTER, _sequence("part", SCALE, reads="outer"), _layer("LSTM", "rnn", "part")),
            "part (a model in the model)",
        ),
        (_sequence("m", _sequence("part", OUTER, SCALE), LSTM), "scale (Rescaling)"),
        (_sequence("m", OUTER, _graph("part", INNER, LSTM)), None),
        (_graph("m", OUTER, _graph("part", INNER, LSTM, reads="outer")), None),
        (_sequence("m", OUTER, LSTM), None),
    ],
)
def test_layer_before_a_nested_model_is_seen(model: dict[str, Any], before: str | None) -> None:
    """A weightless layer between the input and the recurrent layer is named, and nothing if there is no such layer."""
    described = layers_of(model)
    wired = wiring(described, {"rnn": described["rnn"]}, {"rnn": ()}, None)
    assert wired.before.get("rnn") == before
