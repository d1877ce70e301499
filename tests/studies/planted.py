"""Traces with chosen values instead of values of a network, so that the result of a study is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from gatescope import Cell, Trace, Vocabulary
from gatescope.cells import CELLS
from gatescope.recording import arrays_of
from gatescope.storage import open_trace, save_trace
from gatescope.studies.common import arrays as reading


def planted(
    signals: Mapping[str, Sequence[Any]],
    *,
    cell: str | Cell = "lstm",
    texts: Sequence[str] | None = None,
    vocabulary: Vocabulary | None = None,
    initial: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    ranges: Mapping[str, list[float | None]] | None = None,
) -> Trace:
    """Make a trace of one layer from chosen values.

    Args:
        signals: signal -> for each sequence its values (T, N).
        cell: the cell of the layer.
        texts: the text of each sequence; None: "abcabc..." in its length.
        vocabulary: the vocabulary of the trace; None: the characters of the texts and "abc".
        initial: state -> its values before the first step; 0 for all other states.
        parameters: parameter of the cell -> its values.
        ranges: signal -> the ends of its range, where they differ from those of the cell.
    """
    rows = {name: [np.asarray(row, np.float64) for row in values] for name, values in signals.items()}
    first = next(iter(rows.values()))
    lengths, neurons = [len(row) for row in first], first[0].shape[1] if first else 1
    texts = [("abc" * length)[:length] for length in lengths] if texts is None else texts
    vocabulary = vocabulary or Vocabulary.of("abc" + "".join(texts))
    token = np.full((len(lengths), max([0, *lengths])), -1, np.int32)
    for row, text in zip(token, texts, strict=True):
        ids = vocabulary.encode(text)
        row[: len(ids)] = ids
    padded = {name: np.full((*token.shape, neurons), np.nan) for name in rows}
    for name, values in rows.items():
        for k, row in enumerate(values):
            padded[name][k, : len(row)] = row
    chosen = CELLS[cell] if isinstance(cell, str) else cell
    arrays = {name: {**about, "range": (ranges or {}).get(name, about["range"])} for name, about in _arrays(chosen)}
    states = {name: np.zeros((len(lengths), neurons)) for name in chosen.states}
    return Trace(
        lengths=np.array(lengths, dtype=np.int64),
        steps={"token": token},
        layers={"layer0": padded},
        initial={"layer0": {**states, **{name: np.asarray(value) for name, value in (initial or {}).items()}}},
        parameters={"layer0": {f"p.{name}": np.asarray(value) for name, value in (parameters or {}).items()}},
        attributes={
            "format": 1,
            "precision": "float64",
            "vocabulary": vocabulary.to_json(),
            "layers": {"layer0": {"cell": chosen.to_json(), "neurons": neurons, "arrays": arrays}},
        },
    )


def column(*values: float) -> np.ndarray:
    """Return the values of a single neuron, (T, 1)."""
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def stored(trace: Trace, directory: Any) -> Trace:
    """Save a trace and open it again, read lazily from disk."""
    save_trace(trace, directory, "float64")
    return open_trace(directory)


@contextmanager
def pieces_of(size: int) -> Iterator[None]:
    """Make studies read at most this number of values at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "PIECE_VALUES", size)
        yield


def places(trace: Trace, signal: str, layer: str = "layer0") -> np.ndarray:
    """Concatenate a signal over the steps of all sequences, (P, N), independently of the package."""
    array = np.asarray(trace[layer][signal])
    parts = [array[k, :length] for k, length in enumerate(trace.lengths)]
    return np.concatenate([np.zeros((0, array.shape[2])), *parts])


def _arrays(cell: Cell) -> Iterator[tuple[str, dict[str, Any]]]:
    return iter(arrays_of(cell).items())


Fresh = Callable[[], Any]
