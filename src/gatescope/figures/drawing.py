"""What all figures share: the package that draws, fonts, the choice of a sequence and of signals, captions."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gatescope.errors import GatescopeError
from gatescope.figures.colours import INK, MUTE, Scale, pixels
from gatescope.names import layer_name
from gatescope.studies.common.arrays import check_neuron, check_sequence, signal_of
from gatescope.trace import MissingPackageError, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_STEPS = 2000  # of a figure; a longer text is a page of its own in the explorer
STEPS_OF_LINE = 80
INCHES_OF_STEP, INCHES_OF_ROW = 0.09, 0.14
POINTS_OF_LETTER, POINTS_OF_NAME = 7, 7
MIN_INCHES = 2.0
CAPTION_LETTERS_OF_INCH = 22
# The first fonts that are installed; a later one has the letters that an earlier one lacks.
LETTER_FONTS = ("DejaVu Sans Mono", "Noto Sans Mono CJK SC", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei")


class FigureError(GatescopeError):
    """A figure cannot be drawn from these arguments."""


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, which belongs to no window.

    Args:
        width: its width.
        height: its height.

    Raises:
        MissingPackageError: Matplotlib is not installed.
    """
    try:
        from gatescope.figures.shown import ShownFigure  # noqa: PLC0415  an extra
    except ImportError as error:
        raise MissingPackageError("FIGURES_MATPLOTLIB_MISSING") from error
    return ShownFigure(figsize=(max(MIN_INCHES, width), height), dpi=200, facecolor="white", layout="constrained")


def letter_fonts() -> list[str]:
    """Return the installed fonts for the letters of a text."""
    from matplotlib import font_manager  # noqa: PLC0415  an extra

    installed = set(font_manager.get_font_names())
    return [name for name in LETTER_FONTS if name in installed]


def main_signal(trace: Trace, layer: str) -> str:
    """Return the memory of a layer: c, or h of a cell without one."""
    return "c" if "c" in trace.layers[layer] else "h"


def chosen_layer(trace: Trace, layer: int | str | None) -> str:
    """Return the name of a layer of a trace; None: the last one, which the readout reads.

    Raises:
        FigureError: the trace has no layer.
        TraceError: the trace has no such layer.
    """
    if layer is None:
        if not trace.layers:
            raise FigureError("FIGURES_LAYERS_EMPTY")
        return list(trace.layers)[-1]
    trace[layer]  # refuses an unknown layer
    name = layer_name(layer, list(trace.layers))
    assert name is not None
    return name


def chosen_steps(trace: Trace, sequence: int, steps: tuple[int, int] | None) -> range:
    """Return the steps of a sequence that are drawn.

    Raises:
        StudyError: the trace has no such sequence.
        FigureError: the sequence has no such steps, or they are too many for a figure.
    """
    length = check_sequence(trace, sequence)
    first, end = (0, length) if steps is None else steps
    if not 0 <= first < end <= length:
        raise FigureError("FIGURES_STEPS_OUTSIDE", steps=(first, end), length=length)
    if end - first > MAX_STEPS:
        raise FigureError("FIGURES_STEPS_TOO_MANY", steps=end - first, max_steps=MAX_STEPS)
    return range(first, end)


def values_of(
    trace: Trace, layer: str, signal: str, sequence: int, steps: range, neurons: Sequence[int] | None
) -> tuple[NDArray[np.float64], list[int]]:
    """Return the values of a signal, (N, T), and the numbers of the neurons.

    Raises:
        StudyError: the layer has no such signal or neuron.
    """
    array = signal_of(trace, layer, signal)
    chosen = list(range(array.shape[2])) if neurons is None else [int(neuron) for neuron in neurons]
    for neuron in chosen:
        check_neuron(trace, layer, signal, neuron)
    if not chosen:
        raise FigureError("FIGURES_NEURONS_EMPTY")
    part = np.asarray(array[sequence, steps.start : steps.stop], np.float64)
    return np.ascontiguousarray(part[:, chosen].T), chosen


def bounds_of(trace: Trace, layer: str, signal: str) -> tuple[float | None, float | None]:
    """Return the smallest and the largest value that a signal can have; None where there is none, or none is known."""
    about = trace.attributes.get("layers", {}).get(layer, {}).get("arrays", {}).get(signal, {})
    low, high = about.get("range", (None, None))
    return low, high


def title_of_signal(trace: Trace, layer: str, signal: str) -> str:
    """Return the name of a signal with its title, as in "c, cell state"."""
    about = trace.attributes.get("layers", {}).get(layer, {}).get("arrays", {}).get(signal, {})
    title = about.get("title", "")
    return f"{signal}, {title}" if title else signal


def lines_of(steps: range, columns: int) -> list[range]:
    """Divide steps into lines."""
    if columns < 1:
        raise FigureError("FIGURES_COLUMNS_TOO_FEW", columns=columns)
    return [steps[start : start + columns] for start in range(0, len(steps), columns)]


def printable(label: str) -> str:
    """Return the label of a step with signs for newline and tab."""
    return label.replace("\n", "⏎").replace("\t", "⇥")


def draw_letters(axes: Axes, trace: Trace, sequence: int, steps: range, y: float) -> None:
    """Write the symbols of some steps above their columns; a letter that is twice as wide gets no more room."""
    fonts = letter_fonts()
    for column, label in enumerate(trace.step_labels(sequence, steps.start, steps.stop)):
        shown = printable(label)
        is_wide = any(unicodedata.east_asian_width(letter) in "WF" for letter in shown)
        size = POINTS_OF_LETTER * min(1.0, (0.8 if is_wide else 1.0) * 1.4 / max(1, len(shown)))
        # `parse_math=False`: a "$" is a symbol like any other.
        axes.text(column, y, shown, ha="center", va="bottom", fontsize=size, color=INK, family=fonts, parse_math=False)


def draw_strips(
    axes: Axes, values: NDArray[np.float64], scales: Sequence[Scale], names: Sequence[str], columns: int
) -> None:
    """Draw rows of coloured cells, each on its own scale.

    Args:
        axes: the axes, whose y goes down row by row.
        values: (rows, T).
        scales: one for each row.
        names: what stands before each row.
        columns: the number of cells that fit beside each other.
    """
    colours = np.stack([pixels(scale, row) for scale, row in zip(scales, values, strict=True)])
    axes.imshow(
        colours, interpolation="nearest", aspect="auto", extent=(-0.5, values.shape[1] - 0.5, len(values) - 0.5, -0.5)
    )
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_yticks(range(len(names)), names, fontsize=POINTS_OF_NAME, color=INK)
    axes.set_xticks([])
    axes.tick_params(length=0, pad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)


def caption_of(trace: Trace, layer: str) -> str:
    """Return what a figure says about its origin: the cell, the layer and the version that recorded it."""
    about: dict[str, Any] = trace.attributes.get("layers", {}).get(layer, {})
    cell = about.get("cell", {}).get("title", "")
    version = trace.attributes.get("version", "")
    return ", ".join(part for part in (cell, layer, f"gatescope {version}" if version else "") if part)


def draw_caption(figure: Figure, text: str) -> None:
    """Write a line below a figure, broken where it is longer than the figure is wide."""
    columns = max(20, int(figure.get_figwidth() * CAPTION_LETTERS_OF_INCH))
    figure.supxlabel("\n".join(textwrap.wrap(text, columns)), fontsize=6, color=MUTE, x=0.01, ha="left")
