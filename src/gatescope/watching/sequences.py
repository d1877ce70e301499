"""The sequences that many calls of a module make together.

A call goes on with a row where the row starts from the states in which another ended: a decoder, a cell in a loop,
truncated backpropagation through time. Any other row starts a sequence: an episode that begins anew, in one row of a
batch perhaps, where the states of the others are handed on.

`B` row of a call, `S` sequence, `T` step, `N` neuron.
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
    """Pieces that follow each other: the number of the call and its row, and the row's steps."""

    pieces: list[tuple[int, int, int]] = field(default_factory=list)


def joined(calls: Sequence[Call]) -> Call:
    """Return all calls as one, whose batch has a row for each sequence, in the order in which they began.

    Raises:
        WatchError: one of the calls cannot be recorded, or the weights changed in between.
    """
    first = calls[0]
    for number, call in enumerate(calls):
        if call.problem:
            raise WatchError(call.problem)
        if call.module is not first.module:
            raise WatchError("SEQUENCES_CALLED_TIMES_WEIGHTS_CHANGED", name=first.name, count=len(calls), number=number)
    if len(calls) == 1:
        return first
    return _as_one(calls, _sequences(calls))


def _sequences(calls: Sequence[Call]) -> list[_Sequence]:
    """The sequences of calls with the same weights."""
    found: list[_Sequence] = []
    ends: dict[bytes, list[_Sequence]] = {}  # the states in which sequences ended that may go on
    for number, call in enumerate(calls):
        steps, rows, _ = call.batch.inputs.shape
        lengths = [steps] * rows if call.batch.lengths is None else call.batch.lengths.tolist()
        goes_on = bool(call.final) and not call.module.bidirectional
        starts = _rows(call.state, call.handed_on) if goes_on and call.state is not None else None
        places = []
        for row, length in enumerate(lengths):
            start = None if starts is None else starts[row]
            earlier = None if start is None else _taken(ends.get(start, []), row)
            if earlier is None:
                earlier = _Sequence()
                found.append(earlier)
            earlier.pieces.append((number, row, length))
            places.append(earlier)
        if goes_on:
            for one, end in zip(places, _rows(call.final, True), strict=True):
                if end is not None:
                    ends.setdefault(end, []).append(one)
    return found


def _taken(candidates: list[_Sequence], row: int) -> _Sequence | None:
    """Take the sequence that goes on out of those that ended in these states: the last one, of the same row if any."""
    if not candidates:
        return None
    best = max(range(len(candidates)), key=lambda k: (candidates[k].pieces[-1][1] == row, k))
    return candidates.pop(best)


def _rows(states: Mapping[str, Tensor], zeros: bool) -> list[bytes | None]:
    """The bytes of the states of each row; without `zeros`, None where they are 0: so a program starts anew."""
    flat = [value.transpose(0, 1).flatten(1) for value in states.values()]
    values = (torch.cat(flat, 1) + 0.0).contiguous().cpu()  # -0 becomes 0
    started = (values != 0).any(1).tolist()
    data = values.view(torch.uint8).numpy()
    return [data[row].tobytes() if zeros or some else None for row, some in enumerate(started)]


def _as_one(calls: Sequence[Call], sequences: Sequence[_Sequence]) -> Call:
    """The sequences as the rows of one call."""
    first = calls[0]
    lengths = [sum(length for *_, length in one.pieces) for one in sequences]
    longest = max(lengths, default=0)
    inputs, outputs = (
        values.new_zeros(longest, len(sequences), values.shape[2]) for values in (first.batch.inputs, first.outputs)
    )
    some = any(calls[one.pieces[0][0]].state is not None for one in sequences)
    states, final = (
        {name: value.new_zeros(value.shape[0], len(sequences), value.shape[2]) for name, value in first.final.items()}
        for _ in range(2)
    )
    for column, one in enumerate(sequences):
        step = 0
        for number, row, length in one.pieces:
            inputs[step : step + length, column] = calls[number].batch.inputs[:length, row]
            outputs[step : step + length, column] = calls[number].outputs[:length, row]
            step += length
        (start, row, _), (end, last, _) = one.pieces[0], one.pieces[-1]
        for name in first.final:
            given = calls[start].state
            if given is not None:
                states[name][:, column] = given[name][:, row]
            final[name][:, column] = calls[end].final[name][:, last]
    same = len(set(lengths)) <= 1
    batch = Batch(inputs, None if same else torch.tensor(lengths, device=inputs.device))
    own = next((call.own for call in calls if call.own), "")
    return replace(first, batch=batch, state=states if some else None, outputs=outputs, final=final, own=own)
