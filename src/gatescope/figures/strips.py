"""Neurons over a text: a row of coloured cells for each neuron, below the letters that the network reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gatescope.figures.colours import scale_of
from gatescope.figures.drawing import (
    INCHES_OF_ROW,
    INCHES_OF_STEP,
    STEPS_OF_LINE,
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

MARGIN_INCHES = 0.5
LINE_GAP_ROWS = 2.2


def strips(
    trace: Trace,
    neurons: Sequence[int] | None = None,
    *,
    signal: str | None = None,
    layer: int | str | None = None,
    sequence: int = 0,
    steps: tuple[int, int] | None = None,
    columns: int = STEPS_OF_LINE,
    own_scales: bool = False,
) -> Figure:
    """Draw a signal of some neurons at every step of a text.

    Args:
        trace: the trace.
        neurons: the neurons, in the order of the rows; None: all of the layer.
        signal: the signal; None: the cell state c, or h of a cell without one.
        layer: the layer; None: the last one.
        sequence: the sequence.
        steps: the first step and the step after the last one; None: all.
        columns: the steps of a line; a longer text has several lines.
        own_scales: give each neuron a scale of its own, instead of one for all.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        FigureError: the steps, columns or neurons cannot be drawn.
        TraceError, StudyError: the trace has no such layer, signal, neuron or sequence.
        MissingPackageError: Matplotlib is not installed.
    """
    name = chosen_layer(trace, layer)
    chosen = signal or main_signal(trace, name)
    drawn = chosen_steps(trace, sequence, steps)
    values, numbers = values_of(trace, name, chosen, sequence, drawn, neurons)
    bounds = bounds_of(trace, name, chosen)
    scales = [scale_of(bounds, row if own_scales else values) for row in values]
    lines = lines_of(drawn, columns)
    width = min(columns, len(drawn))
    rows = len(lines) * (len(numbers) + LINE_GAP_ROWS)
    figure = new_figure(2 * MARGIN_INCHES + width * INCHES_OF_STEP, MARGIN_INCHES + rows * INCHES_OF_ROW)
    all_axes = figure.subplots(len(lines), 1, squeeze=False)[:, 0]
    for axes, line in zip(all_axes, lines, strict=True):
        part = values[:, line.start - drawn.start : line.stop - drawn.start]
        draw_strips(axes, part, scales, [str(number) for number in numbers], width)
        draw_letters(axes, trace, sequence, line, -0.6)
    ends = "a scale for each neuron" if own_scales else scales[0].text
    draw_caption(figure, f"{title_of_signal(trace, name, chosen)}, {ends}. {caption_of(trace, name)}")
    return figure
