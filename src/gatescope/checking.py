"""The self-check: every equation computed once more, in float64, on the values that were recorded.

Each named signal is recomputed from the recorded values of what its equation uses, so a residual says which equation
does not hold, and an error made at one place does not hide in another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.cells import Cell
from gatescope.equations import Evaluator
from gatescope.trace import Trace, TraceError

Array = NDArray[Any]

# Rounding of the stored values limits how well an equation can hold. Swapped gates, or gates of the wrong step, are
# off by a tenth and more.
TOLERANCES = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2}
# How far a stored value may be from the true one, relative to its size: half of the distance from 1 to the next number.
EPSILONS = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11}
PIECE = 1 << 22  # values of one array that are checked at a time


@dataclass(frozen=True)
class Residual:
    """How far one equation is from what was recorded.

    Attributes:
        layer: "layer0".
        name: the signal or drive.
        formula: its equation.
        largest: the largest |recomputed - recorded| / max(1, |recorded|) over all steps and neurons; None where the
            trace does not hold what the equation uses. Where that is more than the tolerance, what the rounding of
            the recorded values explains is taken off first.
        sequence, step, neuron: where that is.
        missing: what would be needed to check it.
    """

    layer: str
    name: str
    formula: str
    largest: float | None
    sequence: int = -1
    step: int = -1
    neuron: int = -1
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All residuals of a trace.

    Attributes:
        residuals: one for each equation, in the order in which the cells compute them.
        tolerance: what the largest residual may be at the precision in which the trace was recorded.
    """

    residuals: tuple[Residual, ...]
    tolerance: float

    @property
    def largest(self) -> float:
        """The largest residual of any equation that could be checked; 0 when none could."""
        return max((r.largest for r in self.residuals if r.largest is not None), default=0.0)

    @property
    def holds(self) -> bool:
        """Whether every equation that could be checked holds, and at least one could."""
        checked = [r for r in self.residuals if r.largest is not None]
        return bool(checked) and all(r.largest <= self.tolerance for r in checked if r.largest is not None)

    @property
    def unchecked(self) -> tuple[Residual, ...]:
        """The equations that the trace does not hold enough to check."""
        return tuple(r for r in self.residuals if r.largest is None)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        residuals = [vars(residual) for residual in self.residuals]
        return {"holds": self.holds, "largest": self.largest, "tolerance": self.tolerance, "residuals": residuals}


def check(trace: Trace, weights: Mapping[str, Mapping[str, Array]] | None = None) -> Report:
    """Recompute every named signal of a trace in float64 and say how far each is off.

    Args:
        trace: with its drives for a full check; without them only the equations that need none can be checked (the
            cell and hidden state of an LSTM, say), and the report names the others.
        weights: for each layer the four arrays of `gatescope.engine.Parameters`, with which the drives themselves are
            recomputed (`gatescope.recording.check_with` passes them). The first layer's inputs are its symbols
            (one-hot, or the rows of an "embedding" given beside them), or the numbers that were read.

    Returns:
        The residuals; a NaN among recorded values counts as an infinite residual.
    """
    given: object = trace
    if not isinstance(given, Trace):
        raise TraceError("CHECKING_TRACE_TRACE_RECORD_OPEN", name=type(given).__name__)
    precision = str(trace.attributes["precision"])
    found: list[Residual] = []
    below: tuple[str, ...] = ()
    level: tuple[str, ...] = ()
    for layer in trace.layers:
        cell = Cell.from_json(trace.attributes["layers"][layer]["cell"])
        if level and layer.removesuffix("_reverse") != level[0].removesuffix("_reverse"):
            below, level = level, ()
        if weights is not None:
            found += _check_drives(trace, layer, below, cell, weights[layer])
        found += _check_signals(trace, layer, cell, precision)
        level = (*level, layer)
    return Report(tuple(found), TOLERANCES[precision])


def _check_signals(trace: Trace, layer: str, cell: Cell, precision: str) -> list[Residual]:
    arrays, tolerance = trace[layer], TOLERANCES[precision]
    leaves = {name: _leaves(cell, name) for name in cell.signals}
    residuals = []
    for name in cell.signals:
        missing = sorted(key for _, key in leaves[name] if key not in arrays)
        started = trace.initial.get(layer, {})
        missing += sorted(
            f"{key} before step 0" for kind, key in leaves[name] if kind == "state" and key not in started
        )
        if name not in arrays or missing:
            absent = tuple(missing) if name in arrays else (name, *missing)
            residuals.append(Residual(layer, name, cell.formula(name), None, missing=absent))
            continue
        worst, evaluate = _Worst(), _Equation(cell, name)
        for rows, steps in _pieces(arrays[name].shape):
            values = _recorded(trace, layer, leaves[name], rows, steps)
            recorded, recomputed = _float64(arrays[name][rows, steps]), evaluate(values)
            allowance = 0.0
            if _largest(recorded, recomputed) > tolerance:
                allowance = evaluate.rounding(values, EPSILONS[precision])
            worst.see(recorded, recomputed, trace.lengths, rows, steps, allowance)
        residuals.append(Residual(layer, name, cell.formula(name), *worst.result()))
    return residuals


