"""How far gradients reach over a text: the norm of the derivative of every state by every earlier state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gatescope.figures.colours import INK
from gatescope.figures.drawing import (
    INCHES_OF_STEP,
    POINTS_OF_LETTER,
    FigureError,
    caption_of,
    chosen_layer,
    draw_caption,
    draw_letters,
    new_figure,
    printable,
)
from gatescope.network import Network
from gatescope.recording import record, weights_of
from gatescope.sources import sequences_of
from gatescope.studies.gradients.jacobians import exact, jacobians
from gatescope.studies.gradients.products import product_map

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_STEPS = 300
EXACT_STATE_SIZE = 64  # numbers in a state, up to which products are exact
VECTORS = 8  # for larger states
DECADES = 8  # of the colour scale
MARGIN_INCHES = 1.3


def map(network: Network, text: str, *, layer: int | str | None = None) -> Figure:  # noqa: A001
    """Draw the norm of d state_t / d state_s for all steps s up to t of a text.

    Products of Jacobians are exact for states of up to 64 numbers, and estimated from 8 vectors for larger ones
    (`gatescope.studies.gradients.products.product_map`).

    Args:
        network: the network.
        text: a text of at most 300 steps; of several sequences the first one is drawn.
        layer: the layer; None: the last one.

    Returns:
        A `matplotlib.figure.Figure`: rows are the later steps t, columns the earlier steps s.

    Raises:
        FigureError: the text is too long.
        RecordingError, StudyError: the text is empty, or the layer has no state.
        MissingPackageError: Matplotlib is not installed.
    """
    length = len(next(iter(sequences_of(network, text)), ()))
    if length > MAX_STEPS:
        raise FigureError("FIGURES_STEPS_TOO_MANY", steps=length, max_steps=MAX_STEPS)
    copy = exact(network)
    trace = record(copy, text)
    name = chosen_layer(trace, layer)
    derivatives = jacobians(trace, name, weights_of(copy)[name])
    size = len(derivatives.states) * derivatives.neurons
    products = product_map(derivatives, vectors=None if size <= EXACT_STATE_SIZE else VECTORS)
    decades = products.norm / math.log(10)
    top = max(1.0, math.ceil(float(np.nanmax(decades))))
    side = MARGIN_INCHES + length * INCHES_OF_STEP
    figure = new_figure(max(3.0, side + 0.6), max(2.6, side))
    axes = figure.subplots()
    image = axes.imshow(decades, cmap="magma", vmin=top - DECADES, vmax=top, interpolation="nearest")
    steps = range(length)
    draw_letters(axes, trace, 0, steps, -0.7)
    axes.set_xticks([])
    labels = [printable(label) for label in trace.step_labels(0, 0, length)]
    axes.set_yticks(steps, labels, fontsize=POINTS_OF_LETTER, color=INK, parse_math=False)
    axes.tick_params(length=0, pad=2)
    axes.set_ylabel("state after t", fontsize=POINTS_OF_LETTER)
    axes.set_xlabel("state after s", fontsize=POINTS_OF_LETTER)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("log10 of the norm of d state t / d state s", fontsize=POINTS_OF_LETTER)
    bar.ax.tick_params(labelsize=POINTS_OF_LETTER - 1, length=2)
    kind = "exact" if products.exact else f"estimated from {products.vectors} vectors"
    draw_caption(figure, f"Norms of gradients, {kind}. {caption_of(trace, name)}")
    return figure
