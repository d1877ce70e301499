"""Traces for the tests of storage: random ones, pieces of them, and their comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from gatescope.storage import LazyArray
from gatescope.trace import LAYER_AXES, STATE_AXES, STEP_AXES, Trace

NewPath = Callable[[], Path]  # returns a new path for a trace

# The arguments of `make`, which is called in the tests: its type checks use `random`, which strategies may not.
recipes = st.fixed_dictionaries(
    {
        "names": st.lists(st.sampled_from(["lstm", "gru", "peephole", "feedforward"]), max_size=2),
        "lengths": st.lists(st.integers(0, 12), max_size=4),
        "neurons": st.integers(0, 4),
        "symbols": st.integers(1, 4),
        "dtype": st.sampled_from(["float32", "float64"]),
        "seed": st.integers(0, 1000),
        "padding": st.integers(0, 2),
        "top": st.integers(0, 3),
    }
)


def piece_of(trace: Trace, start: int, stop: int) -> Trace:
    """Return some steps of a trace, as a recording passes them to a writer."""
    return replace(
        trace,
        lengths=np.clip(trace.lengths - start, 0, stop - start),
        steps={name: array[:, start:stop] for name, array in trace.steps.items()},
        layers={
            layer: {name: array[:, start:stop] for name, array in signals.items()}
            for layer, signals in trace.layers.items()
        },
    )


def arrays_of(trace: Trace) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Yield (path, array, axes) for every array of a trace."""
    for name, array in trace.steps.items():
        yield name, array, STEP_AXES[name]
    for kind, folder, axes in (
        (trace.layers, "", LAYER_AXES),
        (trace.initial, "initial/", STATE_AXES),
        (trace.parameters, "parameters/", ("neuron",)),
    ):
        for layer, arrays_of_layer in kind.items():
            for name, array in arrays_of_layer.items():
                yield f"{layer}/{folder}{name}", array, axes


def assert_same_trace(actual: Trace, expected: Trace, dtype: str) -> None:
    """Assert that a stored trace has the names of another one in the same order, and its values in this dtype."""
    assert np.array_equal(actual.lengths, expected.lengths)
    assert list(actual.layers) == list(expected.layers)
    stored, original = list(arrays_of(actual)), list(arrays_of(expected))
    assert [path for path, _, _ in stored] == [path for path, _, _ in original]
    for (path, lazy, _), (_, array, _) in zip(stored, original, strict=True):
        assert isinstance(lazy, LazyArray)
        values = np.asarray(array)
        if path.startswith("layer"):
            values = values.astype(dtype)
            assert lazy.dtype == dtype
        elif values.dtype.kind == "f":
            values = values.astype(np.float32)
        assert lazy.shape == values.shape
        assert np.array_equal(np.asarray(lazy), values, equal_nan=values.dtype.kind == "f"), path
