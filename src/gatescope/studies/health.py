"""Which neurons work, which are idle, and for how long each one remembers.

The saturation of gates is that of Karpathy, Johnson and Fei-Fei 2015 (Visualizing and understanding recurrent networks,
figure 3): the share of steps at which a gate is nearly closed (under 0.1) and nearly open (over 0.9).

The retention of a neuron is the direct derivative of its memory by its memory one step earlier, the drives held fixed:
f of an LSTM, z of a GRU. It is derived from the cell's own equations, so it holds for every cell that has one. The time
constant is the number of steps after which a content has shrunk to 1/e at the retentions that were recorded,
-1 / (mean of ln |retention|): the T = -1 / ln f of Mahto, Vo, Turek and Huth 2021 (Multi-timescale representation
learning in LSTM language models), with the geometric mean for f, because a content is multiplied by one f
after the other.
Of an sLSTM it is that of the stabilised cell c, whose scale moves with the stabiliser m: h reads c / n, in which that
scale cancels, so its time constants say less.

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
from gatescope.studies.common.arrays import blocks, in_pieces, of_neurons, signal_of
from gatescope.studies.common.table import StudyError, Table
from gatescope.trace import Trace

CLOSED, OPEN = 0.1, 0.9  # a gate below the one and above the other is saturated
ALWAYS = 0.99  # the share of steps from which on a gate is said to be always saturated
STILL = 1e-3  # a signal that deviates less than this from its mean does not move
ALIKE = 0.99  # the |correlation| of neurons that say the same
LEAST = 1e-7  # a retention below this counts as this: float16 keeps nothing smaller, and one 0 would hide all others

Array = NDArray[np.float64]


def saturation(trace: Trace) -> Table:
    """How often each gate of each neuron is nearly closed and nearly open.

    A gate is a signal that stays between 0 and 1 by its equation, h aside.

    Returns:
        A row per layer, gate and neuron: "left", the share of steps at which it is under 0.1, and "right", over 0.9.
        Steps whose value is no number count as neither.
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
        "title": "what it is",
        "neuron": "neuron",
        "left": f"share of steps under {CLOSED}",
        "right": f"share of steps over {OPEN}",
    }
    return Table.of(rows, titles, steps=int(np.sum(trace.lengths)))


def health(trace: Trace) -> Table:
    """Judge each neuron: idle, the same as another, gates that never move, how long it remembers.

    Returns:
        A row per layer and neuron.

        - "deviation" of h, and "memory_deviation" of the state that the neuron keeps (c of an LSTM, h of a GRU and
          of a cell that keeps none).
        - "twin": the first other neuron whose h has a correlation of at least 0.99 with this one, or at most -0.99;
          -1 if there is none. Neurons that do not move have none. "correlation" with it.
        - "retention": the geometric mean of the part of the memory that is kept in a step. NaN where a cell keeps none
          but through its recurrent drives (an Elman network), or the trace lacks what that part is computed of; what
          the table says of itself names it.
        - "time_constant" in steps, as this module defines it; infinite where nothing is forgotten. What a trace is
          stored in bounds what can be told: float16 holds no gate between 0.9998 and 1.
        - "verdict" in words, "ordinary" where there is nothing to say.

    Raises:
        StudyError: a layer lacks its h, or the state that it keeps.
    """
    rows: list[dict[str, Any]] = []
    memories: dict[str, Any] = {}
    for layer in trace.layers:
        kept = _derivative_of(trace, layer)
        memories[layer] = {"memory": kept.memory, "retention": kept.formula, "missing": list(kept.missing)}
        output = _moments(trace, layer, "h")
        memory = output if kept.memory in ("", "h") else _moments(trace, layer, kept.memory)
        twins, correlations = _twins(trace, layer, output)
        logarithm = _mean_log(trace, layer, kept)
        gates = [(title, *_saturation(trace, layer, gate)) for gate, title in _gates(trace, layer).items()]
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
            shares = [(title, float(left[k]), float(right[k])) for title, left, right in gates]
            rows.append({**row, "verdict": _verdict(row, output, memory, shares)})
    titles = {
        "layer": "layer",
        "neuron": "neuron",
        "deviation": "standard deviation of h",
        "memory_deviation": "standard deviation of its memory",
        "twin": "neuron with the same h (-1: none)",
        "correlation": "correlation with it",
        "retention": "part of the memory kept in a step (geometric mean)",
        "time_constant": "steps until it is 1/e",
        "verdict": "verdict",
    }
    return Table.of(rows, titles, layers=memories, still=STILL, alike=ALIKE, always=ALWAYS)


