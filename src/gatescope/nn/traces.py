"""The runs of a module's layers as a trace.

`T` steps, `S` sequences, `I` inputs, `N` neurons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatescope.cells import Cell
from gatescope.checking import TOLERANCES, check
from gatescope.engine import Engine, Intervention, Parameters, initial_state
from gatescope.engine.native import unserved
from gatescope.recording import arrays_of
from gatescope.trace import FORMAT, Trace, TraceError
from gatescope.version import __version__
from gatescope.vocabulary import PADDING, Vocabulary

# Vectors are not symbols: `Trace.vocabulary` refuses a vocabulary without symbols.
NO_SYMBOLS = {"symbols": [], "end": None, "unit": "character"}


@dataclass(frozen=True)
class InputMeaning:
    """The meaning of the vectors that a module read, as its user gives it.

    Attributes:
        text: a text for each sequence, with one symbol for each step; or None. The text of a single sequence need not
            be in a list.
        vocabulary: the vocabulary of the text; None for its characters. Without a text, the names of the inputs.
        inputs: whether the trace contains the vectors.
    """

    text: str | Sequence[str] | None = None
    vocabulary: Vocabulary | None = None
    inputs: bool = False

    def steps(
        self, inputs: Float[Tensor, "T S I"], lengths: NDArray[np.int64]
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the arrays of steps of a trace, and its vocabulary as JSON.

        Args:
            inputs: the vectors that the module read.
            lengths: the number of steps of each sequence.

        Raises:
            TraceError: the text does not fit the sequences, or the vocabulary does not fit the text or the inputs.
        """
        padding = np.arange(len(inputs)) >= lengths[:, None]
        arrays: dict[str, NDArray[Any]] = {"token": np.full(padding.shape, PADDING, np.int32)}
        vocabulary_json: dict[str, Any] = NO_SYMBOLS
        if self.text is not None:
            vocabulary, ids = self._ids(self.text, lengths)
            arrays["token"][~padding] = np.concatenate(ids)
            vocabulary_json = vocabulary.to_json()
        if self.inputs:
            arrays["input"] = _numpy(inputs.transpose(0, 1)).astype(np.float32)  # a copy
            arrays["input"][padding] = np.nan
        if self.text is None and (self.inputs or self.vocabulary is not None):
            vocabulary_json = self._names_of_inputs(inputs.shape[2]).to_json()
        return arrays, vocabulary_json

    def _ids(self, text: str | Sequence[str], lengths: NDArray[np.int64]) -> tuple[Vocabulary, list[NDArray[Any]]]:
        texts = [text] if isinstance(text, str) else list(text)
        if len(texts) != len(lengths):
            raise TraceError("RECORD_TEXT_COUNT", sequences=len(lengths), texts=len(texts))
        vocabulary = self.vocabulary or Vocabulary.of("".join(texts) or " ")
        if vocabulary.unit == "number":
            raise TraceError("RECORD_TEXT_WITH_NUMBERS")
        ids_of_texts = [vocabulary.encode(part) for part in texts]
        for number, (ids, length) in enumerate(zip(ids_of_texts, lengths.tolist(), strict=True)):
            if len(ids) != length:
                raise TraceError(
                    "RECORD_TEXT_LENGTH", number=number, steps=length, symbols=len(ids), unit=vocabulary.unit
                )
        return vocabulary, ids_of_texts

    def _names_of_inputs(self, count: int) -> Vocabulary:
        """Return the names of the inputs; their numbers by default."""
        if self.vocabulary is None:
            return Vocabulary(tuple(map(str, range(count))), unit="number")
        if not self.inputs or self.vocabulary.unit != "number" or self.vocabulary.size != count:
            raise TraceError(
                "RECORD_VOCABULARY_WITHOUT_TEXT",
                size=self.vocabulary.size,
                unit=self.vocabulary.unit,
                inputs=count,
            )
        return self.vocabulary


@dataclass(frozen=True)
class LayerRun:
    """A run of one direction of one layer: its arguments and its signals.

    Attributes:
        layer: the number of the layer, from 0.
        reverse: whether it reads from the last step to the first.
        parameters: the weights.
        inputs: the vectors that the layer read.
        state: the states before the first step; None for 0.
        signals: signals and drives by name.
        changes: the interventions.
        engine: the requested engine.
    """

    layer: int
    reverse: bool
    parameters: Parameters
    inputs: Float[Tensor, "T S _"]
    state: Mapping[str, Tensor] | None
    signals: Mapping[str, Float[Tensor, "T S N"]]
    changes: Sequence[Intervention]
    engine: Engine

    @property
    def name(self) -> str:
        """The name of the layer, as in docs/trace.md."""
        return f"layer{self.layer}{'_reverse' if self.reverse else ''}"


