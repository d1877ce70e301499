"""The self-check: every equation evaluated again, in float64, on the recorded values.

Each named signal is recomputed from the recorded values in its equation. A residual therefore names the equation that
does not hold, and an error in one equation does not show in another.

`gatescope.residuals` computes the differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.cells import Cell
from gatescope.display import fields_html, table_html
from gatescope.residuals import Difference, layer_differences
from gatescope.trace import Trace, TraceError

Array = NDArray[Any]

# The largest residual that rounding of the stored values explains. Swapped gates, or gates of the wrong step, give
# residuals of 0.1 and more.
TOLERANCES = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2}
# The largest relative rounding error of a stored value: half of the distance from 1 to the next number.
EPSILONS = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11}


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


def check(
    trace: Trace,
    weights: Mapping[str, Mapping[str, Array]] | None = None,
    *,
    cells: Mapping[str, Cell] | None = None,
) -> Report:
    """Recompute every named signal of a trace in float64, and return the differences.

    Args:
        trace: a trace with drives for a full check. Without drives only some equations can be checked (those of the
            cell and hidden state of an LSTM, say), and the report names the others.
        weights: for each layer the four arrays of `gatescope.engine.Parameters`, from which the drives themselves are
            recomputed (`gatescope.recording.check_with` passes them). The first layer also has "embedding" if the
            network has one.
        cells: for each layer its cell, if it is at hand; otherwise the attributes of the trace are parsed.

    Returns:
        The residuals; a NaN among recorded values counts as an infinite residual.

    Raises:
        TraceError: the first argument is not a trace.
    """
    checked: object = trace
    if not isinstance(checked, Trace):
        raise TraceError("CHECKING_TRACE_TYPE", type=type(checked).__name__)
    precision = str(trace.attributes["precision"])
    tolerance, epsilon = TOLERANCES[precision], EPSILONS[precision]
    residuals: list[Residual] = []
    below: tuple[str, ...] = ()
    level: tuple[str, ...] = ()
    with np.errstate(all="ignore"):
        for layer in trace.layers:
            cell = cells[layer] if cells else Cell.from_json(trace.attributes["layers"][layer]["cell"])
            if level and layer.removesuffix("_reverse") != level[0].removesuffix("_reverse"):
                below, level = level, ()
            own = None if weights is None else weights[layer]
            differences = layer_differences(trace, layer, below, cell, own, tolerance, epsilon)
            residuals += [_residual(layer, name, cell, difference) for name, difference in differences.items()]
            level = (*level, layer)
    return Report(tuple(residuals), tolerance)


def _residual(layer: str, name: str, cell: Cell, difference: Difference) -> Residual:
    formula = cell.formulas[name]
    if difference.missing:
        return Residual(layer, name, formula, None, missing=difference.missing)
    place = (difference.sequence, difference.step, difference.neuron)
    return Residual(layer, name, formula, difference.largest, *place)
