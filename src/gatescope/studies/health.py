"""Which neurons work, which are idle, and for how long does each one remember?

Before asking what a neuron means, one should know whether it does anything. A neuron whose output never moves, or that
copies another neuron, is lost capacity; a gate that is always closed is a hint at a bad initialisation or learning
rate; and the time constants show whether the network can bridge the distances that its task needs at all.

The saturation of a gate is the share of steps at which it is nearly closed (below 0.1) and nearly open (above 0.9), as
in Karpathy, Johnson and Fei-Fei, "Visualizing and understanding recurrent networks", 2015, figure 3.

The retention of a neuron is the direct derivative of its memory by its memory one step earlier, with the drives held
fixed: f of an LSTM, z of a GRU. It is derived from the equations of the cell, so it is defined for every cell with such
a memory. The time constant is the number of steps after which a content has shrunk to 1/e at the recorded retentions,
-1 / (mean of ln |retention|). This is T = -1 / ln f of Mahto, Vo, Turek and Huth, "Multi-timescale representation
learning in LSTM language models", 2021, with the geometric mean of f, because a content is multiplied by one f after
the other. For an sLSTM it is that of the stabilised cell state c, whose scale moves with the stabiliser m. h reads
c / n, in which this scale cancels, so its time constants mean less.

`P` place, `N` neuron.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.cells import Cell
from gatescope.equations import OPERATIONS, Node, reverse
from gatescope.equations.operations import JUMPS
from gatescope.messages import Message
from gatescope.studies.common.arrays import blocks, in_pieces, of_neurons, signal_of
from gatescope.studies.common.table import StudyError, Table
from gatescope.trace import Trace

CLOSED, OPEN = 0.1, 0.9  # a gate below CLOSED or above OPEN is saturated
ALWAYS = 0.99  # share of steps from which on a gate counts as always saturated
STILL = 1e-3  # standard deviation below which a signal counts as constant
ALIKE = 0.99  # |correlation| from which on two neurons count as equal
MIN_RETENTION = 1e-7  # smaller retentions are raised to this: float16 has none, and a single 0 would hide all others

Array = NDArray[np.float64]


def saturation(trace: Trace) -> Table:
    """Compute how often each gate of each neuron is nearly closed and nearly open.

    A gate is a signal other than h that is between 0 and 1 by its equation.

    Returns:
        A row for each layer, gate and neuron: "left" is the share of steps at which the gate is below 0.1, "right" the
        share above 0.9. Steps with NaN count as neither.
    """
    rows = [
        {"layer": layer, "gate": gate, "title": title, "neuron": neuron, "left": left, "right": right}
        for layer in trace.layers
        for gate, title in _gates(trace, layer).items()
        for neuron, (left, right) in enumerate(zip(*_saturation(trace, layer, gate), strict=True))
    ]
    titles = {
        "layer": "layer",
        "gate": "gate",
        "title": "name of the gate",
        "neuron": "neuron",
        "left": f"share of steps below {CLOSED}",
        "right": f"share of steps above {OPEN}",
    }
    return Table.of(rows, titles, steps=int(np.sum(trace.lengths)))


def health(trace: Trace) -> Table:
    """Judge each neuron: idle, equal to another neuron, gates that never move, time constant.

    Returns:
        A row for each layer and neuron.

        - "deviation": the standard deviation of h. "memory_deviation": that of the memory (c of an LSTM, h of a GRU
          and of a cell without a memory).
        - "twin": the first other neuron whose h has a correlation of at least 0.99 or at most -0.99 with this one;
          -1 if there is none. Constant neurons have none. "correlation": the correlation with the twin.
        - "retention": the geometric mean of the share of the memory that is kept in a step. NaN if a cell has a
          memory only through its recurrent drives (an Elman network), or if the trace lacks signals: see `about`.
        - "time_constant": in steps, as this module defines it; infinite if nothing is forgotten. The precision of a
          stored trace limits it: float16 has no gate between 0.9998 and 1.
        - "findings": what is unusual, as codes separated by spaces; "" if nothing is. A code about a gate ends in a
          colon and the gate's signal, as in "HEALTH_GATE_OPEN:f".
        - "verdict": the findings in words; "ordinary" if there are none.

    Raises:
        StudyError: the trace lacks h or the memory of a layer.
    """
    rows: list[dict[str, Any]] = []
    memories: dict[str, Any] = {}
    for layer in trace.layers:
        derivative = _derivative_of(trace, layer)
        memories[layer] = {
            "memory": derivative.memory,
            "retention": derivative.formula,
            "missing": list(derivative.missing),
        }
        output = _moments(trace, layer, "h")
        memory = output if derivative.memory in ("", "h") else _moments(trace, layer, derivative.memory)
        twins, correlations = _twins(trace, layer, output)
        logarithm = _mean_log(trace, layer, derivative)
        titles_of_gates = _gates(trace, layer)
        gates = [(gate, *_saturation(trace, layer, gate)) for gate in titles_of_gates]
        for k in range(len(output.mean)):
            row = {
                "layer": layer,
                "neuron": k,
                "deviation": float(output.deviation[k]),
                "memory_deviation": float(memory.deviation[k]),
                "twin": int(twins[k]),
                "correlation": float(correlations[k]),
                "retention": float(np.exp(logarithm[k])),
                "time_constant": np.inf if logarithm[k] >= 0 else float(-1 / logarithm[k]),
            }
            shares = [(gate, float(left[k]), float(right[k])) for gate, left, right in gates]
            findings = _findings(row, output, memory, shares)
            rows.append(
                {**row, "findings": " ".join(findings), "verdict": verdict(findings, row["twin"], titles_of_gates)}
            )
    titles = {
        "layer": "layer",
        "neuron": "neuron",
        "deviation": "standard deviation of h",
        "memory_deviation": "standard deviation of the memory",
        "twin": "neuron with the same h (-1: none)",
        "correlation": "correlation with it",
        "retention": "share of the memory kept in a step (geometric mean)",
        "time_constant": "steps until the memory has shrunk to 1/e",
        "findings": "codes of what is unusual",
        "verdict": "verdict",
    }
    return Table.of(rows, titles, layers=memories, still=STILL, alike=ALIKE, always=ALWAYS)


def verdict(findings: Sequence[str], twin: int, gates: Mapping[str, str]) -> str:
    """Return the findings about a neuron in words, in the language of the messages.

    Args:
        findings: codes, as in the column "findings" of `health`.
        twin: the neuron that it duplicates or mirrors.
        gates: signal -> name of the gate.
    """
    parts = []
    for finding in findings:
        code, _, gate = finding.partition(":")
        # A sentence ignores the values that it does not name.
        parts.append(str(Message(code, gate=gates.get(gate), twin=twin)))
    return ", ".join(parts) or str(Message("HEALTH_ORDINARY"))


def retention(trace: Trace, layer: str, neurons: slice = slice(None)) -> Array:
    """Compute the share of its memory that each neuron keeps in each step: d c_t / d c_{t-1} of an LSTM.

    Args:
        trace: a trace in memory or on disk.
        layer: the layer, such as "layer0".
        neurons: the neurons.

    Returns:
        (N, P), along the places of `gatescope.studies.Steps`. Values may leave the range from 0 to 1 if gates read the
        memory (peepholes).

    Raises:
        TraceError: the trace has no such layer.
        StudyError: the cell has no such derivative, or the trace lacks the signals that it reads.
    """
    signal_of(trace, layer, "h")
    derivative = _derivative_of(trace, layer)
    if not derivative.memory:
        raise StudyError("HEALTH_CELL_WITHOUT_MEMORY", layer=layer)
    if derivative.missing:
        raise StudyError(
            "HEALTH_SIGNALS_MISSING", formula=derivative.formula, layer=layer, signals=", ".join(derivative.missing)
        )
    return _evaluated(trace, layer, derivative, neurons)


@dataclass(frozen=True)
class _Derivative:
    """The direct derivative of a layer's memory by itself one step earlier.

    Attributes:
        memory: the state that the neuron keeps; "" if it is kept only through the recurrent drives.
        formula: the derivative as text, such as "d c / d c₋₁"; "" without a memory.
        lines: the nodes of the derivative in order of computation, the result last. Zero terms are left out.
        missing: the arrays that the derivative reads and the trace lacks.
    """

    memory: str
    formula: str
    lines: tuple[tuple[int, Node], ...]
    missing: tuple[str, ...]

    def leaves(self) -> Iterator[tuple[int, str, str]]:
        """Yield the number, kind and name of each line that is read from the trace."""
        for index, node in self.lines:
            if node.kind in ("signal", "before", "state", "drive", "parameter"):
                yield index, node.kind, str(node.label)


def _derivative_of(trace: Trace, layer: str) -> _Derivative:
    """Return the derivative that the retention of a layer is computed from.

    The reverse derivative of the cell's tape gives dL/d(state one step earlier) from the dL/d(signal) of all signals.
    With 1 for the memory and 0 for every other signal, this is the derivative of the memory, exact at each step.
    """
    tape = Cell.from_json(trace.attributes["layers"][layer]["cell"]).tape
    own = [str(node.label) for node in tape.nodes if node.kind == "state"]
    if not own:
        return _Derivative("", "", (), ())
    memory = next((name for name in ("c", "h") if name in own), own[0])
    backward = reverse(tape)
    zero: list[bool] = []
    for node in backward.nodes:
        zero_arguments = [zero[k] for k in node.arguments]
        if node.kind == "gradient":
            zero.append(node.label != memory)
        elif node.kind == "constant":
            zero.append(node.label == 0.0)
        elif node.kind == "multiply":
            zero.append(any(zero_arguments))
        elif node.kind == "divide":
            zero.append(zero_arguments[0])
        else:
            zero.append(node.kind in ("add", "subtract", "negate", "back") and all(zero_arguments))
    result = backward.states[memory]
    needed = {result}
    for index in range(result, -1, -1):
        if index in needed and not zero[index]:
            needed.update(backward.nodes[index].arguments)
    lines = tuple((k, Node("constant", (), 0.0) if zero[k] else backward.nodes[k]) for k in sorted(needed))
    derivative = _Derivative(memory, f"d {memory} / d {memory}₋₁", lines, ())
    read = [(kind, name) for _, kind, name in derivative.leaves()]
    parameters, initial = trace.parameters.get(layer, {}), trace.initial.get(layer, {})
    missing = [name for kind, name in read if kind != "parameter" and name not in trace[layer]]
    missing += [f"{name} before step 0" for kind, name in read if kind == "state" and name not in initial]
    missing += [f"p.{name}" for kind, name in read if kind == "parameter" and f"p.{name}" not in parameters]
    return _Derivative(memory, derivative.formula, lines, tuple(sorted(set(missing))))


def _evaluated(trace: Trace, layer: str, derivative: _Derivative, neurons: slice) -> Array:
    """Evaluate the derivative on the recorded values of some neurons, at every place, (N, P)."""
    values: dict[int, NDArray[Any]] = {}
    for index, kind, name in derivative.leaves():
        if kind == "parameter":
            values[index] = np.asarray(trace.parameters[layer][f"p.{name}"][neurons], dtype=np.float64)[:, None]
            continue
        values[index] = of_neurons(trace, layer, name, neurons)
        if kind == "state":
            values[index] = _earlier(trace, layer, name, neurons, values[index])
    with np.errstate(all="ignore"):
        for index, node in derivative.lines:
            arguments = [values[k] for k in node.arguments if k in values]
            if node.kind in OPERATIONS or node.kind in JUMPS:
                values[index] = np.asarray((OPERATIONS.get(node.kind) or JUMPS[node.kind]).numpy(*arguments))
            elif node.kind == "back":  # interventions are not recorded, so a signal has the value of its equation
                values[index] = arguments[0]
            elif node.kind in ("constant", "gradient"):
                values[index] = np.full((1, 1), node.label if node.kind == "constant" else 1.0)
    width = len(range(*neurons.indices(signal_of(trace, layer, derivative.memory).shape[2])))
    return np.broadcast_to(values[derivative.lines[-1][0]], (width, int(np.sum(trace.lengths))))


def _earlier(trace: Trace, layer: str, state: str, neurons: slice, values: Array) -> Array:
    """Return a state one step earlier, (N, P)."""
    lengths = np.asarray(trace.lengths, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    earlier = np.empty_like(values)
    earlier[:, 1:] = values[:, :-1]
    some = lengths > 0
    earlier[:, starts[some]] = np.asarray(trace.initial[layer][state][:, neurons], dtype=np.float64)[some].T
    return earlier


def _mean_log(trace: Trace, layer: str, derivative: _Derivative) -> Array:
    """Compute the mean of ln |retention| of each neuron over all places, (N,); NaN if it is not known."""
    neurons, places = signal_of(trace, layer, "h").shape[2], int(np.sum(trace.lengths))
    if not derivative.lines or derivative.missing:
        return np.full(neurons, np.nan)
    means = [
        _mean(np.log(np.maximum(np.abs(_evaluated(trace, layer, derivative, block)), MIN_RETENTION)))
        for block in blocks(neurons, places)
    ]
    return np.concatenate([np.zeros(0), *means])


@dataclass(frozen=True)
class _Moments:
    """Moments and extremes of a signal for each neuron, (N,) each.

    Attributes:
        mean: the mean.
        deviation: the standard deviation.
        smallest: the smallest value.
        largest: the largest value.
        broken: the number of steps whose value is not finite.
    """

    mean: Array
    deviation: Array
    smallest: Array
    largest: Array
    broken: Array

    def constant(self, neuron: int) -> bool:
        """Test whether a neuron has one value at all steps."""
        return bool(self.smallest[neuron] == self.largest[neuron])


def _moments(trace: Trace, layer: str, signal: str) -> _Moments:
    neurons, places = signal_of(trace, layer, signal).shape[2], int(np.sum(trace.lengths))
    rows = np.full((5, neurons), np.nan)
    for block in blocks(neurons, places):
        values = of_neurons(trace, layer, signal, block)
        with np.errstate(invalid="ignore"):  # infinite values have a mean, but no deviation from it
            mean = _mean(values)
            rows[:2, block] = mean, np.sqrt(_mean((values - mean[:, None]) ** 2))
        rows[2, block] = np.fmin.reduce(values, axis=1, initial=np.inf)
        rows[3, block] = np.fmax.reduce(values, axis=1, initial=-np.inf)
        rows[4, block] = (~np.isfinite(values)).sum(axis=1)
    return _Moments(*rows)


def _mean(values: Array) -> Array:
    """Return the mean of each row without its NaN, (N, P) -> (N,); NaN for a row of NaN."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)