def retention(trace: Trace, layer: str, neurons: slice = slice(None)) -> Array:
    """The part of its memory that each neuron keeps in each step, its drives held fixed: d c_t / d c_{t-1} of an LSTM.

    Args:
        trace: in memory or on disk.
        layer: "layer0".
        neurons: which ones.

    Returns:
        (N, P), over the places of `gatescope.studies.Steps`. It may leave the range from 0 to 1 where gates look into
        the memory (peephole).

    Raises:
        TraceError: the trace has no such layer.
        StudyError: the cell has no such derivative, or the trace lacks what it is computed of.
    """
    signal_of(trace, layer, "h")
    kept = _derivative_of(trace, layer)
    if not kept.memory:
        raise StudyError("HEALTH_CELL_WITHOUT_MEMORY", layer=layer)
    if kept.missing:
        raise StudyError("HEALTH_SIGNALS_MISSING", formula=kept.formula, layer=layer, signals=", ".join(kept.missing))
    return _evaluated(trace, layer, kept, neurons)


@dataclass(frozen=True)
class _Derivative:
    """The direct derivative of a layer's memory by itself one step earlier.

    Attributes:
        memory: the state that is kept, "" where a cell keeps none but through its recurrent drives.
        formula: "d c / d c₋₁", "" where there is no memory.
        lines: the derivative, in order of computation; the last is the result. Those that are 0 are left out.
        missing: the arrays that it reads and the trace does not have.
    """

    memory: str
    formula: str
    lines: tuple[tuple[int, Node], ...]
    missing: tuple[str, ...]

    def leaves(self) -> Iterator[tuple[int, str, str]]:
        """The number of each line that is read from the trace, its kind and its name."""
        for index, node in self.lines:
            if node.kind in ("signal", "before", "state", "drive", "parameter"):
                yield index, node.kind, str(node.label)


def _derivative_of(trace: Trace, layer: str) -> _Derivative:
    """Return the derivative that the retention of a layer is computed from.

    The reverse derivative of the cell's tape gives dL/d(state one step earlier) from the dL/d(signal) of all signals.
    With 1 for the memory and 0 for every other signal it is the derivative that is asked for, exact in each step.
    """
    tape = Cell.from_json(trace.attributes["layers"][layer]["cell"]).tape
    own = [str(node.label) for node in tape.nodes if node.kind == "state"]
    if not own:
        return _Derivative("", "", (), ())
    memory = next((name for name in ("c", "h") if name in own), own[0])
    derivative = reverse(tape)
    zero: list[bool] = []
    for node in derivative.nodes:
        given = [zero[k] for k in node.arguments]
        if node.kind == "gradient":
            zero.append(node.label != memory)
        elif node.kind == "constant":
            zero.append(node.label == 0.0)
        elif node.kind == "multiply":
            zero.append(any(given))
        elif node.kind == "divide":
            zero.append(given[0])
        else:
            zero.append(node.kind in ("add", "subtract", "negate", "back") and all(given))
    result = derivative.states[memory]
    needed = {result}
    for index in range(result, -1, -1):
        if index in needed and not zero[index]:
            needed.update(derivative.nodes[index].arguments)
    lines = tuple((k, Node("constant", (), 0.0) if zero[k] else derivative.nodes[k]) for k in sorted(needed))
    found = _Derivative(memory, f"d {memory} / d {memory}₋₁", lines, ())
    read = [(kind, name) for _, kind, name in found.leaves()]
    has = {"parameter": trace.parameters.get(layer, {}), "state": trace.initial.get(layer, {})}
    missing = [name for kind, name in read if kind != "parameter" and name not in trace[layer]]
    missing += [f"{name} before step 0" for kind, name in read if kind == "state" and name not in has["state"]]
    missing += [f"p.{name}" for kind, name in read if kind == "parameter" and f"p.{name}" not in has["parameter"]]
    return _Derivative(memory, found.formula, lines, tuple(sorted(set(missing))))


def _evaluated(trace: Trace, layer: str, kept: _Derivative, neurons: slice) -> Array:
    """The derivative on the recorded values of some neurons, at every place, (N, P)."""
    values: dict[int, NDArray[Any]] = {}
    for index, kind, name in kept.leaves():
        if kind == "parameter":
            values[index] = np.asarray(trace.parameters[layer][f"p.{name}"][neurons], dtype=np.float64)[:, None]
            continue
        values[index] = of_neurons(trace, layer, name, neurons)
        if kind == "state":
            values[index] = _earlier(trace, layer, name, neurons, values[index])
    with np.errstate(all="ignore"):
        for index, node in kept.lines:
            given = [values[k] for k in node.arguments if k in values]
            if node.kind in OPERATIONS or node.kind in JUMPS:
                values[index] = np.asarray((OPERATIONS.get(node.kind) or JUMPS[node.kind]).numpy(*given))
            elif node.kind == "back":  # no intervention is known of, so a signal is what its equation gave
                values[index] = given[0]
            elif node.kind in ("constant", "gradient"):
                values[index] = np.full((1, 1), node.label if node.kind == "constant" else 1.0)
    width = len(range(*neurons.indices(signal_of(trace, layer, kept.memory).shape[2])))
    return np.broadcast_to(values[kept.lines[-1][0]], (width, int(np.sum(trace.lengths))))


