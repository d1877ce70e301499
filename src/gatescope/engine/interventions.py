"""Changing what a neuron does while the network runs: value <- scale · value + shift."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from operator import index
from typing import Any, TypeGuard

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from gatescope.cells import Cell
from gatescope.errors import GatescopeError
from gatescope.names import named_settings, unknown
from gatescope.trace import Trace

EVERY = slice(None)


class InterventionError(GatescopeError):
    """A change that cannot be made; the message says what is expected."""


@named_settings
@dataclass(frozen=True)
class Intervention:
    """A change of one named signal, applied where the equations compute it.

    Attributes:
        layer: the name of a layer, as in "layer0_reverse" or "0_reverse"; or its number among all layers of the network
            in their order, from 0.
        signal: the signal's name, as in "c".
        neuron: one neuron or a slice of them.
        steps: the steps at which it acts.
        scale: what the value is multiplied by; 0 replaces it.
        shift: what is then added: one number, or an array whose first axis is the step; its other axes, if there are
            any, are broadcast against the rows (where `row` is a slice) and the neurons (where `neuron` is one).
        row: the sequence of the batch on which it acts, or a slice of them.
    """

    layer: int | str
    signal: str
    neuron: int | slice
    steps: slice = field(default_factory=lambda: EVERY)
    scale: float = 0.0
    shift: float | Tensor = 0.0
    row: int | slice = field(default_factory=lambda: EVERY)

    def __post_init__(self) -> None:
        layer = self.layer if isinstance(self.layer, str) else _whole("layer", self.layer, "or its name, as 'layer0'")
        steps = self.steps if isinstance(self.steps, slice) else _whole("steps", self.steps, "or a slice")
        checked = {
            "layer": layer,
            "neuron": self.neuron if isinstance(self.neuron, slice) else _whole("neuron", self.neuron, "or a slice"),
            "row": self.row if isinstance(self.row, slice) else _whole("row", self.row, "or a slice"),
            "steps": steps if isinstance(steps, slice) else slice(steps, steps + 1 or None),
            "scale": _number("scale", self.scale),
            "shift": _values(self.shift),
        }
        if not isinstance(self.signal, str):
            raise InterventionError("INTERVENTIONS_SIGNAL_NAME_SUCH_NAME", signal=self.signal)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def acts(self, step: int, length: int) -> bool:
        """Whether it acts at one of `length` steps."""
        return self.steps == EVERY or step in range(*self.steps.indices(length))

    def apply(self, value: Tensor, step: int) -> None:
        """Change a signal's values (B, N) at a step in place."""
        shift = self.shift[step] if _varies(self.shift) else self.shift
        value[self.row, self.neuron] = value[self.row, self.neuron] * self.scale + shift

    def within(self, start: int, stop: int, length: int) -> Intervention:
        """The same change for a run of the steps `start` to `stop` alone, which is a piece of a run of `length` steps.

        Raises:
            InterventionError: it has values for another number of steps than `length`.
        """
        if self.steps == EVERY and not _varies(self.shift):
            return self
        _check_values(self.shift, length)
        places = range(*self.steps.indices(length))
        if places.step < 0:
            places = places[::-1]
        acting = places[bisect_left(places, start) : bisect_left(places, stop)]
        steps = slice(acting.start - start, acting.stop - start, acting.step) if acting else slice(0, 0)
        shift = self.shift[start:stop] if _varies(self.shift) else self.shift
        return replace(self, steps=EVERY if acting == range(start, stop) else steps, shift=shift)


def clamp(layer: int | str, signal: str, neuron: int | slice, value: float, steps: slice = EVERY) -> Intervention:
    """Hold a signal at a value."""
    return Intervention(layer, signal, neuron, steps, 0.0, value)


def ablate(layer: int | str, signal: str, neuron: int | slice, mean: float = 0.0, steps: slice = EVERY) -> Intervention:
    """Take away what a signal tells: hold it at zero, or at the mean that is given."""
    return Intervention(layer, signal, neuron, steps, 0.0, mean)


def nudge(layer: int | str, signal: str, neuron: int | slice, by: float, steps: slice = EVERY) -> Intervention:
    """Add a number to a signal."""
    return Intervention(layer, signal, neuron, steps, 1.0, by)


