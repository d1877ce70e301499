"""Reading a trace: some neurons at every place, all neurons piece by piece, the text around a place.

A place is a step of any sequence, counted along all sequences (`gatescope.studies.Steps`). The results do not depend on
the chunks of a stored trace, and only the requested values are held in memory.

`P` place, `N` neuron.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gatescope.studies.common.table import StudyError
from gatescope.trace import UNRECORDED_STEP, Trace
from gatescope.vocabulary import Vocabulary

PIECE_VALUES = 1 << 22  # values that are read at a time, unless one neuron has more
TRANSPOSED_ROWS = 128  # rows that are transposed at a time, so that both sides stay in the processor's cache

Array = NDArray[Any]
Real = TypeVar("Real", bound=np.floating[Any])


def signal_of(trace: Trace, layer: str, signal: str) -> Any:
    """Return the array of a signal, (S, T, N), on disk or in memory.

    Raises:
        TraceError: the trace has no such layer.
        StudyError: the layer has no such signal.
    """
    signals = trace[layer]
    if signal not in signals:
        raise StudyError("STUDY_SIGNAL_UNKNOWN", layer=layer, signal=signal, signals=", ".join(signals))
    return signals[signal]


def check_neuron(trace: Trace, layer: str, signal: str, neuron: int) -> None:
    """Refuse a neuron that the layer does not have.

    Raises:
        TraceError, StudyError: there is no such layer, signal or neuron.
    """
    neurons = signal_of(trace, layer, signal).shape[2]
    if not 0 <= neuron < neurons:
        raise StudyError("STUDY_NEURON_UNKNOWN", layer=layer, last=neurons - 1, neuron=neuron)


def check_sequence(trace: Trace, sequence: int) -> int:
    """Return the number of steps of a sequence.

    Raises:
        StudyError: the trace has no such sequence.
    """
    if not 0 <= sequence < len(trace.lengths):
        raise StudyError("STUDY_SEQUENCE_UNKNOWN", last=len(trace.lengths) - 1, sequence=sequence)
    return int(trace.lengths[sequence])


def blocks(neurons: int, places: int) -> Iterator[slice]:
    """Divide the neurons into slices whose values at all places form arrays of moderate size."""
    size = max(1, PIECE_VALUES // max(1, places))
    return (slice(start, min(start + size, neurons)) for start in range(0, neurons, size))


def of_neurons(
    trace: Trace,
    layer: str,
    signal: str,
    neurons: slice | Sequence[int],
    allocate: Callable[[tuple[int, int]], NDArray[Real]] = np.empty,
) -> NDArray[Real]:
    """Read a signal of some neurons at every place, (N, P).

    Args:
        trace: the trace.
        layer: the name of the layer.
        signal: the name of the signal.
        neurons: the neurons.
        allocate: returns the array of a shape that the result is written to; double precision by default.

    Raises:
        TraceError, StudyError: there is no such layer or signal.
    """
    places, width, pieces = _several_sequences(trace, layer, signal, neurons)
    values = allocate((width, places))
    for part, piece, inside in pieces:
        transpose_into(values[:, part], piece.reshape(inside.size, width) if inside.all() else piece[inside])
    return values


def transpose_into(target: NDArray[np.floating], values: NDArray[np.floating]) -> None:
    """Write the transpose of a matrix (M, N) into an array (N, M)."""
    if len(values) >= values.shape[1]:
        for start in range(0, len(values), TRANSPOSED_ROWS):
            target[:, start : start + TRANSPOSED_ROWS] = values[start : start + TRANSPOSED_ROWS].T
    else:
        for start in range(0, len(target), TRANSPOSED_ROWS):
            target[start : start + TRANSPOSED_ROWS] = values[:, start : start + TRANSPOSED_ROWS].T


class Scratch:
    """Memory for one array after another, because memory from the system costs more than a copy."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.float32)

    def array(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Return an array of any values in the memory of the array before."""
        size = shape[0] * shape[1]
        if self._memory.size < size:
            self._memory = np.empty(size, np.float32)
        return self._memory[:size].reshape(shape)


def at_places(trace: Trace, layer: str, signal: str, neurons: slice | Sequence[int]) -> NDArray[np.float32]:
    """Read a signal of some neurons at every place in single precision, (P, N).

    Raises:
        TraceError, StudyError: there is no such layer or signal.
    """
    places, width, pieces = _several_sequences(trace, layer, signal, neurons)
    values = np.empty((places, width), np.float32)
    for part, piece, inside in pieces:
        values[part] = piece.reshape(inside.size, width) if inside.all() else piece[inside]
    return values


def _several_sequences(
    trace: Trace, layer: str, signal: str, neurons: slice | Sequence[int]
) -> tuple[int, int, Iterator[tuple[slice, NDArray[np.floating], NDArray[np.bool_]]]]:
    """Return the number of places, the number of neurons, and the pieces of several sequences.

    A piece is the slice of its places, the values (S, T, N), and the mask of the steps inside their sequences, (S, T).

    Raises:
        TraceError, StudyError: there is no such layer or signal.
    """
    array, lengths = signal_of(trace, layer, signal), np.asarray(trace.lengths, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    chosen = neurons if isinstance(neurons, slice) else list(neurons)
    width = len(range(*chosen.indices(array.shape[2]))) if isinstance(chosen, slice) else len(chosen)
    # Several short sequences are read at once; otherwise files would be opened once for each sequence.
    together = max(1, PIECE_VALUES // max(1, width * int(lengths.max(initial=0))))

    def pieces() -> Iterator[tuple[slice, NDArray[np.floating], NDArray[np.bool_]]]:
        for first in range(0, len(lengths), together):
            rows = slice(first, first + together)
            longest = int(lengths[rows].max())
            part = slice(int(starts[first]), int(starts[min(first + together, len(lengths))]))
            yield part, np.asarray(array[rows, :longest, chosen]), np.arange(longest) < lengths[rows, None]

    return int(starts[-1]), width, pieces()


def in_pieces(trace: Trace, layer: str, signal: str) -> Iterator[NDArray[np.float64]]:
    """Read a signal of all neurons, some places at a time, (P of this piece, N); every place comes once.

    Raises:
        TraceError, StudyError: there is no such layer or signal.
    """
    array, lengths = signal_of(trace, layer, signal), np.asarray(trace.lengths, dtype=np.int64)
    neurons = max(1, array.shape[2])
    together = max(1, PIECE_VALUES // max(1, neurons * int(lengths.max(initial=0))))
    for first in range(0, len(lengths), together):
        rows = slice(first, first + together)
        longest = int(lengths[rows].max())
        size = max(1, PIECE_VALUES // (neurons * min(together, len(lengths))))
        for start in range(0, longest, size):
            steps = np.arange(start, min(start + size, longest))
            values = np.asarray(array[rows, start : start + len(steps)], dtype=np.float64)
            yield values[steps < lengths[rows, None]]


def around(trace: Trace, sequence: int, first: int, last: int, context: int) -> tuple[str, str, str]:
    """Return the text before, at and after the steps `first` to `last` of a sequence.

    The numbers of a step are separated by commas, steps by a space. If the
    network reads bytes, a character that is cut by an edge is shown whole, in the inner part. A step whose symbol the
    trace does not hold is shown as a middle dot.

    Args:
        trace: the trace.
        sequence: the sequence.
        first: the first step.
        last: the last step, included.
        context: the number of steps before and after.
    """
    begin, end = max(0, first - context), min(int(trace.lengths[sequence]), last + 1 + context)
    edges = [begin, first, last + 1, end]
    if not trace.shows_steps:
        before, at, after = (UNRECORDED_STEP * (b - a) for a, b in pairwise(edges))
        return before, at, after
    vocabulary = trace.vocabulary
    if vocabulary.unit == "number" or vocabulary.in_words:
        read = trace.steps["input" if vocabulary.unit == "number" else "token"]
        return _joined(vocabulary, np.asarray(read[sequence, begin:end]), [edge - begin for edge in edges[1:3]])
    if not vocabulary.bytes:
        ids = np.asarray(trace.steps["token"][sequence, begin:end])
        before, at, after = (vocabulary.decode(ids[a - begin : b - begin]) for a, b in pairwise(edges))
        return before, at, after
    low, high = max(0, begin - 3), min(int(trace.lengths[sequence]), end + 3)  # a character has at most four bytes
    ids = np.asarray(trace.steps["token"][sequence, low:high])
    begin, first = (_character_start(ids, edge - low) for edge in edges[:2])
    after, end = (_character_end(ids, edge - low) for edge in edges[2:])
    return vocabulary.decode(ids[begin:first]), vocabulary.decode(ids[first:after]), vocabulary.decode(ids[after:end])


def _joined(vocabulary: Vocabulary, read: Array, inner: list[int]) -> tuple[str, str, str]:
    """Return words or numbers with spaces between them, cut at two edges; the middle part begins without a space."""
    first, after = inner
    if vocabulary.unit == "number":
        labels = vocabulary.labels(read)
        whole, before, until = (" ".join(labels[:edge]) for edge in (None, first, after))
    else:
        whole, before, until = (vocabulary.decode(read[:edge]) for edge in (None, first, after))
    at = until[len(before) :]
    space = " " if at.startswith(" ") else ""
    return before + space, at.removeprefix(" "), whole[len(until) :]


def _character_start(ids: Array, edge: int) -> int:
    """Move an edge left to the start of the UTF-8 character that it cuts."""
    while 0 < edge < len(ids) and 0x80 <= ids[edge] < 0xC0:
        edge -= 1
    return edge


def _character_end(ids: Array, edge: int) -> int:
    """Move an edge right to the end of the UTF-8 character that it cuts."""
    while edge < len(ids) and 0x80 <= ids[edge] < 0xC0:
        edge += 1
    return edge
