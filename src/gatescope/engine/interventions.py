"""Changes of the signals of neurons while the network runs: value <- scale · value + shift.

An intervention acts on one named signal of a layer, at the point where the equations compute it. Everything that is
computed later reads the changed value: other signals of the same step, the next step, and the layers above. So a change
of "c" of an LSTM moves its "h"; a change of a gate moves its "c". Two names of one quantity are changed together.

Several interventions on a signal act in the order of the list. If `steps`, `neuron` or `row` are slices, a change acts
on all that they select. The equation of a changed signal does not hold there, and the residual of a trace shows that.
`clamp`, `ablate`, `nudge` and `patch` make the usual ones.

`T` step, `B` row of the batch, `N` neuron.
"""

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
from gatescope.names import layer_name, named_settings, unknown
from gatescope.trace import Trace

EVERY = slice(None)


class InterventionError(GatescopeError):
    """An intervention that cannot be made; the message names the expected value."""


@named_settings
@dataclass(frozen=True)
class Intervention:
    """A change of one named signal.

    Attributes:
        layer: the name of a layer, such as "layer0_reverse"; or its number, if the network reads in one direction.
        signal: the name of the signal, such as "c".
        neuron: one neuron, or a slice of neurons.
        steps: one step, or a slice of steps.
        scale: the factor of the value; 0 replaces the value by the shift.
        shift: the number that is added; or an array whose first axis is the step. Further axes are broadcast against
            the rows (if `row` is a slice) and the neurons (if `neuron` is a slice).
        row: one sequence of the batch, or a slice of sequences.

    Raises:
        InterventionError: a value has the wrong type.
    """

    layer: int | str
    signal: str
    neuron: int | slice
    steps: slice = field(default_factory=lambda: EVERY)
    scale: float = 0.0
    shift: float | Tensor = 0.0
    row: int | slice = field(default_factory=lambda: EVERY)

    def __post_init__(self) -> None:
        steps = _index_or_slice("steps", self.steps)
        checked = {
            "layer": self.layer if isinstance(self.layer, str) else _layer_number(self.layer),
            "neuron": _index_or_slice("neuron", self.neuron),
            "row": _index_or_slice("row", self.row),
            "steps": steps if isinstance(steps, slice) else slice(steps, steps + 1 or None),
            "scale": _number("scale", self.scale),
            "shift": _shift(self.shift),
        }
        if not isinstance(self.signal, str):
            raise InterventionError("INTERVENTION_SIGNAL_TYPE", signal=self.signal)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def acts(self, step: int, length: int) -> bool:
        """Return whether the change acts at a step of a run of `length` steps."""
        return self.steps == EVERY or step in range(*self.steps.indices(length))

    def apply(self, value: Tensor, step: int) -> None:
        """Change the values (B, N) of a signal at one step, in place."""
        shift = self.shift[step] if _varies(self.shift) else self.shift
        rows, neurons = _indices(self.row, value.shape[0]), _indices(self.neuron, value.shape[1])
        if isinstance(rows, Tensor) and isinstance(neurons, Tensor):
            rows = rows[:, None]  # every row with every neuron
        value[rows, neurons] = value[rows, neurons] * self.scale + shift

    def within(self, start: int, stop: int, length: int) -> Intervention:
        """Return the same change for one piece of a run.

        Args:
            start: the first step of the piece.
            stop: the step after the last one of the piece.
            length: the number of steps of the whole run.

        Raises:
            InterventionError: the change has values for another number of steps than `length`.
        """
        if self.steps == EVERY and not _varies(self.shift):
            return self
        _check_step_count(self.shift, length)
        selected = range(*self.steps.indices(length))
        if selected.step < 0:
            selected = selected[::-1]
        acting = selected[bisect_left(selected, start) : bisect_left(selected, stop)]
        steps = slice(acting.start - start, acting.stop - start, acting.step) if acting else slice(0, 0)
        shift = self.shift[start:stop] if _varies(self.shift) else self.shift
        return replace(self, steps=EVERY if acting == range(start, stop) else steps, shift=shift)


def clamp(layer: int | str, signal: str, neuron: int | slice, value: float, steps: slice = EVERY) -> Intervention:
    """Return an intervention that holds a signal at a value.

    Args:
        layer: the layer, by its name or number.
        signal: the signal.
        neuron: the neuron, or a slice of neurons.
        value: the value.
        steps: the steps at which the signal is changed.

    Raises:
        InterventionError: an argument has the wrong type.
    """
    return Intervention(layer, signal, neuron, steps, 0.0, value)