def patch(
    layer: int | str, signal: str, neuron: int | slice, values: ArrayLike | Tensor | Trace, steps: slice = EVERY
) -> Intervention:
    """Replace a signal by values recorded elsewhere, one for each step of the run.

    Args:
        layer, signal, neuron: what is replaced.
        values: (T,), an array, a tensor or a list; or, of a slice of neurons, (T, N). Or a trace of one sequence, of
            which the same signal of the same layer and neurons is taken; the layer is then given by its name.
        steps: at which steps; all when not given.

    Raises:
        InterventionError: these are no numbers, or the trace has no such layer, signal or neuron.
    """
    return Intervention(layer, signal, neuron, steps, 0.0, _recorded(values, layer, signal, neuron))


def in_numbered_layers(interventions: Sequence[Intervention], names: Sequence[str]) -> list[Intervention]:
    """Return interventions each of which has the number of its layer.

    Args:
        interventions: as they were given.
        names: those of all layers, in their order.

    Raises:
        InterventionError: there is no such layer.
    """
    found = []
    given: object = interventions
    if not isinstance(given, Sequence) or not all(isinstance(one, Intervention) for one in given):
        raise InterventionError("INTERVENTIONS_INTERVENTIONS_LIST_INTERVENTIONS_SOMETHING", name=type(given).__name__)
    for one in interventions:
        if isinstance(one.layer, str):
            name = next((name for name in (one.layer, f"layer{one.layer}") if name in names), None)
            if name is None:
                raise InterventionError(unknown("Layer of an intervention", one.layer, names))
            one = replace(one, layer=names.index(name))  # noqa: PLW2901
        elif not 0 <= one.layer < len(names):
            raise InterventionError(
                "INTERVENTIONS_INTERVENTION_NAMES_LAYER_NETWORK",
                layer=one.layer,
                value=len(names) - 1,
                names=", ".join(names),
            )
        found.append(one)
    return found


def check_interventions(
    interventions: Sequence[Intervention], cell: Cell, steps: int, rows: int, neurons: int
) -> list[Intervention]:
    """The interventions under the names by which the equations are run: of two names of one quantity, the first.

    Raises:
        InterventionError: one could not act: a signal, neuron or row that is not there, or values for fewer steps.
    """
    found = []
    for one in interventions:
        if one.signal not in cell.signals:
            raise InterventionError(unknown(f"Signal of an intervention on {cell.name}", one.signal, cell.signals))
        for what, place, count in (("neuron", one.neuron, neurons), ("row", one.row, rows)):
            if isinstance(place, int) and not 0 <= place < count:
                raise InterventionError("INTERVENTIONS_INTERVENTION_NAMES", what=what, place=place, value=count - 1)
        _check_values(one.shift, steps)
        found.append(replace(one, signal=cell.tape.stops[cell.tape.signals[one.signal]]))
    return found


def changes_at(interventions: Sequence[Intervention], length: int) -> Callable[[int, str, Tensor], Tensor]:
    """One function of (step, signal, value) that applies all of them, in their order."""

    def change(step: int, signal: str, value: Tensor) -> Tensor:
        acting = [one for one in interventions if one.signal == signal and one.acts(step, length)]
        if not acting:
            return value
        changed = value.clone()  # one copy for all of them: every row of a batch may have its own
        for one in acting:
            one.apply(changed, step)
        return changed

    return change


