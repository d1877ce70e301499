"""The model of the notebook widget: the view, which the page and Python both change. Needs the extra `notebook`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anywidget
import numpy as np
import traitlets

from gatescope.configuration import Configuration, Layer
from gatescope.engine import clamp
from gatescope.explorer.notebook import WidgetError
from gatescope.names import layer_name, unknown

MAX_HOLDS = 100  # as in web/engine/holds.ts
MAX_FLOAT32 = float(np.finfo(np.float32).max)
HOLD_FIELDS = ("layer", "signal", "neuron", "value", "steps")


class ExplorerWidget(anywidget.AnyWidget):
    """Strips and panel of a network in a notebook. `gatescope.explore` makes it.

    Attributes:
        text: the text that the network reads.
        layer: the name of the layer on the screen; None before the page has chosen one.
        signal: the name of the signal on the screen; None before the page has chosen one.
        neuron: the neuron that is selected; None: no neuron.
        step: the step that is selected, counted over the whole text; None: no step.
        steps: the selected part of the text, as the first step and the step after the last one; None: no selection.
        holds: the signals that are held, one dictionary each: "layer", "signal", "neuron", "value" and "steps", which
            are the first step and the step after the last one, or None for the end of the text.
        height: the largest height, in pixels.
        document: the HTML of the page, a live file.

    Raises:
        WidgetError: a value does not fit the network.
        traitlets.TraitError: a value has the wrong type.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    document = traitlets.Unicode(read_only=True).tag(sync=True)
    title = traitlets.Unicode(read_only=True).tag(sync=True)
    height = traitlets.Int().tag(sync=True)
    text = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    layer = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    signal = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    neuron = traitlets.Int(None, allow_none=True).tag(sync=True)
    step = traitlets.Int(None, allow_none=True).tag(sync=True)
    steps = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=None, allow_none=True).tag(sync=True)
    holds = traitlets.List(traitlets.Dict()).tag(sync=True)

    def __init__(
        self, configuration: Configuration, *, module: str, document: str, title: str, height: int, text: str | None
    ) -> None:
        self._layers: dict[str, Layer] = dict(zip(configuration.names, configuration.layers, strict=True))
        self.set_trait("document", document)
        self.set_trait("title", title)
        super().__init__(_esm=module, height=height, text=text)

    def hold(
        self,
        layer: int | str,
        signal: str,
        neuron: int,
        value: float,
        steps: slice | tuple[int, int | None] | None = None,
    ) -> None:
        """Hold a signal of a neuron at a value, in place of a hold of the same signal over the same steps.

        Args:
            layer: the layer, by its name or number.
            signal: the signal, such as "f".
            neuron: the neuron.
            value: the value.
            steps: the first step and the step after the last one, such as `widget.steps`; or a slice of steps, as in
                `gatescope.clamp`; None: all steps. They are counted over the whole text.

        Raises:
            WidgetError: the network has no such layer, signal or neuron, the value is no number of float32, the steps
                are none of a text, or there are too many holds.
        """
        first, end = _range(steps)
        change = clamp(layer, signal, neuron, value, slice(first, end))  # refuses wrong types with a sentence
        hold = {
            "layer": self._layer_named(change.layer),
            "signal": change.signal,
            "neuron": change.neuron,
            "value": change.shift,
            "steps": [first, end],
        }
        place = ("layer", "signal", "neuron", "steps")
        others = [other for other in self.holds if any(other[name] != hold[name] for name in place)]
        self.holds = [*others, hold]

    def release(self) -> None:
        """Release every signal that is held."""
        self.holds = []

    @traitlets.validate("layer")
    def _check_layer(self, proposal: Mapping[str, Any]) -> str | None:
        layer: str | None = proposal["value"]
        return None if layer is None else self._layer_named(layer)

    @traitlets.validate("signal")
    def _check_signal(self, proposal: Mapping[str, Any]) -> str | None:
        signal: str | None = proposal["value"]
        if signal is not None:
            _check_signal(self._shown_layer, signal)
        return signal

    @traitlets.validate("neuron")
    def _check_neuron(self, proposal: Mapping[str, Any]) -> int | None:
        neuron: int | None = proposal["value"]
        if neuron is not None:
            _check_neuron(self._shown_layer, neuron)
        return neuron

    @traitlets.validate("step")
    def _check_step(self, proposal: Mapping[str, Any]) -> int | None:
        step: int | None = proposal["value"]
        if step is not None and step < 0:
            raise WidgetError("WIDGET_STEP", step=step)
        return step

    @traitlets.validate("steps")
    def _check_steps(self, proposal: Mapping[str, Any]) -> tuple[int, int] | None:
        steps: tuple[int, int] | None = proposal["value"]
        return None if steps is None else _checked_range(*steps)

    @traitlets.validate("holds")
    def _check_holds(self, proposal: Mapping[str, Any]) -> list[dict[str, Any]]:
        holds: list[dict[str, Any]] = proposal["value"]
        if len(holds) > MAX_HOLDS:
            raise WidgetError("WIDGET_HOLDS_TOO_MANY", most=MAX_HOLDS, count=len(holds))
        return [self._checked_hold(hold) for hold in holds]

    def _checked_hold(self, hold: Mapping[str, Any]) -> dict[str, Any]:
        """Return a hold as the page reads it.

        Raises:
            WidgetError: a field is missing, or does not fit the network.
        """
        if set(hold) != set(HOLD_FIELDS):
            raise WidgetError("WIDGET_HOLD_FIELDS", fields=", ".join(HOLD_FIELDS), got=", ".join(hold) or "none")
        name = self._layer_named(hold["layer"])
        _check_signal(self._layers[name], hold["signal"])
        _check_neuron(self._layers[name], hold["neuron"])
        value = float(hold["value"])
        if not np.isfinite(value) or abs(value) > MAX_FLOAT32:
            raise WidgetError("WIDGET_HOLD_VALUE", value=value)
        return {**hold, "layer": name, "value": value, "steps": list(_checked_range(*hold["steps"]))}

    @property
    def _shown_layer(self) -> Layer:
        return self._layers[self.layer or next(iter(self._layers))]

    def _layer_named(self, layer: int | str) -> str:
        """Return the name of a layer.

        Raises:
            WidgetError: the network has no such layer.
        """
        name = layer_name(layer, list(self._layers))
        if name is None:
            raise WidgetError(unknown("Layer", layer, self._layers))
        return name