def ablate(layer: int | str, signal: str, neuron: int | slice, mean: float = 0.0, steps: slice = EVERY) -> Intervention:
    """Return an intervention that removes the information in a signal by holding it at zero, or at its mean.

    Args:
        layer: the layer, by its name or number.
        signal: the signal.
        neuron: the neuron, or a slice of neurons.
        mean: the value at which the signal is held.
        steps: the steps at which the signal is changed.

    Raises:
        InterventionError: an argument has the wrong type.
    """
    return Intervention(layer, signal, neuron, steps, 0.0, mean)


def nudge(layer: int | str, signal: str, neuron: int | slice, by: float, steps: slice = EVERY) -> Intervention:
    """Return an intervention that adds a number to a signal.

    Args:
        layer: the layer, by its name or number.
        signal: the signal.
        neuron: the neuron, or a slice of neurons.
        by: the number that is added.
        steps: the steps at which the signal is changed.

    Raises:
        InterventionError: an argument has the wrong type.
    """
    return Intervention(layer, signal, neuron, steps, 1.0, by)


def patch(
    layer: int | str, signal: str, neuron: int | slice, values: ArrayLike | Tensor | Trace, steps: slice = EVERY
) -> Intervention:
    """Return an intervention that replaces a signal by values from another run, one for each step.

    Args:
        layer: the layer, by its name or number.
        signal: the signal that is replaced.
        neuron: the neuron, or a slice of neurons.
        values: (T,), as an array, a tensor or a list; (T, N) for a slice of neurons. Or a trace of one sequence, from
            which the same signal of the same layer and neurons is taken.
        steps: the steps at which the signal is replaced.

    Raises:
        InterventionError: the values are not numbers, or the trace has no such neuron or more than one sequence.
        TraceError: the trace has no such layer or signal.
    """
    return Intervention(layer, signal, neuron, steps, 0.0, _from_trace(values, layer, signal, neuron))


def in_named_layers(interventions: Sequence[Intervention], names: Sequence[str]) -> list[Intervention]:
    """Return interventions whose layers are given by their full names.

    Args:
        interventions: changes, whose layers are names or numbers.
        names: the names of all layers.

    Raises:
        InterventionError: there is no such layer, or a number means two layers.
    """
    checked: object = interventions
    if not isinstance(checked, Sequence) or not all(isinstance(change, Intervention) for change in checked):
        raise InterventionError("INTERVENTION_LIST_TYPE", type=type(checked).__name__)
    named = []
    for change in interventions:
        name = layer_name(change.layer, names)
        if name is None:
            raise InterventionError(unknown("Layer of an intervention", change.layer, names))
        named.append(change if name == change.layer else replace(change, layer=name))
    return named


def check_interventions(
    interventions: Sequence[Intervention], cell: Cell, steps: int, rows: int, neurons: int
) -> list[Intervention]:
    """Return interventions under the signal names that the engines use: the first of several names of one quantity.

    Args:
        interventions: the changes of one layer.
        cell: the cell of the layer.
        steps: T.
        rows: B.
        neurons: N.

    Raises:
        InterventionError: a signal, neuron or row does not exist, or there are values for another number of steps.
    """
    checked = []
    for change in interventions:
        if change.signal not in cell.signals:
            raise InterventionError(unknown(f"Signal of an intervention on {cell.name}", change.signal, cell.signals))
        for kind, place, count in (("neuron", change.neuron, neurons), ("row", change.row, rows)):
            if isinstance(place, int) and not 0 <= place < count:
                raise InterventionError("INTERVENTION_PLACE_RANGE", kind=kind, place=place, last=count - 1)
        _check_step_count(change.shift, steps)
        checked.append(replace(change, signal=cell.tape.stops[cell.tape.signals[change.signal]]))
    return checked


def changes_at(interventions: Sequence[Intervention], length: int) -> Callable[[int, str, Tensor], Tensor]:
    """Return one function of (step, signal, value) that applies all interventions in their order."""

    def change_value(step: int, signal: str, value: Tensor) -> Tensor:
        acting = [change for change in interventions if change.signal == signal and change.acts(step, length)]
        if not acting:
            return value
        changed = value.clone()  # one copy for all changes: every row of a batch may have its own
        for change in acting:
            change.apply(changed, step)
        return changed

    return change_value


