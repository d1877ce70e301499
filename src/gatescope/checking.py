"""The self-check: every equation evaluated again, in float64, on the recorded values.

Each named signal is recomputed from the recorded values in its equation. A residual therefore names the equation that
does not hold, and an error in one equation does not show in another.

`S` sequence, `T` step, `N` neuron.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.cells import Cell
from gatescope.display import fields_html, table_html
from gatescope.equations import Evaluator
from gatescope.trace import Trace, TraceError
from gatescope.vocabulary import is_symbol

Array = NDArray[Any]

# The largest residual that rounding of the stored values explains. Swapped gates, or gates of the wrong step, give
# residuals of 0.1 and more.
TOLERANCES = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2}
# The largest relative rounding error of a stored value: half of the distance from 1 to the next number.
EPSILONS = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11}
PIECE_VALUES = 1 << 22  # of one array, checked at a time: bounds memory


@dataclass(frozen=True)
class Residual:
    """The largest difference between one equation and the recorded values.

    Attributes:
        layer: the name of the layer, such as "layer0".
        name: the signal or drive.
        formula: its equation.
        largest: the largest |recomputed - recorded| / max(1, |recorded|) over all steps and neurons; None if the trace
            lacks values of the equation. If it exceeds the tolerance, the rounding error of the recorded values is
            subtracted first.
        sequence: the sequence of the largest difference; -1 if there is none.
        step: its step.
        neuron: its neuron.
        missing: the arrays that the trace lacks.
    """

    layer: str
    name: str
    formula: str
    largest: float | None
    sequence: int = -1
    step: int = -1
    neuron: int = -1
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Report:
    """All residuals of a trace.

    Attributes:
        residuals: one for each equation, in the order in which the cells compute them.
        tolerance: the largest acceptable residual for the precision of the trace.
    """

    residuals: tuple[Residual, ...]
    tolerance: float

    @property
    def largest(self) -> float:
        """The largest residual of any equation that could be checked; 0 if none could."""
        return max((r.largest for r in self.residuals if r.largest is not None), default=0.0)

    @property
    def holds(self) -> bool:
        """Whether every equation that could be checked holds, and at least one could."""
        checked = [r for r in self.residuals if r.largest is not None]
        return bool(checked) and all(r.largest <= self.tolerance for r in checked if r.largest is not None)

    @property
    def unchecked(self) -> tuple[Residual, ...]:
        """The residuals of equations that could not be checked, as the trace lacks some of their values."""
        return tuple(r for r in self.residuals if r.largest is None)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
        residuals = [vars(residual) for residual in self.residuals]
        return {"holds": self.holds, "largest": self.largest, "tolerance": self.tolerance, "residuals": residuals}

    def __repr__(self) -> str:
        return f"<Report {self._verdict}; {len(self.residuals)} equations, {len(self.unchecked)} not checked>"

    def _repr_html_(self) -> str:
        rows = [
            (
                r.layer,
                r.name,
                r.formula,
                "not checked" if r.largest is None else f"{r.largest:.3g}",
                ", ".join(r.missing),
            )
            for r in self.residuals
        ]
        fields = {"result": self._verdict, "tolerance": f"{self.tolerance:g}"}
        header = ("layer", "name", "equation", "largest residual", "missing")
        return fields_html("Report", fields) + table_html(header, rows)

    @property
    def _verdict(self) -> str:
        return f"{'holds' if self.holds else 'does not hold'}, largest residual {self.largest:.3g}"


def check(trace: Trace, weights: Mapping[str, Mapping[str, Array]] | None = None) -> Report:
    """Recompute every named signal of a trace in float64, and return the differences.

    Args:
        trace: a trace with drives for a full check. Without drives only some equations can be checked (those of the
            cell and hidden state of an LSTM, say), and the report names the others.
        weights: for each layer the four arrays of `gatescope.engine.Parameters`, from which the drives themselves are
            recomputed (`gatescope.recording.check_with` passes them). The first layer also has "embedding" if the
            network has one.

    Returns:
        The residuals; a NaN among recorded values counts as an infinite residual.

    Raises:
        TraceError: the first argument is not a trace.
    """
    checked: object = trace
    if not isinstance(checked, Trace):
        raise TraceError("CHECKING_TRACE_TYPE", type=type(checked).__name__)
    precision = str(trace.attributes["precision"])
    residuals: list[Residual] = []
    below: tuple[str, ...] = ()
    level: tuple[str, ...] = ()
    for layer in trace.layers:
        cell = Cell.from_json(trace.attributes["layers"][layer]["cell"])
        if level and layer.removesuffix("_reverse") != level[0].removesuffix("_reverse"):
            below, level = level, ()
        if weights is not None:
            residuals += _check_drives(trace, layer, below, cell, weights[layer])
        residuals += _check_signals(trace, layer, cell, precision)
        level = (*level, layer)
    return Report(tuple(residuals), TOLERANCES[precision])


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
        worst, evaluate = _LargestResidual(), _Equation(cell, name)
        for rows, steps in _pieces(arrays[name].shape):
            values = _recorded(trace, layer, leaves[name], rows, steps)
            recorded, recomputed = _float64(arrays[name][rows, steps]), evaluate(values)
            allowance = 0.0
            if _largest(recorded, recomputed) > tolerance:
                allowance = evaluate.rounding(values, EPSILONS[precision])
            worst.update(recorded, recomputed, trace.lengths, rows, steps, allowance)
        residuals.append(Residual(layer, name, cell.formula(name), *worst.result()))
    return residuals


Leaf = tuple[str, str]  # ("signal", "f") of this step, ("state", "c") of the step before, ("drive", "x.i")


def _leaves(cell: Cell, name: str) -> set[Leaf]:
    """Return the values in the equation of one signal, except its parameters."""
    tape = cell.tape
    leaves: set[Leaf] = set()

    def visit(index: int, top: bool) -> None:
        node = tape.nodes[index]
        if not top and index in tape.stops:
            leaves.add(("signal", tape.stops[index]))
        elif node.kind in ("drive", "state"):
            leaves.add((node.kind, str(node.label)))
        for argument in node.arguments if top or index not in tape.stops else ():
            visit(argument, False)

    visit(tape.signals[name], True)
    return leaves


def _recorded(trace: Trace, layer: str, leaves: set[Leaf], rows: slice, steps: slice) -> dict[Leaf, Array]:
    """Return the recorded values of the leaves of an equation, and the layer's parameters."""
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
    """One equation, in which every other named signal is replaced by its recorded values."""

    def __init__(self, cell: Cell, name: str) -> None:
        self.cell, self.name = cell, name
        self.evaluator = Evaluator(cell.tape, "numpy", np.float64)

    def __call__(self, values: dict[Leaf, Array]) -> Array:
        # Values that this equation does not contain may be missing from the trace; NaN would show if they were used.
        unused = np.full((1, 1, 1), np.nan)
        signals = self.cell.tape.signals
        own = signals[self.name]
        with np.errstate(all="ignore"):
            return self.evaluator(
                {key: values.get(("drive", key), unused) for key in self.cell.drives},
                {key: values.get(("parameter", key), unused) for key in self.cell.tape.parameters},
                {key: values.get(("state", key), unused) for key in self.cell.states},
                lambda key, value: value if signals[key] == own else values.get(("signal", key), unused),
            )[self.name]

    def rounding(self, values: dict[Leaf, Array], epsilon: float) -> Array:
        """Return the error of the result that is explained by the rounding of the recorded values.

        The exponential gates of an sLSTM need this: exp(a - b) of two large values stored as float16 differs by more
        than any fixed tolerance. Several rounding errors together can exceed the sum of their separate effects, so all
        values are also moved together, first in the directions that raise the result, then in the opposite ones.

        Args:
            values: the recorded values.
            epsilon: the largest relative rounding error of a value.
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
    """Return the recorded values of the step that was read before, and the initial state for the first step.

    A layer that reads from the end reads the step after, and starts at the last step of each sequence.
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
        worst = _LargestResidual()
        for rows, steps in _pieces(arrays[drive].shape):
            if source == "u":
                before = _previous(trace, layer, "h", rows, steps)
                recomputed = before @ _float64(weights["recurrent_weights"][k]).T
            else:
                recomputed = _input_products(trace, below, weights, k, rows, steps) + _float64(weights["biases"][k])
            worst.update(_float64(arrays[drive][rows, steps]), recomputed, trace.lengths, rows, steps)
        residuals.append(Residual(layer, drive, cell.formula(drive), *worst.result()))
    return residuals


