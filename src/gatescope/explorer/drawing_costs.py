"""Which arrays a recording for the page holds, and an upper bound of the memory that it needs.

`S` sequence, `T` step, `N` neuron.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gatescope.configuration import Configuration
from gatescope.explorer.costs import (
    BYTES_OF_LABEL,
    COPIES_OF_PREDICTIONS,
    OBJECT_BYTES,
    arrays_of_step,
    recording_bytes,
)
from gatescope.explorer.sequence_recording import BYTES_OF_STATES, Key, can_continue, most_piece_steps
from gatescope.explorer.wire import MAX_PREDICTIONS, TraceRequest, requested_arrays
from gatescope.network import PASS_PREDICTIONS, PASS_STEPS

Scope = Literal["network", "layer", "signal"]
SCOPES: tuple[Scope, ...] = ("network", "layer", "signal")
"""What is held: all signals of all layers, those of the shown layer, or the shown signals alone."""
SCOPE_BYTES: dict[Scope, int] = {"network": 64 << 20, "layer": 384 << 20}
"""The most bytes that a recording of a scope holds; a longer text gets the next scope."""
MAX_SINGLE_NEURONS = 8  # whose drives are computed on their own
BYTES_OF_STEP = 64  # of the arrays of steps, for each of the most probable predictions
BYTES_OF_CHARACTER = 400  # of a label, while it is written as JSON


def needed_keys(configuration: Configuration, request: TraceRequest, scope: Scope) -> list[Key]:
    """Return the arrays that a recording of a scope holds to answer a request.

    Args:
        configuration: the network.
        request: the request.
        scope: what is held.

    Raises:
        RequestError: the network has no such layer, signal or neuron.
    """
    names, layers = configuration.names, configuration.layers
    number, arrays = requested_arrays(configuration, request)
    layer = layers[number]
    single = _is_single(request.neurons)
    with_drives = request.drives or request.detail is not None
    whole = not can_continue(configuration)  # such a network is recorded with its drives
    keys: list[Key] = []
    if (request.drives and not single) or (whole and with_drives):
        keys += [(request.layer, drive, None) for drive in layer.cell.drives]
    if scope == "network":
        return keys + [(name, s, None) for name, each in zip(names, layers, strict=True) for s in each.cell.signals]
    if scope == "layer":
        keys += [(request.layer, name, None) for name in layer.cell.signals]
    else:
        signals = [name for name in arrays if name in layer.cell.signals]
        keys += [(request.layer, name, request.neurons if single else None) for name in signals]
        if request.detail is not None:
            keys += [(request.layer, name, (request.detail,)) for name in layer.cell.signals]
    # The readout reads the highest layer; the drives of a neuron read its own layer and the one below.
    hidden = {*configuration.levels[-1]} | ({number, *layers_below(configuration, number)} if with_drives else set())
    return list(dict.fromkeys([*keys, *((names[k], "h", None) for k in sorted(hidden))]))


def _is_single(neurons: Sequence[int] | None) -> bool:
    return neurons is not None and len(neurons) <= MAX_SINGLE_NEURONS


def layers_below(configuration: Configuration, number: int) -> tuple[int, ...]:
    """Return the numbers of the layers whose hidden states a layer reads; none for the first ones."""
    depth = next(k for k, level in enumerate(configuration.levels) if number in level)
    return tuple(configuration.levels[depth - 1]) if depth else ()


def held_bytes(configuration: Configuration, request: TraceRequest, steps: int, scope: Scope) -> int:
    """Return the bytes of the arrays that a recording holds.

    Args:
        configuration: the network.
        request: the request.
        steps: the number of steps of all sequences.
        scope: what is held.
    """
    neurons = {name: layer.neurons for name, layer in zip(configuration.names, configuration.layers, strict=True)}
    keys = needed_keys(configuration, request, scope)
    columns = sum(neurons[key[0]] if key[2] is None else len(key[2]) for key in keys)
    return 4 * columns * (steps + steps // 8)  # with the room for appended letters


def drawing_bytes(
    configuration: Configuration, request: TraceRequest, sequences: int, longest: int, steps: int, scope: Scope
) -> int:
    """Return the bytes of a recording for the page and of the answer that is made of it, without the network.

    Args:
        configuration: the network.
        request: the request.
        sequences: S.
        longest: T, the number of steps of the longest sequence.
        steps: the number of steps of all sequences.
        scope: what is held.
    """
    number, names = requested_arrays(configuration, request)
    layer = configuration.layers[number]
    rows = layer.neurons if request.neurons is None else len(request.neurons)
    detail = 0 if request.detail is None else arrays_of_step(layer)
    answer = 2 * steps * (4 * (rows * len(names) + detail) + BYTES_OF_STEP * MAX_PREDICTIONS + BYTES_OF_CHARACTER)
    padded = sequences * longest
    if not can_continue(configuration):
        return recording_bytes(configuration, sequences, longest) + answer
    piece = min(padded, most_piece_steps(configuration))
    values = sum(each.neurons * arrays_of_step(each) for each in configuration.layers)
    predicted = min(padded, max(sequences, min(PASS_STEPS, PASS_PREDICTIONS // configuration.predicted)))
    states = BYTES_OF_STATES * (1 + steps // most_piece_steps(configuration))
    return (
        OBJECT_BYTES
        + held_bytes(configuration, request, steps, scope)
        + 2 * 4 * values * piece
        + 4 * configuration.layers[-1].neurons * predicted
        + 4 * COPIES_OF_PREDICTIONS * configuration.predicted * predicted
        + BYTES_OF_STEP * MAX_PREDICTIONS * padded
        + BYTES_OF_LABEL * steps
        + states * sum(each.neurons * len(each.cell.states) for each in configuration.layers)
        + answer
    )
