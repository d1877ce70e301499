"""One neuron over a text: a row of coloured cells for each of its signals, and the curve of its memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gatescope.figures.colours import INK, MUTE, scale_of
from gatescope.figures.drawing import (
    INCHES_OF_ROW,
    INCHES_OF_STEP,
    POINTS_OF_NAME,
    STEPS_OF_LINE,
    FigureError,
    bounds_of,
    caption_of,
    chosen_layer,
    chosen_steps,
    draw_caption,
    draw_letters,
    draw_strips,
    lines_of,
    main_signal,
    new_figure,
    title_of_signal,
    values_of,
)
from gatescope.trace import Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN_INCHES, NAME_INCHES = 0.5, 1.1
CURVE_ROWS = 6
LINE_GAP_ROWS = 2.5


def gates(
    trace: Trace,
    neuron: int,
    *,
    signals: Sequence[str] | None = None,
    layer: int | str | None = None,
    sequence: int = 0,
    steps: tuple[int, int] | None = None,
    columns: int = STEPS_OF_LINE,
) -> Figure:
    """Draw every gate of one neuron at every step of a text, and the curve of its memory below them.

    Args:
        trace: the trace.
        neuron: the neuron.
        signals: the signals, in the order of the rows; None: all, in the order in which the cell computes them.
        layer: the layer; None: the last one.
        sequence: the sequence.
        steps: the first step and the step after the last one; None: all.
        columns: the steps of a line; a longer text has several lines.

    Returns:
        A `matplotlib.figure.Figure`. The curve shows the cell state c, or h of a cell without one.

    Raises:
        FigureError: the steps or columns cannot be drawn, or there is no signal.
        TraceError, StudyError: the trace has no such layer, signal, neuron or sequence.
        MissingPackageError: Matplotlib is not installed.
    """
    name = chosen_layer(trace, layer)
    chosen = [key for key in trace.layers[name] if "." not in key] if signals is None else list(signals)
    if not chosen:
        raise FigureError("FIGURES_SIGNALS_EMPTY")
    drawn = chosen_steps(trace, sequence, steps)
    values = np.concatenate([values_of(trace, name, signal, sequence, drawn, [neuron])[0] for signal in chosen])
    scales = [scale_of(bounds_of(trace, name, key), row) for key, row in zip(chosen, values, strict=True)]
    memory = main_signal(trace, name)
    curve = values_of(trace, name, memory, sequence, drawn, [neuron])[0][0]
    finite = curve[np.isfinite(curve)]
    low, high = (min(0.0, float(finite.min())), max(0.0, float(finite.max()))) if len(finite) else (0.0, 1.0)
    lines = lines_of(drawn, columns)
    width = min(columns, len(drawn))
    rows = len(lines) * (len(chosen) + CURVE_ROWS + LINE_GAP_ROWS)
    figure = new_figure(NAME_INCHES + MARGIN_INCHES + width * INCHES_OF_STEP, MARGIN_INCHES + rows * INCHES_OF_ROW)
    all_axes = figure.subplots(2 * len(lines), 1, squeeze=False, height_ratios=[len(chosen), CURVE_ROWS] * len(lines))
    names = [f"{title_of_signal(trace, name, key)} ({scale.text})" for key, scale in zip(chosen, scales, strict=True)]
    for k, line in enumerate(lines):
        strip, below = all_axes[2 * k, 0], all_axes[2 * k + 1, 0]
        part = slice(line.start - drawn.start, line.stop - drawn.start)
        draw_strips(strip, values[:, part], scales, names, width)
        draw_letters(strip, trace, sequence, line, -0.6)
        below.axhline(0, color=MUTE, linewidth=0.5)
        below.plot(range(len(line)), curve[part], color=INK, linewidth=1, marker=".", markersize=2)
        below.set_xlim(-0.5, width - 0.5)
        margin = 0.05 * (high - low) or 1.0
        below.set_ylim(low - margin, high + margin)
        below.set_xticks([])
        below.set_ylabel(memory, rotation=0, ha="right", va="center", fontsize=POINTS_OF_NAME)
        below.tick_params(labelsize=POINTS_OF_NAME - 1, length=2)
        for side in ("top", "right", "bottom"):
            below.spines[side].set_visible(False)
    draw_caption(figure, f"Neuron {neuron}. {caption_of(trace, name)}")
    return figure