def _input_products(
    trace: Trace, below: tuple[str, ...], weights: Mapping[str, Array], k: int, rows: slice, steps: slice
) -> Array:
    """Return the products of the inputs of a layer and the input weights of drive k, (S, T, N).

    The inputs are the hidden states of the layers below, the vectors of the symbols, or numbers.
    """
    matrix = _float64(weights["input_weights"][k])
    if below:
        return np.concatenate([_float64(trace[lower]["h"][rows, steps]) for lower in below], axis=2) @ matrix.T
    if "input" in trace.steps:
        return _float64(trace.steps["input"][rows, steps]) @ matrix.T
    # A one-hot vector picks a column of the weights. The vectors themselves would take gigabytes for many symbols.
    table = matrix.T if weights.get("embedding") is None else _float64(weights["embedding"]) @ matrix.T
    token = np.asarray(trace.steps["token"][rows, steps])
    known = is_symbol(token, len(table))
    return table[np.where(known, token, 0)] * known[..., None]


class _LargestResidual:
    """The largest residual of several pieces of a trace, with its sequence, step and neuron."""

    def __init__(self) -> None:
        self.largest = 0.0
        self.row = self.step = self.neuron = -1

    def update(
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
    """Return |recomputed - recorded| beyond the allowance, divided by |recorded| if that is larger than 1."""
    with np.errstate(all="ignore"):
        difference = np.maximum(np.abs(recomputed - recorded) - allowance, 0.0)
        return difference / np.maximum(1.0, np.abs(recorded))


def _largest(recorded: Array, recomputed: Array) -> float:
    """Return the largest finite residual."""
    residual = _residual(recorded, recomputed)
    return float(np.max(residual, initial=0.0, where=np.isfinite(residual)))


def _pieces(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Cut an array into pieces of rows and steps of at most PIECE_VALUES values."""
    sequences, length, neurons = shape
    steps = max(1, min(length, PIECE_VALUES // max(1, neurons)))
    rows = max(1, PIECE_VALUES // max(1, neurons * steps))
    return [
        (slice(r, min(r + rows, sequences)), slice(t, min(t + steps, length)))
        for r in range(0, sequences, rows)
        for t in range(0, length, steps)
    ]


def _float64(array: Any) -> Array:
    return np.asarray(array, dtype=np.float64)