def scales_and_shifts(
    interventions: Sequence[Intervention], like: Tensor, steps: int, rows: int
) -> dict[str, tuple[Tensor, Tensor]]:
    """Join all interventions on a signal into one: value <- scale · value + shift.

    Args:
        interventions: the changes of one layer, in the order in which they act.
        like: a tensor (_, N) of the dtype and device to use.
        steps: T.
        rows: B.

    Returns:
        Signal -> scale and shift, each (T, B, N), for each signal with an intervention. The size of the first or second
        axis is 1 if all steps or rows are alike.
    """
    joined: dict[str, tuple[Tensor, Tensor]] = {}
    for signal in dict.fromkeys(change.signal for change in interventions):
        acting = [change for change in interventions if change.signal == signal]
        same_steps = all(change.steps == EVERY and not _varies(change.shift) for change in acting)
        same_rows = all(change.row == EVERY and not _varies_by_row(change) for change in acting)
        size = (1 if same_steps else steps, 1 if same_rows else rows, like.shape[1])
        scale, shift = like.new_ones(size), like.new_zeros(size)
        for change in acting:
            step_places = torch.arange(steps)[[0] if same_steps and steps else _places(change.steps, steps)]
            row_places = [0] if same_rows else _places(change.row, rows)
            neuron_places = _places(change.neuron, like.shape[1])
            where = torch.meshgrid(
                step_places, torch.tensor(row_places).long(), torch.tensor(neuron_places).long(), indexing="ij"
            )
            value = change.shift
            if _varies(value):
                axes = [
                    len(places)
                    for places, selection in ((row_places, change.row), (neuron_places, change.neuron))
                    if isinstance(selection, slice)
                ]
                value = value.to(like)[step_places]
                value = value.reshape(len(step_places), *[1] * (len(axes) + 1 - value.ndim), *value.shape[1:])
                value = value.expand(-1, *axes).reshape(len(step_places), len(row_places), len(neuron_places))
            scale[where] *= change.scale
            shift[where] = shift[where] * change.scale + value
        joined[signal] = scale, shift
    return joined


def _check_step_count(shift: float | Tensor, steps: int) -> None:
    if _varies(shift) and len(shift) != steps:
        raise InterventionError("INTERVENTION_STEP_COUNT", count=len(shift), steps=steps)


def _varies(shift: float | Tensor) -> TypeGuard[Tensor]:
    """Return whether there is a value for each step."""
    return isinstance(shift, Tensor) and shift.ndim > 0


def _varies_by_row(change: Intervention) -> bool:
    """Return whether the values of an intervention on every row have an axis for the rows."""
    return _varies(change.shift) and change.shift.ndim > (2 if isinstance(change.neuron, slice) else 1)


def _places(selection: int | slice, count: int) -> list[int]:
    return [selection] if isinstance(selection, int) else list(range(count))[selection]


def _indices(selection: int | slice, count: int) -> int | slice | Tensor:
    """Return a selection as tensors take it: they have no slices that count down."""
    if isinstance(selection, slice) and (selection.step or 1) < 0:
        return torch.tensor(_places(selection, count), dtype=torch.long)
    return selection


def _is_truth_value(value: object) -> bool:
    return isinstance(value, bool | np.bool_)


def _layer_number(value: Any) -> int:
    try:
        if _is_truth_value(value):
            raise TypeError
        return index(value)
    except TypeError:
        raise InterventionError("INTERVENTION_LAYER_TYPE", layer=value) from None


def _index_or_slice(name: str, value: Any) -> int | slice:
    if isinstance(value, slice):
        return value
    try:
        if _is_truth_value(value):
            raise TypeError
        return index(value)
    except TypeError:
        raise InterventionError("INTERVENTION_INDEX_TYPE", name=name, value=value) from None


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        number = float("nan")
    if math.isnan(number) or isinstance(value, str):
        raise InterventionError("INTERVENTION_NUMBER", name=name, value=value)
    return number


def _shift(value: Any) -> float | Tensor:
    """Return a number as a float, and values whose first axis is the step as a tensor."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return _number("The value of an intervention", value)
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "iuf":
            raise TypeError
    except (TypeError, ValueError):
        raise InterventionError("INTERVENTION_SHIFT_TYPE", type=type(value).__name__, value=value) from None
    return torch.from_numpy(array.astype(np.float64)) if array.ndim else float(array)


def _from_trace(values: Any, layer: int | str, signal: str, neuron: int | slice) -> Any:
    """Return the values of a trace, (T,) or (T, N); anything other than a trace as it is."""
    if not isinstance(values, Trace):
        return values
    if len(values.lengths) != 1:
        raise InterventionError("INTERVENTION_TRACE_SEQUENCES", count=len(values.lengths))
    array = np.asarray(values[layer][signal][0, : int(values.lengths[0])])
    if isinstance(neuron, int) and not 0 <= neuron < array.shape[1]:
        raise InterventionError("INTERVENTION_TRACE_NEURON", last=array.shape[1] - 1, neuron=neuron)
    return array[:, neuron]
