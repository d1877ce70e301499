"""The recording of a text for the page: the arrays that are drawn, the predictions, and the drives of single neurons.

`T` step, `S` sequence, `N` neuron, `R` some neurons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatescope.explorer.drawing_costs import layers_below
from gatescope.explorer.sequence_recording import (
    Array,
    Key,
    Report,
    SequenceRecording,
    can_continue,
    record_sequences,
)
from gatescope.explorer.wire import MAX_PREDICTIONS
from gatescope.network import PASS_PREDICTIONS, PASS_STEPS, Network, Output, Pass, evaluating, padded
from gatescope.recording import describe, neuron_weights, record, step_arrays
from gatescope.sources import Answers, sequences_of, targets_of
from gatescope.trace import Trace
from gatescope.vocabulary import Reading, is_symbol

EXTENDED_BYTES = 384 << 20  # of a recording that gets further arrays; beyond, it drops those that are not drawn
BLOCK_STEPS = 2048  # that are converted to float64 at a time


@dataclass(eq=False)
class TextRecording:
    """A recorded text. The arrays are never changed, since later recordings share them.

    Attributes:
        network: the network.
        sequences: the recording of each sequence; empty for an empty text.
        lengths: the number of steps of each sequence, (S,).
        steps: the arrays of the steps, (S, T, ...), as in a trace.
        attributes: those of a trace.
        labels: what to print for each step.
        unknown: symbols that are not in the vocabulary.
        training_step: the training step of the weights.
        residual: the largest residual of any equation; None before the check.
    """

    network: Network
    sequences: Sequence[SequenceRecording]
    lengths: NDArray[np.int64]
    steps: Mapping[str, Array]
    attributes: Mapping[str, Any]
    labels: list[str]
    unknown: list[str]
    training_step: int
    residual: float | None = None

    @property
    def nbytes(self) -> int:
        """The bytes of all arrays. Sequences that are equal share one recording."""
        sequences = {id(sequence): sequence.nbytes for sequence in self.sequences}
        return sum(sequences.values()) + sum(array.nbytes for array in self.steps.values())

    def has(self, keys: Sequence[Key]) -> bool:
        """Return whether these arrays are held."""
        return all(key in sequence.arrays for sequence in self.sequences for key in keys)

    def inside(self) -> NDArray[np.bool_]:
        """Return the mask of the steps of each sequence, (S, T), false for padding."""
        return np.arange(self.lengths.max(initial=0)) < self.lengths[:, None]

    def neuron_major(self, layer: str, name: str, neurons: Sequence[int] | None) -> Array:
        """Return an array of some neurons (None: all), (R, all steps), in single precision."""
        key = None if neurons is None else tuple(neurons)
        parts = []
        for sequence in self.sequences:
            array = sequence.arrays.get((layer, name, key))
            if array is None:
                array = sequence.arrays[layer, name, None]
                array = array if neurons is None else array[:, list(neurons)]
            parts.append(array)
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return np.ascontiguousarray(joined.T, np.float32)

    def drives(self, layer: str, neurons: Sequence[int]) -> dict[str, Array]:
        """Return the drives of some neurons, (R, all steps): sums in float64 that depend on their own step only."""
        configuration = self.network.configuration
        number = configuration.names.index(layer)
        tape = configuration.layers[number].cell.tape
        parts = [_drives_of(self.network, number, sequence, list(neurons)) for sequence in self.sequences]
        names = [f"x.{k}" for k in tape.input_drives] + [f"u.{k}" for k in tape.recurrent_drives]
        return {name: np.concatenate([part[name] for part in parts], axis=1).astype(np.float32) for name in names}

    def parameters(self, layer: str) -> dict[str, Array]:
        """Return the numbers per neuron in the equations of a layer, (N,) each."""
        return neuron_weights(self.network, self.network.configuration.names.index(layer))

    def initial(self, layer: str) -> dict[str, Array]:
        """Return the states of a layer before the first step, (N,) each."""
        states = self.network.initial_states(1)[self.network.configuration.names.index(layer)]
        return {name: value[0].numpy() for name, value in states.items()}

    def steps_trace(self) -> Trace:
        """Return a trace with the steps alone, without any layer."""
        return Trace(self.lengths, self.steps, {}, {}, {}, self.attributes)


def record_text(
    network: Network,
    text: str,
    labels: list[str],
    training_step: int,
    answers: Answers | None,
    keys: Sequence[Key],
    earlier: Sequence[TextRecording],
    report: Report,
) -> TextRecording:
    """Record the arrays of a text that the page draws, without the check.

    Args:
        network: the network.
        text: the text.
        labels: what to print for each step; empty for an empty text.
        training_step: the training step of the weights.
        answers: the targets of the run's task.
        keys: the arrays to hold.
        earlier: recordings with the same weights, the newest first.
        report: called with the progress.
    """
    unknown = network.configuration.vocabulary.unknown_in(text)
    if not labels:
        return TextRecording(network, [], np.zeros(0, np.int64), {}, describe(network), labels, unknown, training_step)
    readings = sequences_of(network, text)
    if not can_continue(network.configuration):
        report(0, len(labels))
        drives = any("." in name for _, name, _ in keys)
        trace = record(network, text, top=MAX_PREDICTIONS, answers=answers, drives=drives, check=False)
        sequences = [_from_trace(trace, row, tokens, keys) for row, tokens in enumerate(readings)]
        known = (trace.lengths, trace.steps, trace.attributes)
        return TextRecording(network, sequences, *known, labels, unknown, training_step)
    recordings = [sequence for old in earlier for sequence in old.sequences]
    sequences = record_sequences(network, readings, keys, recordings, report)
    targets = targets_of(network, text, readings, answers)
    steps = _steps(network, sequences, targets, report)
    lengths = np.array([len(tokens) for tokens in readings], np.int64)
    return TextRecording(network, sequences, lengths, steps, describe(network), labels, unknown, training_step)


def extended(recording: TextRecording, keys: Sequence[Key], report: Report) -> TextRecording:
    """Return a recording of the same text that holds other arrays as well; older ones are dropped if there is no room.

    Args:
        recording: the recording.
        keys: the arrays to hold.
        report: called with the progress.
    """
    missing = [key for key in keys if not recording.has([key])]
    readings = [sequence.tokens for sequence in recording.sequences]
    added = record_sequences(recording.network, readings, missing, [], report)
    keeps_all = recording.nbytes + sum(sequence.nbytes for sequence in added) <= EXTENDED_BYTES
    sequences: dict[int, SequenceRecording] = {}
    for old, new in zip(recording.sequences, added, strict=True):
        arrays = {key: array for key, array in old.arrays.items() if keeps_all or key in keys}
        sequences[id(old)] = SequenceRecording(old.tokens, {**arrays, **new.arrays}, old.states or new.states)
    return replace(recording, sequences=[sequences[id(old)] for old in recording.sequences])


def _from_trace(trace: Trace, row: int, tokens: Reading, keys: Sequence[Key]) -> SequenceRecording:
    """Return one sequence of a trace."""
    length = int(trace.lengths[row])
    arrays: dict[Key, Array] = {}
    for key in keys:
        layer, name, neurons = key
        values = trace.layers[layer][name][row, :length]
        arrays[key] = np.ascontiguousarray(values if neurons is None else values[:, list(neurons)])
    return SequenceRecording(tokens, arrays)


def _steps(
    network: Network, sequences: Sequence[SequenceRecording], targets: Reading, report: Report
) -> dict[str, Array]:
    """Return the arrays of the steps as a trace has them: the readout is evaluated for the same steps at a time."""
    configuration = network.configuration
    tokens, lengths = padded([sequence.tokens for sequence in sequences])
    rows, total = tokens.shape[:2]
    size = max(1, min(PASS_STEPS, PASS_PREDICTIONS // configuration.predicted) // rows)
    top = configuration.names[-1]
    dtype = network.readout_biases.dtype
    parts: list[dict[str, Array]] = []
    for start in range(0, total, size):
        stop = min(start + size, total)
        report(start, total)
        hidden = torch.zeros(stop - start, rows, configuration.layers[-1].neurons, dtype=dtype)
        for row, sequence in enumerate(sequences):
            part = sequence.arrays[top, "h", None][start:stop]
            hidden[: len(part), row] = torch.from_numpy(part)
        mask = torch.arange(start, stop)[:, None] < torch.from_numpy(lengths)
        with torch.inference_mode(), evaluating(network):
            run = Pass(slice(start, stop), mask, None, Output(network.read_out(hidden), (), ()))
            parts.append(
                step_arrays(configuration, run, tokens[:, start:stop], targets[:, start:stop], MAX_PREDICTIONS)
            )
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


def _drives_of(network: Network, number: int, sequence: SequenceRecording, neurons: list[int]) -> dict[str, Array]:
    """Return the drives of some neurons of one sequence, (R, T) in float64.

    Each number is one sum over the inputs of its own step, so that a longer text does not change it.
    """
    configuration = network.configuration
    name, tape = configuration.names[number], configuration.layers[number].cell.tape
    weights = {key: value.detach().numpy() for key, value in network.parameters_of(number).by_name().items()}
    steps = len(sequence.tokens)
    drives: dict[str, Array] = {}
    if tape.recurrent_drives:
        hidden = sequence.arrays[name, "h", None]
        before = np.concatenate([network.initial_states(1)[number]["h"].numpy(), hidden[:-1]])
        for k, drive in enumerate(tape.recurrent_drives):
            drives[f"u.{drive}"] = _row_sums(before, weights["recurrent_weights"][k, neurons])
    below = layers_below(configuration, number)
    embedding = None if network.embedding is None or below else network.embedding.detach().numpy()
    for k, drive in enumerate(tape.input_drives):
        rows, biases = weights["input_weights"][k, neurons], weights["biases"][k, neurons].astype(np.float64)
        if below:
            products = _row_sums(sequence.arrays[configuration.names[below[0]], "h", None], rows)
        elif sequence.tokens.ndim == 2:
            products = _row_sums(sequence.tokens, rows)
        else:
            known = is_symbol(sequence.tokens, rows.shape[1] if embedding is None else len(embedding))
            tokens = np.where(known, sequence.tokens, 0)
            products = rows[:, tokens].astype(np.float64) if embedding is None else _row_sums(embedding[tokens], rows)
            products = np.where(known, products, 0.0)
        drives[f"x.{drive}"] = products + biases[:, None]
    assert all(values.shape == (len(neurons), steps) for values in drives.values())
    return drives


def _row_sums(vectors: Array, rows: Array) -> Array:
    """Return the products of vectors (T, I) and rows (R, I) as (R, T) in float64, a block of steps at a time."""
    products = np.empty((len(rows), len(vectors)))
    for start in range(0, len(vectors), BLOCK_STEPS):
        block = vectors[start : start + BLOCK_STEPS].astype(np.float64)
        for row, weights in enumerate(rows):
            products[row, start : start + len(block)] = (block * weights).sum(axis=1)
    return products