def _twins(trace: Trace, layer: str, moments: _Moments) -> tuple[NDArray[np.int64], Array]:
    """Return the first other neuron whose h is equal except for scale and sign, and the correlation with it."""
    neurons = len(moments.mean)
    products = np.zeros((neurons, neurons))
    for piece in in_pieces(trace, layer, "h"):
        with np.errstate(invalid="ignore"):
            centred = piece - moments.mean
        centred = np.where(np.isfinite(centred), centred, 0.0)
        products += centred.T @ centred
    scale = np.sqrt(np.diag(products))
    moving = (moments.deviation >= STILL) & (scale > 0)
    with np.errstate(all="ignore"):
        correlations = products / np.outer(scale, scale)
    same = (np.abs(correlations) >= ALIKE) & np.outer(moving, moving) & ~np.eye(neurons, dtype=np.bool_)
    twins = np.where(same.any(axis=1), same.argmax(axis=1) if neurons else -1, -1)
    return twins, np.where(twins >= 0, correlations[np.arange(neurons), twins] if neurons else 0.0, np.nan)


def _gates(trace: Trace, layer: str) -> dict[str, str]:
    """Return the gates of a layer, name -> long name."""
    about: Mapping[str, Any] = trace.attributes["layers"][layer]["arrays"]
    gates = {}
    for name in trace[layer]:
        low, high = about.get(name, {}).get("range") or (None, None)
        if name != "h" and "." not in name and low is not None and high is not None and 0 <= low <= high <= 1:
            gates[name] = about[name].get("title") or name
    return gates


