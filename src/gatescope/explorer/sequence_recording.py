"""Recordings of single sequences for the page: only the arrays that are drawn, continued from earlier texts.

The native engine computes every step in the same order of additions, whatever ran before it or beside it. A sequence
that begins like a recorded one is therefore continued from the state after the common steps, bit for bit.

`T` step, `S` sequence, `N` neuron.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatescope.configuration import Configuration
from gatescope.engine import State
from gatescope.engine.native import unserved_cell
from gatescope.network import Network, evaluating, expected_tensors, padded
from gatescope.vocabulary import Reading

Array = NDArray[Any]
Key = tuple[str, str, tuple[int, ...] | None]
"""A layer, a signal or drive, and its neurons; None for all neurons."""
Report = Callable[[int, int], None]
"""Called with the number of computed steps and of all steps; may raise an error, which gives the recording up."""

PIECE_PRODUCTS = 1 << 31  # of weights and steps, between two looks at whether anybody still waits: about 0.2 seconds
MIN_PIECE_STEPS = 64
MAX_PIECE_STEPS = 4096
BYTES_OF_STATES = 8  # of a number of a state that is kept after a piece
GROUP_SEQUENCES = 64  # that run side by side


class _Room:
    """Memory for an array and the steps that may be appended to it, so that a letter need not copy a long text.

    Attributes:
        array: (steps, N), of which the first `used` steps belong to recordings.
    """

    def __init__(self, steps: int, neurons: int, dtype: np.dtype[Any]) -> None:
        self.array: Array = np.empty((steps + max(MIN_PIECE_STEPS, steps // 8), neurons), dtype)
        self.used = steps


@dataclass(eq=False)
class SequenceRecording:
    """The recorded arrays of one sequence.

    Attributes:
        tokens: ids (T,), or numbers (T, I).
        arrays: the values of some signals and drives, (T, N) each. Their steps are never changed: sequences that begin
            with the same steps may share the memory.
        states: number of computed steps -> the states of every layer after them, (1, N) each.
    """

    tokens: Reading
    arrays: dict[Key, Array] = field(default_factory=dict)
    states: dict[int, Sequence[State]] = field(default_factory=dict)
    _rooms: dict[Key, _Room] = field(default_factory=dict)

    def allocate(self, key: Key, neurons: int, dtype: np.dtype[Any]) -> Array:
        """Add an array with unknown values."""
        room = self._rooms[key] = _Room(len(self.tokens), neurons, dtype)
        self.arrays[key] = room.array[: len(self.tokens)]
        return self.arrays[key]

    def continue_array(self, key: Key, source: SequenceRecording, start: int) -> None:
        """Add an array whose first steps are those of another recording; the others are unknown."""
        old, room, steps = source.arrays[key], source._rooms.get(key), len(self.tokens)
        if room is not None and start == room.used == len(old) and steps <= len(room.array):
            room.used = steps
            self._rooms[key], self.arrays[key] = room, room.array[:steps]
            return
        self.allocate(key, old.shape[1], old.dtype)[:start] = old[:start]

    @property
    def nbytes(self) -> int:
        """The bytes of all arrays and states."""
        states = [value for layers in self.states.values() for layer in layers for value in layer.values()]
        return sum(array.nbytes for array in self.arrays.values()) + sum(value.nbytes for value in states)

    def state_before(self, network: Network, step: int) -> tuple[int, Sequence[State] | None]:
        """Return the last step up to `step` before which the states are known, and these states; None for the first."""
        if step == 0:
            return 0, None
        names, layers = network.configuration.names, network.configuration.layers
        keys = [[(name, state, None) for state in layer.cell.states] for name, layer in zip(names, layers, strict=True)]
        if all(key in self.arrays for of_layer in keys for key in of_layer):
            row = slice(step - 1, step)
            return step, [
                {key[1]: torch.from_numpy(self.arrays[key][row].copy()) for key in of_layer} for of_layer in keys
            ]
        step = max((known for known in self.states if known <= step), default=0)
        return step, self.states.get(step)


def record_sequences(
    network: Network,
    sequences: Sequence[Reading],
    keys: Iterable[Key],
    earlier: Sequence[SequenceRecording],
    report: Report,
) -> list[SequenceRecording]:
    """Record sequences, each from its initial state; equal steps are taken from earlier recordings.

    Args:
        network: a network that reads forward and that the native engine runs.
        sequences: ids or numbers of each sequence.
        keys: the arrays to record.
        earlier: recordings with the same weights. Those that lack one of the arrays are not used.
        report: called with the progress.

    Returns:
        A recording of each sequence; equal sequences share one.
    """
    keys = list(keys)
    useful = [old for old in earlier if all(key in old.arrays for key in keys)]
    recordings: dict[bytes, SequenceRecording] = {old.tokens.tobytes(): old for old in useful}
    fresh: list[SequenceRecording] = []
    continued: list[tuple[SequenceRecording, int, Sequence[State] | None]] = []
    for tokens in sequences:
        name = tokens.tobytes()
        if name in recordings:
            continue
        recording = recordings[name] = SequenceRecording(tokens)
        start, state, source = _longest_start(network, tokens, useful)
        if source is None:
            fresh.append(recording)
            continue
        for key in keys:
            recording.continue_array(key, source, start)
        recording.states = {step: known for step, known in source.states.items() if step <= start}
        continued.append((recording, start, state))
    total = sum(len(r.tokens) for r in fresh) + sum(len(r.tokens) - start for r, start, _ in continued)
    progress = _Progress(report, total)
    for recording, start, state in continued:
        _run(network, [recording], start, state, keys, progress)
    fresh.sort(key=lambda recording: len(recording.tokens))
    for k in range(0, len(fresh), GROUP_SEQUENCES):
        _run(network, fresh[k : k + GROUP_SEQUENCES], 0, None, keys, progress)
    return [recordings[tokens.tobytes()] for tokens in sequences]


class _Progress:
    """The steps of all sequences of a text that are computed."""

    def __init__(self, report: Report, total: int) -> None:
        self._report, self._total, self._done = report, total, 0
        report(0, total)

    def add(self, steps: int) -> None:
        """Report some more steps."""
        self._done += steps
        self._report(self._done, self._total)


def _longest_start(
    network: Network, tokens: Reading, earlier: Sequence[SequenceRecording]
) -> tuple[int, Sequence[State] | None, SequenceRecording | None]:
    """Return the number of steps that an earlier recording has already, the states after them, and the recording."""
    best: tuple[int, Sequence[State] | None, SequenceRecording | None] = (0, None, None)
    for old in earlier:
        common = common_steps(tokens, old.tokens)
        if common > best[0]:
            step, state = old.state_before(network, common)
            if step > best[0]:
                best = step, state, old
    return best


def common_steps(first: Reading, second: Reading) -> int:
    """Return with how many equal steps two sequences begin."""
    length = min(len(first), len(second))
    same = (first[:length] == second[:length]).reshape(length, -1).all(axis=1)
    return length if same.all() else int(same.argmin())


def piece_steps(network: Network, rows: int) -> int:
    """Return how many steps of `rows` sequences are computed at a time."""
    weights = sum(value.numel() for value in network.layers.parameters())
    return max(1, min(MAX_PIECE_STEPS, max(MIN_PIECE_STEPS, PIECE_PRODUCTS // max(1, weights))) // rows)


def can_continue(configuration: Configuration) -> bool:
    """Return whether every step can be computed from the state before it, with the same bits as in one run."""
    return not configuration.both_ways and not any(unserved_cell(layer.cell) for layer in configuration.layers)


def most_piece_steps(configuration: Configuration) -> int:
    """Return an upper bound of the steps of all sequences that are computed at a time."""
    weights = sum(math.prod(shape) for name, shape in expected_tensors(configuration).items() if "layers." in name)
    return max(GROUP_SEQUENCES, min(MAX_PIECE_STEPS, max(MIN_PIECE_STEPS, PIECE_PRODUCTS // max(1, weights))))


def _run(
    network: Network,
    members: Sequence[SequenceRecording],
    first: int,
    state: Sequence[State] | None,
    keys: Sequence[Key],
    progress: _Progress,
) -> None:
    """Run sequences side by side from one step on, and fill their arrays."""
    names = network.configuration.names
    tokens, lengths = padded([member.tokens[first:] for member in members])
    recorded = [tuple(dict.fromkeys(signal for layer, signal, _ in keys if layer == name)) for name in names]
    keeps_states = not all((name, s, None) in keys for name, s in _states(network))
    size = piece_steps(network, len(members))
    for start in range(0, tokens.shape[1], size):
        part = _inputs(network, tokens[:, start : start + size])
        with torch.inference_mode(), evaluating(network):
            output = network(part, state, keep=recorded, reads="last step")
        state = output.state
        stop = start + len(part)
        for row, member in enumerate(members):
            count = min(stop, int(lengths[row])) - start
            if count <= 0:
                continue
            for layer, signal, neurons in keys:
                values = output.signals[names.index(layer)][signal][:count, row].numpy()
                _put(member, (layer, signal, neurons), first + start, values)
            if keeps_states and state is not None and lengths[row] >= stop:
                member.states[first + stop] = [
                    {name: value[row : row + 1].clone() for name, value in of_layer.items()} for of_layer in state
                ]
        progress.add(int(np.clip(lengths - start, 0, stop - start).sum()))


def _states(network: Network) -> list[tuple[str, str]]:
    configuration = network.configuration
    return [
        (name, state)
        for name, layer in zip(configuration.names, configuration.layers, strict=True)
        for state in layer.cell.states
    ]


def _inputs(network: Network, tokens: Reading) -> Tensor:
    """Return steps (S, T) or (S, T, I) as the network reads them, (T, S) or (T, S, I)."""
    part = torch.from_numpy(np.ascontiguousarray(tokens)).transpose(0, 1)
    if part.is_floating_point():
        return part.to(network.readout_biases.dtype).nan_to_num(0.0)
    return part.long()


def _put(member: SequenceRecording, key: Key, step: int, values: Array) -> None:
    """Copy values (T, N) of the steps from `step` on into an array of a sequence."""
    neurons = key[2]
    if neurons is not None:
        values = values[:, list(neurons)]
    array = member.arrays.get(key)
    if array is None:
        array = member.allocate(key, values.shape[1], values.dtype)
    array[step : step + len(values)] = values