def trace_of(
    cell: Cell,
    runs: Sequence[LayerRun],
    inputs: Float[Tensor, "T S I"],
    lengths: Tensor | None,
    drives: bool,
    meaning: InputMeaning,
) -> Trace:
    """Return the trace of a run of all layers, and check its equations with the weights.

    Args:
        cell: the equations of all layers.
        runs: the runs of all directions of all layers, in order.
        inputs: the vectors that the first layer read.
        lengths: the number of steps of each sequence; None if all sequences have T steps.
        drives: whether the trace contains the drives.
        meaning: the meaning of the inputs.

    Raises:
        TraceError: traces do not have the precision of the module, or the meaning does not fit the inputs.
    """
    first = runs[0]
    precision = str(first.parameters.biases.dtype).removeprefix("torch.")
    if precision not in TOLERANCES:
        precisions = ", ".join(TOLERANCES)
        raise TraceError("RECORD_PRECISION_UNSUPPORTED", precision=precision, precisions=precisions)
    length, rows = first.inputs.shape[:2]
    counts = np.full(rows, length) if lengths is None else lengths.cpu().numpy()
    padding = np.arange(length) >= counts[:, None]
    steps, vocabulary = meaning.steps(inputs, counts.astype(np.int64))
    attributes = {
        "format": FORMAT,
        "version": __version__,
        "engine": _engines(cell, runs),
        "precision": precision,
        "tolerance": TOLERANCES[precision],
        "vocabulary": vocabulary,
        "layers": {
            run.name: {"cell": cell.to_json(), "neurons": run.parameters.biases.shape[1], "arrays": arrays_of(cell)}
            for run in runs
        },
    }
    trace = Trace(
        lengths=counts.astype(np.int64),
        steps=steps,
        layers={run.name: _padded_arrays(run.signals, padding) for run in runs},
        initial={run.name: _initial_states(cell, run) for run in runs},
        parameters={run.name: _neuron_weights(cell, run) for run in runs},
        attributes=attributes,
    )
    attributes["repeats"] = _repeats(inputs, trace)
    residual = max(check(*_as_first_layer(trace, run, padding)).largest for run in runs)
    if not drives:
        signals = {layer: {n: v for n, v in arrays.items() if "." not in n} for layer, arrays in trace.layers.items()}
        trace = replace(trace, layers=signals)
    return replace(trace, attributes={**attributes, "residual": residual})


def _as_first_layer(
    trace: Trace, run: LayerRun, padding: NDArray[np.bool_]
) -> tuple[Trace, dict[str, dict[str, NDArray[Any]]]]:
    """Return one direction of one layer as a trace of its own, and its weights.

    `check` looks up the inputs of a first layer in an embedding, so every step gets a symbol of its own.
    """
    token = np.where(padding, PADDING, np.arange(padding.size).reshape(padding.shape)).astype(np.int32)
    weights = {name: _numpy(value) for name, value in run.parameters.by_name().items()}
    weights["embedding"] = _numpy(run.inputs.transpose(0, 1).flatten(0, 1))
    single = replace(trace, steps={"token": token}, layers={run.name: trace.layers[run.name]})
    return single, {run.name: weights}


def _repeats(inputs: Float[Tensor, "T S I"], trace: Trace) -> list[list[int]]:
    """Return pairs (sequence, earlier sequence) that read the same vectors from the same states.

    The pairs are recorded while the vectors are known, so that studies split a text in the same way whether or not the
    trace contains the vectors.
    """
    first: dict[tuple[bytes, ...], int] = {}
    repeats = []
    for row, length in enumerate(trace.lengths.tolist()):
        states = [array[row].tobytes() for layer in trace.initial.values() for array in layer.values()]
        earlier = first.setdefault((_numpy(inputs[:length, row]).tobytes(), *states), row)
        if earlier != row:
            repeats.append([row, earlier])
    return repeats


def _engines(cell: Cell, runs: Sequence[LayerRun]) -> str:
    """Return the engine that ran the layers; if they differ, one for each layer."""
    engines = [
        "plain"
        if run.engine == "plain" or unserved(cell, run.parameters, run.inputs, run.state or {}, run.changes)
        else "native"
        for run in runs
    ]
    return engines[0] if len(set(engines)) == 1 else ", ".join(engines)


def _padded_arrays(signals: Mapping[str, Tensor], padding: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Return arrays (T, S, N) of the engine as (S, T, N), with NaN for padding."""
    arrays = {name: np.ascontiguousarray(_numpy(values.transpose(0, 1))) for name, values in signals.items()}
    for array in arrays.values():
        array[padding] = np.nan
    return arrays


def _initial_states(cell: Cell, run: LayerRun) -> dict[str, NDArray[Any]]:
    rows, neurons = run.inputs.shape[1], run.parameters.biases.shape[1]
    state = run.state or initial_state(cell, run.parameters.biases, rows, neurons)
    return {name: _numpy(state[name]) for name in cell.states}


def _neuron_weights(cell: Cell, run: LayerRun) -> dict[str, NDArray[Any]]:
    values = _numpy(run.parameters.neuron_weights)
    return {f"p.{name}": values[k] for k, name in enumerate(cell.tape.parameters)}


def _numpy(values: Tensor) -> NDArray[Any]:
    return values.detach().cpu().numpy()
