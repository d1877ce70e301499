"""What a module ran, as a trace.

`T` step, `S` sequence, `N` neuron.
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

# A vector is no symbol. `Trace.vocabulary` says so, with the error of a vocabulary that has none.
NO_SYMBOLS = {"symbols": [], "end": None, "unit": "character"}


@dataclass(frozen=True)
class Meaning:
    """What the vectors that a module read stand for, as its user says.

    Attributes:
        text: one for each sequence, in their order, with one symbol for each step; or None. Of one sequence it may be
            alone, not in a list.
        vocabulary: of the text; that of its characters when None. Without a text, the names of the inputs.
        inputs: whether the trace keeps the vectors.
    """

    text: str | Sequence[str] | None = None
    vocabulary: Vocabulary | None = None
    inputs: bool = False

    def steps(
        self, inputs: Float[Tensor, "T S I"], lengths: NDArray[np.int64]
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The arrays of steps of a trace, and its vocabulary as JSON.

        Raises:
            TraceError: the text does not fit the sequences, or the vocabulary what it is about.
        """
        behind = np.arange(len(inputs)) >= lengths[:, None]
        found: dict[str, NDArray[Any]] = {"token": np.full(behind.shape, PADDING, np.int32)}
        about: dict[str, Any] = NO_SYMBOLS
        if self.text is not None:
            vocabulary, ids = self._ids(self.text, lengths)
            found["token"][~behind] = np.concatenate(ids)
            about = vocabulary.to_json()
        if self.inputs:
            found["input"] = _numpy(inputs.transpose(0, 1)).astype(np.float32)  # a copy
            found["input"][behind] = np.nan
        if self.text is None and (self.inputs or self.vocabulary is not None):
            about = self._names(inputs.shape[2]).to_json()
        return found, about

    def _ids(self, text: str | Sequence[str], lengths: NDArray[np.int64]) -> tuple[Vocabulary, list[NDArray[Any]]]:
        texts = [text] if isinstance(text, str) else list(text)
        if len(texts) != len(lengths):
            raise TraceError("TRACES_TEXTS_GIVEN_SEQUENCES", count=len(texts), count2=len(lengths))
        vocabulary = self.vocabulary or Vocabulary.of("".join(texts) or " ")
        if vocabulary.unit == "number":
            raise TraceError("TRACES_TEXT_GIVEN_VOCABULARY_NUMBERS")
        ids = [vocabulary.encode(each) for each in texts]
        for k, (each, length) in enumerate(zip(ids, lengths, strict=True)):
            if len(each) != length:
                raise TraceError(
                    "TRACES_TEXT_SEQUENCE_SEQUENCE_STEPS", k=k, count=len(each), unit=vocabulary.unit, length=length
                )
        return vocabulary, ids

    def _names(self, count: int) -> Vocabulary:
        """Those of the inputs; their numbers when none were given."""
        if self.vocabulary is None:
            return Vocabulary(tuple(map(str, range(count))), unit="number")
        if not self.inputs or self.vocabulary.unit != "number" or self.vocabulary.size != count:
            raise TraceError(
                "TRACES_VOCABULARY_GIVEN_WITHOUT_TEXT",
                size=self.vocabulary.size,
                unit=self.vocabulary.unit,
                count=count,
            )
        return self.vocabulary


