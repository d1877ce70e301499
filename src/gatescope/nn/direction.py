"""One direction of one layer: its weights, its projection, and running it.

`T` steps, `B` sequences, `N` neurons, `P` projected values, `G` input drives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gatescope.cells import Cell
from gatescope.engine import Engine, Intervention, Parameters, run
from gatescope.nn.traces import LayerRun


@dataclass(frozen=True)
class Projected:
    """The projection of a hidden state (Sak, Senior and Beaufays 2014).

    The recurrent drives are weights · (projection · h) = (weights · projection) · h, so with this product as its
    recurrent weights the layer is an ordinary layer of N neurons.

    Attributes:
        projection: the output of the layer is projection · h.
        weights: the recurrent weights, which multiply the output one step earlier.
    """

    projection: Float[Tensor, "P N"]
    weights: Float[Tensor, "G N P"]


@dataclass(frozen=True)
class Direction:
    """One direction of one layer.

    Attributes:
        layer: the number of the layer, from 0.
        reverse: whether it reads from the last step to the first.
        parameters: its weights.
        projected: the projection of h, if the layer has one.
    """

    layer: int
    reverse: bool
    parameters: Parameters
    projected: Projected | None = None


def run_direction(
    cell: Cell,
    direction: Direction,
    inputs: Tensor,
    state: dict[str, Tensor] | None,
    lengths: Tensor | None,
    keep: Sequence[str],
    changes: Sequence[Intervention],
    engine: Engine,
    hidden: Float[Tensor, "T B N"] | None,
) -> tuple[LayerRun, Tensor, dict[str, Tensor]]:
    """Run one direction of one layer; return the run, its outputs (T, B, N or P) and its final states.

    `changes` are interventions; the other arguments are those of `gatescope.engine.run`.

    If the `hidden` states are known, every step reads them and they are the outputs. They are also the signal h, unless
    the value of the equations is to be kept.
    """
    parameters, reverse, projected = direction.parameters, direction.reverse, direction.projected
    if projected is not None and state is not None:
        parameters, inputs, state = _with_initial_projection(parameters, projected, reverse, inputs, state, lengths)
    signals, final = run(
        cell,
        parameters,
        inputs,
        state,
        lengths=lengths,
        reverse=reverse,
        keep=keep,
        interventions=changes,
        hidden=hidden,
        engine=engine,
    )
    if hidden is not None:
        signals.setdefault("h", hidden)
    layer_run = LayerRun(direction.layer, reverse, parameters, inputs, state, signals, changes, engine)
    if projected is None:
        return layer_run, signals["h"] if hidden is None else hidden, final
    projection = projected.projection.t()
    return layer_run, signals["h"] @ projection, {**final, "h": final["h"] @ projection}


def _with_initial_projection(
    weights: Parameters,
    projected: Projected,
    reverse: bool,
    inputs: Tensor,
    state: dict[str, Tensor],
    lengths: Tensor | None,
) -> tuple[Parameters, Tensor, dict[str, Tensor]]:
    """Return a layer that starts from a projected hidden state as one that starts from 0.

    No h need have this projection. The first step therefore reads the initial state as P more inputs.
    """
    projection = state["h"]
    steps = torch.arange(len(inputs), device=inputs.device).unsqueeze(1)
    first = 0 if not reverse else len(inputs) - 1 if lengths is None else lengths - 1
    more_inputs = projection.where((steps == first).unsqueeze(2), 0).expand(-1, *projection.shape)
    more_weights = torch.cat([weights.input_weights, projected.weights], 2)
    zeros = projection.new_zeros(len(projection), weights.biases.shape[1])
    return (
        replace(weights, input_weights=more_weights),
        torch.cat([inputs, more_inputs], 2),
        {**state, "h": zeros},
    )
