"""The plain engine: the tape evaluated on torch tensors, step after step, on any device, with autograd.

`T` steps, `B` sequences, `I` inputs, `N` neurons, `G` input drives.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gatescope.cells import Cell
from gatescope.engine.interventions import Intervention, changes_at
from gatescope.engine.parameters import Parameters
from gatescope.equations import Evaluator, drive_order
from gatescope.vocabulary import is_symbol


def run_plain(
    cell: Cell,
    parameters: Parameters,
    inputs: Float[Tensor, "T B I"] | Int[Tensor, "T B"],
    state: Mapping[str, Float[Tensor, "B N"]],
    lengths: Int[Tensor, "B"] | None,
    reverse: bool,
    keep: Sequence[str],
    interventions: Sequence[Intervention],
    hidden: Float[Tensor, "T B N"] | None = None,
) -> tuple[dict[str, Float[Tensor, "T B N"]], dict[str, Float[Tensor, "B N"]]]:
    """Run the plain engine; return the kept signals and drives and the final state; see `gatescope.engine.run`."""
    order = drive_order(cell.tape, keep)
    input_indices = [cell.tape.input_drives.index(name) for name in (*order.joined, *order.input_alone)]
    recurrent_indices = [cell.tape.recurrent_drives.index(name) for name in (*order.joined, *order.recurrent_alone)]
    all_inputs = input_drives(parameters, input_indices, inputs)
    neurons = parameters.biases.shape[1]
    joined, alone = all_inputs.split([neurons * len(order.joined), neurons * len(order.input_alone)], 2)
    # The recurrent product is added to `base`: to the input part of joined drives, to 0 for recurrent drives alone.
    base = torch.nn.functional.pad(joined, (0, neurons * len(order.recurrent_alone)))
    recurrent_weights = parameters.recurrent_weights[recurrent_indices].flatten(0, 1).t()
    recurrent_names = (*order.joined, *(f"u.{name}" for name in order.recurrent_alone))
    input_names = [f"x.{name}" for name in order.input_alone]

    numbers = parameters.neuron_weights
    # Expanded to the shape of a signal, because an equation may consist of a parameter alone.
    neuron_weights = {name: numbers[k].expand(inputs.shape[1], -1) for k, name in enumerate(order.tape.parameters)}
    evaluate = Evaluator(order.tape, "torch", partial(torch.tensor, dtype=numbers.dtype, device=numbers.device))
    change = changes_at(interventions, len(all_inputs)) if interventions else None
    results: dict[str, list[Tensor]] = {name: [] for name in keep}
    first = state
    previous = None if hidden is None else one_step_earlier(hidden, first["h"], lengths, reverse)
    steps = list(enumerate(zip(base.unbind(0), alone.unbind(0), strict=True)))
    for t, (base_t, alone_t) in reversed(steps) if reverse else steps:
        if previous is not None:
            state = {**state, "h": previous[t]}
        drives = dict(zip(input_names, alone_t.split(neurons, 1), strict=False))
        if recurrent_names:
            product = torch.addmm(base_t, state["h"], recurrent_weights)
            drives.update(zip(recurrent_names, product.split(neurons, 1), strict=True))
        signals = evaluate(drives, neuron_weights, state, partial(change, t) if change else None)
        signals |= {name: drives[name] for name in keep if name not in signals}
        if lengths is not None:  # After a sequence ends, its outputs are 0 and its state is frozen.
            mask = (t < lengths).unsqueeze(1)
            signals = {name: value.where(mask, 0) for name, value in signals.items()}
            state = {name: signals[name].where(mask, state[name]) for name in cell.states}
        else:
            state = signals
        for name, values in results.items():
            values.append(signals[name])
    no_steps = numbers.new_zeros(0, inputs.shape[1], neurons)
    if reverse:
        results = {name: values[::-1] for name, values in results.items()}
    stacked = {name: torch.stack(values) if values else no_steps for name, values in results.items()}
    final = {name: state[name] for name in cell.states}
    if hidden is not None and len(hidden):
        final["h"] = _last_hidden(hidden, first["h"], lengths, reverse)
    return stacked, final


def _last_hidden(
    hidden: Float[Tensor, "T B N"], start: Float[Tensor, "B N"], lengths: Int[Tensor, "B"] | None, reverse: bool
) -> Float[Tensor, "B N"]:
    """Return the hidden state after the step that is run last; for an empty sequence, the initial one."""
    if lengths is None:
        return hidden[0 if reverse else -1]
    last = hidden[0] if reverse else hidden[(lengths - 1).clamp(min=0), torch.arange(len(lengths))]
    return last.where((lengths > 0)[:, None], start)


def one_step_earlier(
    h: Float[Tensor, "T B N"], start: Float[Tensor, "B N"] | None, lengths: Int[Tensor, "B"] | None, reverse: bool
) -> Float[Tensor, "T B N"]:
    """Return the hidden state one step earlier in the order of the run; at the first step `start`, or 0."""
    first = h.new_zeros(1, *h.shape[1:]) if start is None else start.unsqueeze(0)
    if not reverse:
        return torch.cat([first, h])[:-1]
    later = torch.cat([h, first])[1:]
    if lengths is None:
        return later
    last = (torch.arange(len(h))[:, None] == lengths - 1)[:, :, None]
    return torch.where(last, first, later)


def input_drives(
    parameters: Parameters, order: Sequence[int], inputs: Float[Tensor, "T B I"] | Int[Tensor, "T B"]
) -> Float[Tensor, "T B GN"]:
    """Return x.k = W.k · input + b.k of all steps.

    Args:
        parameters: the weights of the layer.
        order: the indices of the drives k to compute.
        inputs: vectors, which take one product; or ids, which take a look-up of rows (see `is_symbol`).
    """
    weights = parameters.input_weights[order].flatten(0, 1)
    biases = parameters.biases[order].flatten()
    if inputs.is_floating_point():
        return torch.nn.functional.linear(inputs, weights, biases)
    count = weights.shape[1]
    rows = torch.cat([weights.t(), weights.new_zeros(1, len(weights))]) + biases
    return torch.nn.functional.embedding(torch.where(is_symbol(inputs, count), inputs, count), rows)