def scales_and_shifts(
    interventions: Sequence[Intervention], like: Tensor, steps: int, rows: int
) -> dict[str, tuple[Tensor, Tensor]]:
    """All interventions on a signal as one: value <- scale · value + shift, for each signal that has any.

    Args:
        interventions: of one layer, in the order in which they act.
        like: a tensor (_, N) of the wanted type.
        steps: T.
        rows: B.

    Returns:
        Signal -> scale and shift, each (T, B, N), with one step (or row) where all of them are alike.
    """
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for signal in dict.fromkeys(one.signal for one in interventions):
        acting = [one for one in interventions if one.signal == signal]
        same_steps = all(one.steps == EVERY and not _varies(one.shift) for one in acting)
        same_rows = all(one.row == EVERY and not _varies_by_row(one) for one in acting)
        size = (1 if same_steps else steps, 1 if same_rows else rows, like.shape[1])
        scale, shift = like.new_ones(size), like.new_zeros(size)
        for one in acting:
            when = torch.arange(steps)[[0] if same_steps and steps else _places(one.steps, steps)]
            row_places = [0] if same_rows else _places(one.row, rows)
            neuron_places = _places(one.neuron, like.shape[1])
            where = torch.meshgrid(
                when, torch.tensor(row_places).long(), torch.tensor(neuron_places).long(), indexing="ij"
            )
            value = one.shift
            if _varies(value):
                axes = [
                    len(places)
                    for places, of in ((row_places, one.row), (neuron_places, one.neuron))
                    if isinstance(of, slice)
                ]
                value = value.to(like)[when]
                value = value.reshape(len(when), *[1] * (len(axes) + 1 - value.ndim), *value.shape[1:])
                value = value.expand(-1, *axes).reshape(len(when), len(row_places), len(neuron_places))
            scale[where] *= one.scale
            shift[where] = shift[where] * one.scale + value
        found[signal] = scale, shift
    return found


def _check_values(shift: float | Tensor, steps: int) -> None:
    if _varies(shift) and len(shift) != steps:
        raise InterventionError("INTERVENTIONS_INTERVENTION_VALUES_STEPS_RUN", count=len(shift), steps=steps)


def _varies(shift: float | Tensor) -> TypeGuard[Tensor]:
    return isinstance(shift, Tensor) and shift.ndim > 0


def _varies_by_row(one: Intervention) -> bool:
    """Whether the values of an intervention on every row have an axis for the rows."""
    return _varies(one.shift) and one.shift.ndim > (2 if isinstance(one.neuron, slice) else 1)


def _places(which: int | slice, count: int) -> list[int]:
    return [which] if isinstance(which, int) else list(range(count))[which]


def _whole(name: str, given: Any, otherwise: str) -> int:
    """A whole number of any type."""
    try:
        if isinstance(given, bool | np.bool_):
            raise TypeError
        return index(given)
    except TypeError:
        raise InterventionError("INTERVENTIONS_WHOLE_NUMBER", name=name, otherwise=otherwise, given=given) from None


def _number(name: str, given: Any) -> float:
    try:
        number = float(given)
    except (TypeError, ValueError, RuntimeError):
        number = float("nan")
    if math.isnan(number) or isinstance(given, str):
        raise InterventionError("INTERVENTIONS_NUMBER_NUMBER", name=name, given=given)
    return number


def _values(given: Any) -> float | Tensor:
    """A number, or values whose first axis is the step, of any type."""
    if isinstance(given, Tensor):
        return given
    if isinstance(given, int | float | np.number) and not isinstance(given, bool):
        return _number("The value of an intervention", given)
    try:
        array = np.asarray(given)
        if array.dtype.kind not in "iuf":
            raise TypeError
    except (TypeError, ValueError):
        raise InterventionError(
            "INTERVENTIONS_VALUE_INTERVENTION_NUMBERS_NUMBER", name=type(given).__name__, given=given
        ) from None
    return torch.from_numpy(array.astype(np.float64)) if array.ndim else float(array)


def _recorded(values: Any, layer: int | str, signal: str, neuron: int | slice) -> Any:
    """The values of a trace, (T,) or (T, N); anything else as it is."""
    if not isinstance(values, Trace):
        return values
    if len(values.lengths) != 1:
        raise InterventionError("INTERVENTIONS_TRACE_PATCH_SEQUENCE_TRACE", count=len(values.lengths))
    name = layer if layer in values.layers else f"layer{layer}"
    signals = values[list(values.layers)[layer] if isinstance(layer, int) and layer < len(values.layers) else str(name)]
    array = np.asarray(signals[signal][0, : int(values.lengths[0])])
    if isinstance(neuron, int) and not 0 <= neuron < array.shape[1]:
        raise InterventionError("INTERVENTIONS_TRACE_NEURONS_NEURON", value=array.shape[1] - 1, neuron=neuron)
    return array[:, neuron]
