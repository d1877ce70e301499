"""The recorded values of a piece of one layer in float64, as the self-check reads them.

`S` sequence, `T` step, `N` neuron.
"""

from __future__ import annotations

import math
import threading
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.trace import Trace

Array = NDArray[Any]
Leaf = tuple[str, str]  # ("signal", "f") of this step, ("state", "c") of the step before, ("drive", "x.i")

PIECE_VALUES = 1 << 15  # of one array, compared at a time: bounds memory, and keeps the arrays in the processor's cache
BUFFER_VALUES = 1 << 15
UNKNOWN = np.full((1, 1, 1), np.nan)  # stands for a value that the trace lacks; NaN would show if it were used


class Buffers(threading.local):
    """Arrays of PIECE_VALUES numbers that are used again, because the first touch of fresh memory is slow."""

    def __init__(self) -> None:
        self._arrays: list[Array] = []
        self._used = 0

    def restart(self) -> None:
        """Let the arrays be taken again."""
        self._used = 0

    def take(self, shape: tuple[int, ...]) -> Array:
        """Return an uninitialised array; arrays that are too large for a buffer are new ones."""
        size = math.prod(shape)
        if size > BUFFER_VALUES:
            return np.empty(shape)
        if self._used == len(self._arrays):
            self._arrays.append(np.empty(BUFFER_VALUES))
        self._used += 1
        return self._arrays[self._used - 1][:size].reshape(shape)


buffers = Buffers()


class Piece:
    """The recorded values of some rows and steps of one layer in float64, each converted once.

    Attributes:
        outside: (S, T, 1), true for padding; None if there is none.
        off: (S, T, N), scratch memory.
    """

    def __init__(self, trace: Trace, layer: str, rows: slice, steps: slice) -> None:
        self.trace, self.layer, self.rows, self.steps = trace, layer, rows, steps
        self._arrays = trace.layers[layer]
        self._current: dict[str, Array] = {}
        self._previous: dict[str, Array] = {}
        lengths = np.asarray(trace.lengths)[rows, None]
        self.outside = None
        if lengths.min(initial=steps.stop) < steps.stop:
            self.outside = (np.arange(steps.start, steps.stop) >= lengths)[..., None]

    @cached_property
    def off(self) -> Array:
        """Memory for the differences of one array."""
        neurons = next(iter(self._arrays.values())).shape[2]
        return buffers.take((self.rows.stop - self.rows.start, self.steps.stop - self.steps.start, neurons))

    @cached_property
    def parameters(self) -> dict[str, Array]:
        """The numbers per neuron in the equations."""
        parameters = self.trace.parameters.get(self.layer, {})
        return {name.removeprefix("p."): float64(values) for name, values in parameters.items()}

    def current(self, name: str) -> Array:
        """Return a recorded array; NaN if the trace lacks it."""
        if name not in self._current:
            array = self._arrays.get(name)
            self._current[name] = UNKNOWN if array is None else self._read(array)
        return self._current[name]

    def _read(self, array: Any) -> Array:
        part = np.asarray(array[self.rows, self.steps])
        if part.dtype == np.float64:
            return part
        values = buffers.take(part.shape)
        values[...] = part
        return values

    def previous(self, state: str) -> Array:
        """Return the values of the step that was read before; NaN if the trace lacks them."""
        if state not in self._previous:
            known = state in self._arrays and state in self.trace.initial.get(self.layer, {})
            self._previous[state] = self._read_previous(state) if known else UNKNOWN
        return self._previous[state]

    def _read_previous(self, state: str) -> Array:
        """Return the recorded values one step earlier, and the initial state before the first step.

        A layer that reads from the end reads the step after, and starts at the last step of each sequence.
        """
        array, rows, steps = self._arrays[state], self.rows, self.steps
        started = float64(self.trace.initial[self.layer][state][rows])
        before = buffers.take(self.off.shape)
        if self.layer.endswith("_reverse"):
            later = array[rows, steps.start + 1 : steps.stop + 1]
            before[:, : later.shape[1]] = later
            if later.shape[1] < before.shape[1]:
                before[:, -1] = started
            last = np.arange(steps.start, steps.stop) == np.asarray(self.trace.lengths)[rows, None] - 1
            return np.where(last[..., None], started[:, None], before)
        if steps.start:
            before[...] = array[rows, steps.start - 1 : steps.stop - 1]
        else:
            before[:, :1] = started[:, None]
            before[:, 1:] = array[rows, : steps.stop - 1]
        return before

    def values_of(self, leaves: set[Leaf]) -> dict[Leaf, Array]:
        """Return the recorded values of the leaves of an equation, and the parameters."""
        values: dict[Leaf, Array] = {("parameter", key): value for key, value in self.parameters.items()}
        for kind, key in leaves:
            values[kind, key] = self.previous(key) if kind == "state" else self.current(key)
        return values


def pieces(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Cut an array (S, T, N) into pieces of rows and steps of at most PIECE_VALUES values."""
    sequences, length, neurons = shape
    steps = max(1, min(length, PIECE_VALUES // max(1, neurons)))
    rows = max(1, PIECE_VALUES // max(1, neurons * steps))
    return [
        (slice(r, min(r + rows, sequences)), slice(t, min(t + steps, length)))
        for r in range(0, sequences, rows)
        for t in range(0, length, steps)
    ]


def float64(array: Any) -> Array:
    """Return an array in double precision."""
    return np.asarray(array, dtype=np.float64)