def _saturation(trace: Trace, layer: str, gate: str) -> tuple[Array, Array]:
    """Return the share of steps at which a gate of each neuron is nearly closed, and nearly open, (N,) each."""
    neurons, places = signal_of(trace, layer, gate).shape[2], int(np.sum(trace.lengths))
    left, right = np.full(neurons, np.nan), np.full(neurons, np.nan)
    for block in blocks(neurons, places) if places else ():
        values = of_neurons(trace, layer, gate, block)
        left[block], right[block] = (values < CLOSED).mean(axis=1), (values > OPEN).mean(axis=1)
    return left, right


def _findings(
    row: Mapping[str, Any], output: _Moments, memory: _Moments, gates: Sequence[tuple[str, float, float]]
) -> list[str]:
    """Return the codes of what is unusual about a neuron, the most important first."""
    codes, k = [], row["neuron"]
    if max(output.broken[k], memory.broken[k]) > 0:
        codes.append("HEALTH_NOT_NUMBERS")
    if row["deviation"] < STILL:
        codes.append("HEALTH_DEAD_CONSTANT" if output.constant(k) else "HEALTH_DEAD_STILL")
    elif row["memory_deviation"] < STILL:
        codes.append("HEALTH_MEMORY_STILL")
    if row["twin"] >= 0:
        codes.append("HEALTH_DUPLICATE" if row["correlation"] > 0 else "HEALTH_MIRROR")
    for gate, left, right in gates:
        if max(left, right) >= ALWAYS:
            codes.append(f"{'HEALTH_GATE_OPEN' if right >= ALWAYS else 'HEALTH_GATE_CLOSED'}:{gate}")
    if row["time_constant"] == np.inf:
        codes.append("HEALTH_FORGETS_NOTHING")
    return codes
