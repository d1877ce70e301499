"""The check of a recording for the page: the text is run again in pieces, and every equation evaluated in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gatescope import checking
from gatescope.explorer.requests import RequestError
from gatescope.explorer.sequence_recording import can_continue, piece_steps
from gatescope.explorer.text_recording import TextRecording
from gatescope.recording import cells_of, record_pieces, weights_of
from gatescope.trace import Trace


def check_recording(recording: TextRecording, text: str, stop_if_replaced: Callable[[], None]) -> float:
    """Return the largest residual of any equation of a recorded text, and note it in the recording.

    Args:
        recording: the recording.
        text: its text.
        stop_if_replaced: called after each piece; raises an error if nobody waits for the result any more.

    Raises:
        RequestError: an equation does not hold, or the recording has other values than its equations give (422).
    """
    if not recording.labels:
        return 0.0
    if recording.residual is None:
        network = recording.network
        size = piece_steps(network, len(recording.lengths)) if can_continue(network.configuration) else None
        weights, cells = weights_of(network), cells_of(network)
        largest, start = 0.0, 0
        for piece in record_pieces(network, text, top=1, check=False, steps_of_piece=size):
            report = checking.check(piece, weights, cells=cells)
            if not report.holds:
                raise _failure(report)
            _compare(recording, piece, start, report.tolerance)
            largest, start = max(largest, report.largest), start + piece.steps["token"].shape[1]
            stop_if_replaced()
        recording.residual = largest
    return recording.residual


def _failure(report: checking.Report) -> RequestError:
    """Return the error that names the equation with the largest residual."""
    worst = max(report.residuals, key=lambda residual: residual.largest or 0.0)
    return RequestError(
        "EXPLORER_CHECK_FAILED",
        status=422,
        layer=worst.layer,
        equation=worst.formula,
        residual=f"{report.largest:.3g}",
        tolerance=f"{report.tolerance:.3g}",
    )


def _compare(recording: TextRecording, piece: Trace, start: int, tolerance: float) -> None:
    """Refuse a recording that differs from a checked piece that begins at a step.

    Drives of a whole layer are products of matrices, whose rounding depends on the number of steps: they may differ by
    as much as a checked value may differ from its equation. Signals have the same bits.

    Raises:
        RequestError: a value differs.
    """
    for row, sequence in enumerate(recording.sequences):
        count = int(piece.lengths[row])
        for (layer, name, neurons), array in sequence.arrays.items():
            recorded = array[start : start + count]
            values = piece.layers[layer][name][row, :count]
            values = values if neurons is None else values[:, list(neurons)]
            if "." in name:
                same = bool((np.abs(recorded - values) <= tolerance * np.maximum(1, np.abs(values))).all())
            else:
                same = np.array_equal(recorded, values)
            if not same:
                raise RequestError("EXPLORER_RECORDING_DIFFERS", status=422, layer=layer, signal=name)