def _check_signal(layer: Layer, signal: str) -> None:
    """Refuse a signal that a layer does not have.

    Raises:
        WidgetError: there is no such signal.
    """
    if signal not in layer.cell.signals:
        raise WidgetError(unknown("Signal", signal, layer.cell.signals))


def _check_neuron(layer: Layer, neuron: object) -> None:
    """Refuse a neuron that a layer does not have.

    Raises:
        WidgetError: there is no such neuron.
    """
    if not isinstance(neuron, int) or not 0 <= neuron < layer.neurons:
        raise WidgetError("WIDGET_NEURON", last=layer.neurons - 1, neuron=neuron)


def _range(steps: slice | tuple[int, int | None] | None) -> tuple[int, int | None]:
    """Return the first step and the step after the last one.

    Raises:
        WidgetError: the steps are neither, or a slice skips some.
    """
    if steps is None:
        return 0, None
    if isinstance(steps, slice):
        if steps.step not in (None, 1):
            raise WidgetError("WIDGET_STEPS", steps=steps)
        return _checked_range(steps.start or 0, steps.stop)
    if not isinstance(steps, tuple | list) or len(steps) != 2:
        raise WidgetError("WIDGET_STEPS", steps=steps)
    return _checked_range(*steps)


def _checked_range(first: Any, end: Any) -> tuple[Any, Any]:
    """Return the first step and the step after the last one.

    Raises:
        WidgetError: there is no step between them.
    """
    is_count = isinstance(first, int) and (end is None or isinstance(end, int))
    if not is_count or first < 0 or (end is not None and end <= first):
        raise WidgetError("WIDGET_STEPS", steps=(first, end))
    return first, end