Leaf = tuple[str, str]  # ("signal", "f") of this step, ("state", "c") of the step before, ("drive", "x.i")


def _leaves(cell: Cell, name: str) -> set[Leaf]:
    """What the equation of one signal reads, its parameters aside."""
    tape = cell.tape
    found: set[Leaf] = set()

    def visit(index: int, top: bool) -> None:
        node = tape.nodes[index]
        if not top and index in tape.stops:
            found.add(("signal", tape.stops[index]))
        elif node.kind in ("drive", "state"):
            found.add((node.kind, str(node.label)))
        for argument in node.arguments if top or index not in tape.stops else ():
            visit(argument, False)

    visit(tape.signals[name], True)
    return found


def _recorded(trace: Trace, layer: str, leaves: set[Leaf], rows: slice, steps: slice) -> dict[Leaf, Array]:
    """What was recorded of all that an equation reads, and the layer's parameters."""
    values: dict[Leaf, Array] = {
        ("parameter", key.removeprefix("p.")): _float64(value) for key, value in trace.parameters.get(layer, {}).items()
    }
    for kind, key in leaves:
        before = kind == "state"
        values[kind, key] = (
            _previous(trace, layer, key, rows, steps) if before else _float64(trace[layer][key][rows, steps])
        )
    return values


class _Equation:
    """One equation on recorded values only: every other named signal is replaced by what was recorded of it."""

    def __init__(self, cell: Cell, name: str) -> None:
        self.cell, self.name = cell, name
        self.evaluator = Evaluator(cell.tape, "numpy", np.float64)

    def __call__(self, values: dict[Leaf, Array]) -> Array:
        # What this equation does not read need not have been recorded; its place is taken by NaN, which would show.
        nothing = np.full((1, 1, 1), np.nan)
        signals = self.cell.tape.signals
        own = signals[self.name]
        with np.errstate(all="ignore"):
            return self.evaluator(
                {key: values.get(("drive", key), nothing) for key in self.cell.drives},
                {key: values.get(("parameter", key), nothing) for key in self.cell.tape.parameters},
                {key: values.get(("state", key), nothing) for key in self.cell.states},
                lambda key, value: value if signals[key] == own else values.get(("signal", key), nothing),
            )[self.name]

    def rounding(self, values: dict[Leaf, Array], epsilon: float) -> Array:
        """How far the result can be off because each value it is computed from was rounded.

        The exponential gates of an sLSTM need this: exp(a - b) of two large values that were stored as float16 is
        rightly off by more than any fixed tolerance. Several values that are off at once make more of a difference
        than the sum of what each makes alone, so all are also moved together, each to the side that raises the result
        and then each to the other.
        """
        exact = self(values)
        total = np.zeros_like(exact)
        rising: dict[Leaf, Array] = {}  # 1 where a larger value gives a larger result, -1 where a smaller one does
        with np.errstate(all="ignore"):
            for key, value in values.items():
                change = self({**values, key: value * (1 + epsilon)}) - exact
                rising[key] = np.sign(np.nan_to_num(change))
                total += np.abs(change)
            for side in (epsilon, -epsilon):
                moved = self({key: value * (1 + side * rising[key]) for key, value in values.items()})
                off = np.abs(moved - exact)
                total = np.maximum(total, np.where(np.isfinite(off), off, 0.0))
        return np.where(np.isfinite(total), total, 0.0)


def _previous(trace: Trace, layer: str, state: str, rows: slice, steps: slice) -> Array:
    """The recorded values of the step that was read before, the initial state before the first.

    In a backward direction that is one step later, and the first one read is the last of each sequence.
    """
    array = trace[layer][state]
    started = _float64(trace.initial[layer][state][rows])[:, None]
    if layer.endswith("_reverse"):
        later = _float64(array[rows, steps.start + 1 : steps.stop + 1])
        if later.shape[1] < steps.stop - steps.start:
            later = np.concatenate([later, started], axis=1)
        last = np.arange(steps.start, steps.stop) == np.asarray(trace.lengths)[rows, None] - 1
        return np.where(last[..., None], started, later)
    if steps.start:
        return _float64(array[rows, steps.start - 1 : steps.stop - 1])
    return np.concatenate([started, _float64(array[rows, : steps.stop - 1])], axis=1)