@dataclass(frozen=True)
class Ran:
    """A run of one direction of one layer: what the engine was given, and every signal and drive.

    Attributes:
        layer: which layer, from 0.
        reverse: whether the last step was read first.
        state: before the first step; None for 0.
        engine: the one that was asked for.
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
        """As docs/trace.md names it."""
        return f"layer{self.layer}{'_reverse' if self.reverse else ''}"


def trace_of(
    cell: Cell,
    seen: Sequence[Ran],
    inputs: Float[Tensor, "T S I"],
    lengths: Tensor | None,
    drives: bool,
    meaning: Meaning,
) -> Trace:
    """The trace of a run of all layers on these inputs, checked with the weights.

    Raises:
        TraceError: the numbers are of a precision that traces do not have, or the meaning does not fit the inputs.
    """
    first = seen[0]
    precision = str(first.parameters.biases.dtype).removeprefix("torch.")
    if precision not in TOLERANCES:
        raise TraceError("TRACES_MODULE_COMPUTES_TRACE_RECORD", precision=precision, tolerances=", ".join(TOLERANCES))
    length, rows = first.inputs.shape[:2]
    counts = np.full(rows, length) if lengths is None else lengths.cpu().numpy()
    behind = np.arange(length) >= counts[:, None]
    steps, vocabulary = meaning.steps(inputs, counts.astype(np.int64))
    attributes = {
        "format": FORMAT,
        "version": __version__,
        "engine": _engines(cell, seen),
        "precision": precision,
        "tolerance": TOLERANCES[precision],
        "vocabulary": vocabulary,
        "layers": {
            ran.name: {"cell": cell.to_json(), "neurons": ran.parameters.biases.shape[1], "arrays": arrays_of(cell)}
            for ran in seen
        },
    }
    trace = Trace(
        lengths=counts.astype(np.int64),
        steps=steps,
        layers={ran.name: _arrays(ran.signals, behind) for ran in seen},
        initial={ran.name: _initial(cell, ran) for ran in seen},
        parameters={ran.name: _neuron_weights(cell, ran) for ran in seen},
        attributes=attributes,
    )
    attributes["repeats"] = _repeats(inputs, trace)
    residual = max(check(*_alone(trace, ran, behind)).largest for ran in seen)
    if not drives:
        kept = {layer: {n: v for n, v in arrays.items() if "." not in n} for layer, arrays in trace.layers.items()}
        trace = replace(trace, layers=kept)
    return replace(trace, attributes={**attributes, "residual": residual})


def _alone(trace: Trace, ran: Ran, behind: NDArray[np.bool_]) -> tuple[Trace, dict[str, dict[str, NDArray[Any]]]]:
    """One direction of one layer as a trace of its own, and its weights.

    `check` finds what a first layer reads in a table of symbols: here every step has a symbol of its own.
    """
    token = np.where(behind, PADDING, np.arange(behind.size).reshape(behind.shape)).astype(np.int32)
    weights = {name: _numpy(value) for name, value in ran.parameters.by_name().items()}
    weights["embedding"] = _numpy(ran.inputs.transpose(0, 1).flatten(0, 1))
    alone = replace(trace, steps={"token": token}, layers={ran.name: trace.layers[ran.name]})
    return alone, {ran.name: weights}


def _repeats(inputs: Float[Tensor, "T S I"], trace: Trace) -> list[list[int]]:
    """Return each sequence that reads the same vectors from the same states as an earlier one, and that one's number.

    Recorded while the vectors are still known, so that studies divide a text alike whether or not a trace keeps them.
    """
    first: dict[tuple[bytes, ...], int] = {}
    repeats = []
    for row, length in enumerate(trace.lengths.tolist()):
        states = [array[row].tobytes() for layer in trace.initial.values() for array in layer.values()]
        earlier = first.setdefault((_numpy(inputs[:length, row]).tobytes(), *states), row)
        if earlier != row:
            repeats.append([row, earlier])
    return repeats


def _engines(cell: Cell, seen: Sequence[Ran]) -> str:
    """The engine that ran the layers; where they differ, one for each."""
    found = [
        "plain"
        if ran.engine == "plain" or unserved(cell, ran.parameters, ran.inputs, ran.state or {}, ran.changes)
        else "native"
        for ran in seen
    ]
    return found[0] if len(set(found)) == 1 else ", ".join(found)


def _arrays(signals: Mapping[str, Tensor], behind: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Arrays (T, S, N) of the engine as (S, T, N), NaN behind the end of each sequence."""
    found = {name: np.ascontiguousarray(_numpy(values.transpose(0, 1))) for name, values in signals.items()}
    for array in found.values():
        array[behind] = np.nan
    return found


def _initial(cell: Cell, ran: Ran) -> dict[str, NDArray[Any]]:
    rows, neurons = ran.inputs.shape[1], ran.parameters.biases.shape[1]
    state = ran.state or initial_state(cell, ran.parameters.biases, rows, neurons)
    return {name: _numpy(state[name]) for name in cell.states}


def _neuron_weights(cell: Cell, ran: Ran) -> dict[str, NDArray[Any]]:
    values = _numpy(ran.parameters.neuron_weights)
    return {f"p.{name}": values[k] for k, name in enumerate(cell.tape.parameters)}


def _numpy(values: Tensor) -> NDArray[Any]:
    return values.detach().cpu().numpy()
