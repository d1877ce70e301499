"""Changing what a neuron does while the network runs: value <- scale · value + shift."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from gatescope.cells import Cell

EVERY = slice(None)


@dataclass(frozen=True)
class Intervention:
    """A change of one named signal, applied where the equations compute it.

    Attributes:
        layer: which layer of the network, from 0.
        signal: the signal's name, as in "c".
        neuron: one neuron or a slice of them.
        steps: the steps at which it acts.
        scale: what the value is multiplied by; 0 replaces it.
        shift: what is then added: one number, or an array with one number per step.
        row: the sequence of the batch on which it acts, or a slice of them.
    """

    layer: int
    signal: str
    neuron: int | slice
    steps: slice = field(default_factory=lambda: EVERY)
    scale: float = 0.0
    shift: float | Tensor = 0.0
    row: int | slice = field(default_factory=lambda: EVERY)

    def apply(self, value: Tensor, step: int, length: int) -> Tensor:
        """The changed copy of a signal's values (B, N) at one of `length` steps; the input where it does not act."""
        if step not in range(*self.steps.indices(length)):
            return value
        shift = self.shift[step] if isinstance(self.shift, Tensor) and self.shift.ndim else self.shift
        changed = value.clone()
        changed[self.row, self.neuron] = value[self.row, self.neuron] * self.scale + shift
        return changed


def clamp(layer: int, signal: str, neuron: int | slice, value: float, steps: slice = EVERY) -> Intervention:
    """Hold a signal at a value."""
    return Intervention(layer, signal, neuron, steps, 0.0, value)


def ablate(layer: int, signal: str, neuron: int | slice, mean: float = 0.0, steps: slice = EVERY) -> Intervention:
    """Take away what a signal tells: hold it at zero, or at the mean that is given."""
    return Intervention(layer, signal, neuron, steps, 0.0, mean)


def nudge(layer: int, signal: str, neuron: int | slice, by: float, steps: slice = EVERY) -> Intervention:
    """Add a number to a signal."""
    return Intervention(layer, signal, neuron, steps, 1.0, by)


def patch(layer: int, signal: str, neuron: int | slice, values: Tensor, steps: slice = EVERY) -> Intervention:
    """Replace a signal by values recorded elsewhere, one for each step of the run."""
    return Intervention(layer, signal, neuron, steps, 0.0, values)


def check_interventions(
    interventions: Sequence[Intervention], cell: Cell, steps: int, rows: int, neurons: int
) -> list[Intervention]:
    """The interventions under the names by which the equations are run: of two names of one quantity, the first.

    Raises:
        ValueError: one of them could not act: a signal, neuron or row that is not there, or values for fewer steps.
    """
    found = []
    for one in interventions:
        if one.signal not in cell.signals:
            raise ValueError(
                f"an intervention names the signal {one.signal!r}; the cell {cell.name} has {', '.join(cell.signals)}."
            )
        for what, place, count in (("neuron", one.neuron, neurons), ("row", one.row, rows)):
            if isinstance(place, int) and not 0 <= place < count:
                raise ValueError(f"an intervention names the {what} {place}; there are 0 to {count - 1}.")
        if isinstance(one.shift, Tensor) and one.shift.ndim and len(one.shift) != steps:
            raise ValueError(f"an intervention has values for {len(one.shift)} steps; the run has {steps} steps.")
        found.append(replace(one, signal=cell.tape.stops[cell.tape.signals[one.signal]]))
    return found


def changes_at(interventions: Sequence[Intervention], length: int) -> Callable[[int, str, Tensor], Tensor]:
    """One function of (step, signal, value) that applies all of them, in their order."""

    def change(step: int, signal: str, value: Tensor) -> Tensor:
        for intervention in interventions:
            if intervention.signal == signal:
                value = intervention.apply(value, step, length)
        return value

    return change
