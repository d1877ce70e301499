"""Recomputation of the recorded values of one layer in float64, piece by piece, and the largest differences.

Each named signal is computed by its equation from the recorded values of all others, and each drive from the weights.
The tape is evaluated once for all signals of a piece: where it names a signal, the result is compared, and what follows
reads the recorded value.

`S` sequence, `T` step, `N` neuron, `G` drive, `M` steps of all sequences of a piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gatescope.cells import Cell
from gatescope.equations import OPERATIONS, Evaluator, Tape
from gatescope.recorded_pieces import UNKNOWN, Array, Leaf, Piece, buffers, float64, pieces
from gatescope.trace import Trace
from gatescope.vocabulary import is_symbol


@dataclass
class Difference:
    """The largest residual of one drive or signal, with its sequence, step and neuron; -1 if there is none."""

    largest: float = 0.0
    sequence: int = -1
    step: int = -1
    neuron: int = -1
    missing: tuple[str, ...] = ()


def layer_differences(
    trace: Trace,
    layer: str,
    below: tuple[str, ...],
    cell: Cell,
    weights: Mapping[str, Array] | None,
    tolerance: float,
    epsilon: float,
) -> dict[str, Difference]:
    """Return the largest difference of every drive and signal of one layer, in the order of computation.

    Args:
        trace: the recorded values.
        layer: the name of the layer.
        below: the layers that it reads; empty for the first layers.
        cell: its equations.
        weights: the four arrays of `gatescope.engine.Parameters`, and "embedding" if the network has one; without them
            the drives are not recomputed.
        tolerance: the largest residual that needs no rounding error as its explanation.
        epsilon: the largest relative rounding error of a recorded value.
    """
    arrays = trace.layers[layer]
    plan = _plan(cell)
    differences: dict[str, Difference] = {}
    if weights is not None:
        differences |= {drive: Difference(missing=_missing_drive(trace, below, arrays, drive)) for drive in cell.drives}
    differences |= {name: Difference(missing=_missing_signal(trace, layer, plan, name)) for name in cell.signals}
    products = None if weights is None else _Products(trace, below, cell, weights)
    shape = next((array.shape for array in arrays.values()), None)
    for rows, steps in () if shape is None else pieces(shape):
        buffers.restart()
        piece = Piece(trace, layer, rows, steps)
        if products is not None:
            for drive, recomputed in products.of(piece, [d for d in cell.drives if not differences[d].missing]):
                _update(differences[drive], piece, piece.current(drive), recomputed, tolerance, None)
        _compare_signals(plan, piece, differences, tolerance, epsilon)
    return differences


def _missing_drive(trace: Trace, below: tuple[str, ...], arrays: Mapping[str, Any], drive: str) -> tuple[str, ...]:
    needed = (drive, "h") if drive.startswith("u.") else (drive,)
    missing = tuple(key for key in needed if key not in arrays)
    if drive.startswith("x."):
        missing += tuple(f"{lower} h" for lower in below if "h" not in trace.layers[lower])
    return missing


def _missing_signal(trace: Trace, layer: str, plan: _Plan, name: str) -> tuple[str, ...]:
    arrays, started = trace.layers[layer], trace.initial.get(layer, {})
    missing = sorted(key for _, key in plan.leaves[name] if key not in arrays)
    missing += sorted(
        f"{key} before step 0" for kind, key in plan.leaves[name] if kind == "state" and key not in started
    )
    return tuple(missing) if name in arrays else (name, *missing)


@dataclass(frozen=True)
class _Plan:
    """What every check of a cell needs.

    Attributes:
        cell: the cell.
        evaluator: its tape on float64 arrays.
        operations: for each operation of the tape its node, function and arguments, and the number of the scratch array
            for its result, which is used again when nothing reads the result any more.
        leaves: signal -> the values in its equation, except parameters.
        aliases: the first signal of a node -> all signals of that node.
    """

    cell: Cell
    evaluator: Evaluator
    operations: tuple[tuple[int, Callable[..., Any], tuple[int, ...], int], ...]
    leaves: Mapping[str, set[Leaf]]
    aliases: Mapping[str, list[str]]


_plans: dict[str, _Plan] = {}


def _plan(cell: Cell) -> _Plan:
    """Return the plan of a cell, which depends on its equations alone."""
    if cell.key not in _plans:
        tape = cell.tape
        aliases = {
            first: [k for k, node in tape.signals.items() if node == index] for index, first in tape.stops.items()
        }
        leaves = {name: _leaves(cell, name) for name in cell.signals}
        evaluator = Evaluator(tape, "numpy", np.float64)
        _plans[cell.key] = _Plan(cell, evaluator, tuple(_scheduled(tape)), leaves, aliases)
    return _plans[cell.key]


def _scheduled(tape: Tape) -> Iterator[tuple[int, Callable[..., Any], tuple[int, ...], int]]:
    """Yield the operations of a tape, each with the scratch array of its result."""
    last = {argument: index for index, node in enumerate(tape.nodes) for argument in node.arguments}
    free: list[int] = []
    places: dict[int, int] = {}
    for index, node in enumerate(tape.nodes):
        if node.kind not in OPERATIONS:
            continue
        place = free.pop() if free else len(places) and max(places.values()) + 1
        places[index] = place
        yield index, OPERATIONS[node.kind].numpy, node.arguments, place
        # The result of a signal is replaced by its recorded values.
        done = [k for k in {*node.arguments} if last[k] == index and k in places and k not in tape.stops]
        free += [places[k] for k in done] + ([place] if index in tape.stops else [])


def _leaves(cell: Cell, name: str) -> set[Leaf]:
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


class _Products:
    """The drives of a layer, computed from its weights.

    The inputs are the hidden states of the layers below, the vectors of the symbols, or numbers.
    """

    def __init__(self, trace: Trace, below: tuple[str, ...], cell: Cell, weights: Mapping[str, Array]) -> None:
        self._trace, self._below = trace, below
        self._inputs = {f"x.{name}": k for k, name in enumerate(cell.tape.input_drives)}
        self._recurrent = {f"u.{name}": k for k, name in enumerate(cell.tape.recurrent_drives)}
        self._weights = weights
        self._biases = float64(weights["biases"])
        # (G, inputs, N) each. One-hot vectors pick a few columns, which are converted where they are read.
        self._hidden_matrices = float64(weights["recurrent_weights"]).swapaxes(1, 2)
        reads_vectors = bool(below) or "input" in trace.steps or weights.get("embedding") is not None
        self._input_matrices = float64(weights["input_weights"]).swapaxes(1, 2) if reads_vectors else None

    def of(self, piece: Piece, drives: list[str]) -> Iterator[tuple[str, Array]]:
        """Yield each drive with its recomputed values, (S, T, N)."""
        shape = piece.off.shape
        recurrent = [drive for drive in drives if drive in self._recurrent]
        inputs = [drive for drive in drives if drive in self._inputs]
        if recurrent:
            before = piece.previous("h").reshape(-1, shape[2])
            product = buffers.take(before.shape)
            for drive in recurrent:
                _multiply(before, self._hidden_matrices[self._recurrent[drive]], product)
                yield drive, product.reshape(shape)
        if inputs:
            product = buffers.take((shape[0] * shape[1], shape[2]))
            compute = self._input_products(piece)
            for drive in inputs:
                compute(self._inputs[drive], product)
                yield drive, product.reshape(shape)

    def _input_products(self, piece: Piece) -> Callable[[int, Array], None]:
        """Return the function that writes input drive k into an array (M, N)."""
        trace, rows, steps, biases = self._trace, piece.rows, piece.steps, self._biases
        if self._below or "input" in trace.steps:
            arrays = [trace.layers[lower]["h"] for lower in self._below] or [trace.steps["input"]]
            parts = [float64(array[rows, steps]) for array in arrays]
            vectors = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
            vectors = vectors.reshape(-1, vectors.shape[2])
            matrices = self._input_matrices
            assert matrices is not None

            def product(k: int, out: Array) -> None:
                _multiply(vectors, matrices[k], out)
                np.add(out, biases[k], out=out)

            return product
        # The vectors of all symbols would take gigabytes in a large vocabulary: only symbols of the piece are read.
        token = np.asarray(trace.steps["token"][rows, steps]).reshape(-1)
        embedding = self._weights.get("embedding")
        count = self._weights["input_weights"].shape[2] if embedding is None else len(embedding)
        known = is_symbol(token, count)
        symbols, places = np.unique(np.where(known, token, 0), return_inverse=True)
        places = np.where(known, places.reshape(-1), len(symbols))
        columns = self._weights["input_weights"][:, :, symbols] if embedding is None else None

        def looked_up(k: int, out: Array) -> None:
            if columns is not None:
                table = float64(columns[k]).T
            else:
                assert embedding is not None
                assert self._input_matrices is not None
                table = np.empty((len(symbols), len(biases[k])))
                _multiply(float64(embedding[symbols]), self._input_matrices[k], table)
            # The last row is that of unknown symbols, which are read as the zero vector.
            np.take(np.concatenate([table + biases[k], biases[k][None]]), places, axis=0, out=out, mode="clip")

        return looked_up


def _multiply(left: Array, right: Array, out: Array) -> None:
    """Write a product of matrices, computed by torch.

    NumPy's library for products has threads of its own, which `torch.set_num_threads` does not limit. On a busy machine
    they wait for each other, and the check takes five times as long.
    """
    # torch warns of arrays that must not be changed, such as views of a file.
    left, right = (array if array.flags.writeable else array.copy() for array in (left, right))
    torch.mm(torch.from_numpy(left), torch.from_numpy(right), out=torch.from_numpy(out))


def _compare_signals(
    plan: _Plan, piece: Piece, differences: Mapping[str, Difference], tolerance: float, epsilon: float
) -> None:
    """Evaluate the tape on the recorded values of a piece, and compare every signal."""
    cell = plan.cell

    def compared(first: str, recomputed: Array) -> Array:
        for name in plan.aliases[first]:
            if not differences[name].missing:

                def rounding(name: str = name) -> Array:
                    return _Equation(cell, name).rounding(piece.values_of(plan.leaves[name]), epsilon)

                _update(differences[name], piece, piece.current(name), recomputed, tolerance, rounding)
        return piece.current(first)

    tape = cell.tape
    sources = {
        "drive": piece.current,
        "state": piece.previous,
        "parameter": lambda name: piece.parameters.get(name, UNKNOWN),
        "constant": np.float64,
    }
    values: list[Any] = [None] * len(tape.nodes)
    for index, node in enumerate(tape.nodes):
        if node.kind in sources:
            value = sources[node.kind](node.label)
            values[index] = compared(tape.stops[index], value) if index in tape.stops else value
    scratch: dict[int, Array] = {}
    for index, function, arguments, place in plan.operations:
        if place not in scratch:
            scratch[place] = buffers.take(piece.off.shape)
        value = function(*[values[k] for k in arguments], out=scratch[place])
        values[index] = compared(tape.stops[index], value) if index in tape.stops else value


def _update(
    difference: Difference,
    piece: Piece,
    recorded: Array,
    recomputed: Array,
    tolerance: float,
    rounding: Callable[[], Array] | None,
) -> None:
    """Replace the largest difference if a piece has a larger one.

    Args:
        difference: the largest one so far.
        piece: the rows and steps.
        recorded: (S, T, N).
        recomputed: an array that can be broadcast to the same shape.
        tolerance: the largest residual that needs no explanation by rounding.
        rounding: returns the part of the difference that the rounding of recorded values explains, (S, T, N).
    """
    off = piece.off
    if not off.size:
        return
    np.subtract(recomputed, recorded, out=off)
    np.abs(off, out=off)
    if off.max() <= difference.largest:
        return  # what follows makes no difference larger
    if piece.outside is not None or not -1.0 <= recorded.min() <= recorded.max() <= 1.0:
        off /= np.maximum(1.0, np.abs(recorded))
        if piece.outside is not None:
            np.copyto(off, 0.0, where=piece.outside)
    largest = float(off.max())
    if not largest <= tolerance:  # NaN as well
        allowance: Array | float = 0.0
        if rounding is not None and np.max(off, initial=0.0, where=np.isfinite(off)) > tolerance:
            allowance = rounding()
        off = _residual(recorded, recomputed, allowance)
        off[~np.isfinite(off)] = np.inf
        if piece.outside is not None:
            np.copyto(off, 0.0, where=piece.outside)
        largest = float(off.max())
    if largest > difference.largest:
        row, step, neuron = np.unravel_index(int(off.argmax()), off.shape)
        difference.largest = largest
        difference.sequence, difference.step = piece.rows.start + int(row), piece.steps.start + int(step)
        difference.neuron = int(neuron)


def _residual(recorded: Array, recomputed: Array, allowance: Array | float = 0.0) -> Array:
    """Return |recomputed - recorded| beyond the allowance, divided by |recorded| if that is larger than 1."""
    difference = np.maximum(np.abs(recomputed - recorded) - allowance, 0.0)
    return difference / np.maximum(1.0, np.abs(recorded))


class _Equation:
    """One equation, in which every other named signal is replaced by its recorded values."""

    def __init__(self, cell: Cell, name: str) -> None:
        self.cell, self.name = cell, name
        self.evaluator = _plan(cell).evaluator

    def __call__(self, values: dict[Leaf, Array]) -> Array:
        signals = self.cell.tape.signals
        own = signals[self.name]
        return self.evaluator(
            {key: values.get(("drive", key), UNKNOWN) for key in self.cell.drives},
            {key: values.get(("parameter", key), UNKNOWN) for key in self.cell.tape.parameters},
            {key: values.get(("state", key), UNKNOWN) for key in self.cell.states},
            lambda key, value: value if signals[key] == own else values.get(("signal", key), UNKNOWN),
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
        for key, value in values.items():
            change = self({**values, key: value * (1 + epsilon)}) - exact
            rising[key] = np.sign(np.nan_to_num(change))
            total += np.abs(change)
        for side in (epsilon, -epsilon):
            moved = self({key: value * (1 + side * rising[key]) for key, value in values.items()})
            off = np.abs(moved - exact)
            total = np.maximum(total, np.where(np.isfinite(off), off, 0.0))
        return np.where(np.isfinite(total), total, 0.0)
