"""Joining the calls of a module into sequences.

A row of a call continues a sequence if it starts from the states in which the sequence ended: in a decoder, a cell in a
loop, or truncated backpropagation through time. Any other row begins a sequence: for example an episode that begins in
one row of a batch while the other rows continue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from gatescope.nn.packing import Batch
from gatescope.watching.calls import Call, WatchError


@dataclass
class _Sequence:
    """A sequence of pieces.

    Attributes:
        pieces: for each piece, the number of its call, its row there, and its number of steps.
    """

    pieces: list[tuple[int, int, int]] = field(default_factory=list)


def joined(calls: Sequence[Call]) -> Call:
    """Return all calls as one call, whose batch has a row for each sequence, in the order in which they begin.

    Args:
        calls: calls of one module, at least one.

    Raises:
        WatchError: one of the calls cannot be recorded, or the weights changed in between.
    """
    first = calls[0]
    for number, call in enumerate(calls):
        if call.obstacle is not None:
            raise WatchError(call.obstacle)
        if call.module is not first.module:
            raise WatchError("WATCH_WEIGHTS_CHANGED", name=first.name, count=len(calls), number=number)
    if len(calls) == 1:
        return first
    return _as_one(calls, _sequences(calls))


def _sequences(calls: Sequence[Call]) -> list[_Sequence]:
    """Return the sequences of calls with the same weights."""
    sequences: list[_Sequence] = []
    ends: dict[bytes, list[_Sequence]] = {}  # final states -> sequences that may continue from them
    for number, call in enumerate(calls):
        steps, rows, _ = call.batch.inputs.shape
        lengths = [steps] * rows if call.batch.lengths is None else call.batch.lengths.tolist()
        has_continuation = bool(call.final) and not call.module.bidirectional
        starts = _rows(call.state, call.continued) if has_continuation and call.state is not None else None
        row_sequences = []
        for row, length in enumerate(lengths):
            start = None if starts is None else starts[row]
            sequence = None if start is None else _take_continued(ends.get(start, []), row)
            if sequence is None:
                sequence = _Sequence()
                sequences.append(sequence)
            sequence.pieces.append((number, row, length))
            row_sequences.append(sequence)
        if has_continuation:
            for sequence, end in zip(row_sequences, _rows(call.final, True), strict=True):
                if end is not None:
                    ends.setdefault(end, []).append(sequence)
    return sequences


def _take_continued(candidates: list[_Sequence], row: int) -> _Sequence | None:
    """Remove and return the sequence that a row continues: the last one, and one of the same row if there is any."""
    if not candidates:
        return None
    best = max(range(len(candidates)), key=lambda k: (candidates[k].pieces[-1][1] == row, k))
    return candidates.pop(best)


def _rows(states: Mapping[str, Tensor], zeros: bool) -> list[bytes | None]:
    """Return the bytes of the states of each row; without `zeros`, None for states of 0, which begin a sequence."""
    flat = [value.transpose(0, 1).flatten(1) for value in states.values()]
    values = (torch.cat(flat, 1) + 0.0).contiguous().cpu()  # -0 becomes 0
    nonzero = (values != 0).any(1).tolist()
    data = values.view(torch.uint8).numpy()
    return [data[row].tobytes() if zeros or any_value else None for row, any_value in enumerate(nonzero)]


def _as_one(calls: Sequence[Call], sequences: Sequence[_Sequence]) -> Call:
    """Return the sequences as the rows of one call."""
    first = calls[0]
    lengths = [sum(length for *_, length in sequence.pieces) for sequence in sequences]
    longest = max(lengths, default=0)
    inputs, outputs = (
        values.new_zeros(longest, len(sequences), values.shape[2]) for values in (first.batch.inputs, first.outputs)
    )
    any_state = any(calls[sequence.pieces[0][0]].state is not None for sequence in sequences)
    states, final = (
        {name: value.new_zeros(value.shape[0], len(sequences), value.shape[2]) for name, value in first.final.items()}
        for _ in range(2)
    )
    for column, sequence in enumerate(sequences):
        step = 0
        for number, row, length in sequence.pieces:
            inputs[step : step + length, column] = calls[number].batch.inputs[:length, row]
            outputs[step : step + length, column] = calls[number].outputs[:length, row]
            step += length
        (first_call, first_row, _), (last_call, last_row, _) = sequence.pieces[0], sequence.pieces[-1]
        for name in first.final:
            initial = calls[first_call].state
            if initial is not None:
                states[name][:, column] = initial[name][:, first_row]
            final[name][:, column] = calls[last_call].final[name][:, last_row]
    equal_lengths = len(set(lengths)) <= 1
    batch = Batch(inputs, None if equal_lengths else torch.tensor(lengths, device=inputs.device))
    subclass = next((call.subclass for call in calls if call.subclass), "")
    state = states if any_state else None
    return replace(first, batch=batch, state=state, outputs=outputs, final=final, subclass=subclass)