def _earlier(trace: Trace, layer: str, state: str, neurons: slice, values: Array) -> Array:
    """A state one step earlier, (N, P)."""
    lengths = np.asarray(trace.lengths, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    found = np.empty_like(values)
    found[:, 1:] = values[:, :-1]
    some = lengths > 0
    found[:, starts[some]] = np.asarray(trace.initial[layer][state][:, neurons], dtype=np.float64)[some].T
    return found


def _mean_log(trace: Trace, layer: str, kept: _Derivative) -> Array:
    """The mean of ln |retention| of each neuron over all places, NaN where it is not known, (N,)."""
    neurons, places = signal_of(trace, layer, "h").shape[2], int(np.sum(trace.lengths))
    if not kept.lines or kept.missing:
        return np.full(neurons, np.nan)
    found = [
        _mean(np.log(np.maximum(np.abs(_evaluated(trace, layer, kept, block)), LEAST)))
        for block in blocks(neurons, places)
    ]
    return np.concatenate([np.zeros(0), *found])


@dataclass(frozen=True)
class _Moments:
    """Mean, standard deviation, smallest, largest of a signal of each neuron, and its steps without a number, (N,)."""

    mean: Array
    deviation: Array
    smallest: Array
    largest: Array
    broken: Array

    def constant(self, neuron: int) -> bool:
        return bool(self.smallest[neuron] == self.largest[neuron])


def _moments(trace: Trace, layer: str, signal: str) -> _Moments:
    neurons, places = signal_of(trace, layer, signal).shape[2], int(np.sum(trace.lengths))
    found = np.full((5, neurons), np.nan)
    for block in blocks(neurons, places):
        values = of_neurons(trace, layer, signal, block)
        with np.errstate(invalid="ignore"):  # infinite values have a mean, but no deviation from it
            mean = _mean(values)
            found[:2, block] = mean, np.sqrt(_mean((values - mean[:, None]) ** 2))
        found[2, block] = np.fmin.reduce(values, axis=1, initial=np.inf)
        found[3, block] = np.fmax.reduce(values, axis=1, initial=-np.inf)
        found[4, block] = (~np.isfinite(values)).sum(axis=1)
    return _Moments(*found)


def _mean(values: Array) -> Array:
    """The mean of each row over what is a number, NaN where nothing is, (N, P) -> (N,)."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)


def _twins(trace: Trace, layer: str, moments: _Moments) -> tuple[NDArray[np.int64], Array]:
    """The first other neuron whose h is the same but for its size and sign, and the correlation with it."""
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
    """The gates of a layer and their long names."""
    about: Mapping[str, Any] = trace.attributes["layers"][layer]["arrays"]
    found = {}
    for name in trace[layer]:
        low, high = about.get(name, {}).get("range") or (None, None)
        if name != "h" and "." not in name and low is not None and high is not None and 0 <= low <= high <= 1:
            found[name] = about[name].get("title") or name
    return found


def _saturation(trace: Trace, layer: str, gate: str) -> tuple[Array, Array]:
    """The share of steps at which a gate of each neuron is nearly closed, and nearly open, (N,) each."""
    neurons, places = signal_of(trace, layer, gate).shape[2], int(np.sum(trace.lengths))
    left, right = np.full(neurons, np.nan), np.full(neurons, np.nan)
    for block in blocks(neurons, places) if places else ():
        values = of_neurons(trace, layer, gate, block)
        left[block], right[block] = (values < CLOSED).mean(axis=1), (values > OPEN).mean(axis=1)
    return left, right


def _verdict(
    row: Mapping[str, Any], output: _Moments, memory: _Moments, gates: Sequence[tuple[str, float, float]]
) -> str:
    """What there is to say of a neuron, the most important first."""
    said, k = [], row["neuron"]
    if max(output.broken[k], memory.broken[k]) > 0:
        said.append("not all of its values are numbers")
    if row["deviation"] < STILL:
        said.append("dead: h is constant" if output.constant(k) else "dead: h hardly moves")
    elif row["memory_deviation"] < STILL:
        said.append("its memory does not move")
    if row["twin"] >= 0:
        said.append(f"{'duplicate' if row['correlation'] > 0 else 'mirror image'} of {row['twin']}")
    for title, left, right in gates:
        if max(left, right) >= ALWAYS:
            said.append(f"{title} always {'open' if right >= ALWAYS else 'closed'}")
    if row["time_constant"] == np.inf:
        said.append("forgets nothing")
    return ", ".join(said) or "ordinary"