def _check_drives(
    trace: Trace, layer: str, below: tuple[str, ...], cell: Cell, weights: Mapping[str, Array]
) -> list[Residual]:
    arrays = trace[layer]
    residuals = []
    rules = [("x", k, name) for k, name in enumerate(cell.tape.input_drives)]
    rules += [("u", k, name) for k, name in enumerate(cell.tape.recurrent_drives)]
    for source, k, name in rules:
        drive = f"{source}.{name}"
        needed = (drive, "h") if source == "u" else (drive,)
        missing = tuple(key for key in needed if key not in arrays)
        if source == "x":
            missing += tuple(f"{lower} h" for lower in below if "h" not in trace[lower])
        if missing:
            residuals.append(Residual(layer, drive, cell.formula(drive), None, missing=missing))
            continue
        worst = _Worst()
        for rows, steps in _pieces(arrays[drive].shape):
            if source == "u":
                before = _previous(trace, layer, "h", rows, steps)
                recomputed = before @ _float64(weights["recurrent_weights"][k]).T
            else:
                recomputed = _heard(trace, below, weights, k, rows, steps) + _float64(weights["biases"][k])
            worst.see(_float64(arrays[drive][rows, steps]), recomputed, trace.lengths, rows, steps)
        residuals.append(Residual(layer, drive, cell.formula(drive), *worst.result()))
    return residuals


def _heard(
    trace: Trace, below: tuple[str, ...], weights: Mapping[str, Array], k: int, rows: slice, steps: slice
) -> Array:
    """What the input weights of drive k make of a layer's inputs, (S, T, N).

    The inputs are the hidden states of the layer below, the vectors of the symbols, or numbers.
    """
    matrix = _float64(weights["input_weights"][k])
    if below:
        return np.concatenate([_float64(trace[lower]["h"][rows, steps]) for lower in below], axis=2) @ matrix.T
    if "input" in trace.steps:
        return _float64(trace.steps["input"][rows, steps]) @ matrix.T
    # A one-hot vector picks a column of the weights. To write the vectors out takes gigabytes of a large vocabulary.
    table = matrix.T if weights.get("embedding") is None else _float64(weights["embedding"]) @ matrix.T
    token = np.asarray(trace.steps["token"][rows, steps])
    known = (token >= 0) & (token < len(table))
    return table[np.where(known, token, 0)] * known[..., None]


class _Worst:
    """The largest residual seen, and where."""

    def __init__(self) -> None:
        self.largest = 0.0
        self.row = self.step = self.neuron = -1

    def see(
        self,
        recorded: Array,
        recomputed: Array,
        lengths: Array,
        rows: slice,
        steps: slice,
        allowance: Array | float = 0.0,
    ) -> None:
        residual = _residual(recorded, recomputed, allowance)
        residual = np.where(np.isfinite(residual), residual, np.inf)
        inside = np.arange(steps.start, steps.stop) < np.asarray(lengths)[rows, None]
        residual = np.where(inside[..., None], residual, 0.0)
        if residual.size and residual.max() > self.largest:
            row, step, neuron = np.unravel_index(int(residual.argmax()), residual.shape)
            self.largest = float(residual.max())
            self.row, self.step, self.neuron = rows.start + int(row), steps.start + int(step), int(neuron)

    def result(self) -> tuple[float, int, int, int]:
        return self.largest, self.row, self.step, self.neuron


def _residual(recorded: Array, recomputed: Array, allowance: Array | float = 0.0) -> Array:
    """How far off each value is, beyond what is allowed, as a share of it where it is larger than 1."""
    with np.errstate(all="ignore"):
        difference = np.maximum(np.abs(recomputed - recorded) - allowance, 0.0)
        return difference / np.maximum(1.0, np.abs(recorded))


def _largest(recorded: Array, recomputed: Array) -> float:
    """The largest residual where both are numbers."""
    residual = _residual(recorded, recomputed)
    return float(np.max(residual, initial=0.0, where=np.isfinite(residual)))


def _pieces(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """A trace cut so that no piece is large, whatever its size on disk."""
    sequences, length, neurons = shape
    steps = max(1, min(length, PIECE // max(1, neurons)))
    rows = max(1, PIECE // max(1, neurons * steps))
    return [
        (slice(r, min(r + rows, sequences)), slice(t, min(t + steps, length)))
        for r in range(0, sequences, rows)
        for t in range(0, length, steps)
    ]


def _float64(array: Any) -> Array:
    return np.asarray(array, dtype=np.float64)
