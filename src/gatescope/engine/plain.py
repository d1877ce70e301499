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
from gatescope.engine.native import empty_arrays
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


def drive_values(
    cell: Cell,
    parameters: Parameters,
    inputs: Float[Tensor, "T B I"] | Int[Tensor, "T B"],
    state: Mapping[str, Tensor] | None,
    drives: Sequence[str],
    hidden: Float[Tensor, "T B N"] | None,
    lengths: Int[Tensor, "B"] | None,
    reverse: bool,
) -> dict[str, Float[Tensor, "T B N"]]:
    """Return drives of all steps by name, computed from the inputs and the hidden states of a run; 0 for padding.

    Args:
        cell: the equations.
        parameters: the weights of the layer.
        inputs: vectors or ids.
        state: the states before the first step; 0 if None.
        drives: the names, such as "x.i" and "u.i".
        hidden: the hidden states; only needed for recurrent drives.
        lengths: the number of steps of each sequence; all T if None.
        reverse: whether each sequence is read from its last step to its first.
    """
    tape, steps, rows, neurons = cell.tape, len(inputs), inputs.shape[1], parameters.biases.shape[1]
    from_inputs = [name for name in drives if name.startswith("x.")]
    recurrent = [name for name in drives if name.startswith("u.")]
    values: dict[str, Tensor] = {}
    if from_inputs:
        order = [tape.input_drives.index(name[2:]) for name in from_inputs]
        values |= zip(from_inputs, _input_drives_apart(parameters, order, inputs), strict=True)
    if recurrent:
        assert hidden is not None
        order = [tape.recurrent_drives.index(name[2:]) for name in recurrent]
        before = one_step_earlier(hidden, None if state is None else state["h"], lengths, reverse)
        flat, weights = before.reshape(steps * rows, neurons), parameters.recurrent_weights
        for name, k in zip(recurrent, order, strict=True):
            memory = _memory(flat, (1, steps * rows, neurons), flat, weights)
            product = torch.mm(flat, weights[k].t(), out=None if memory is None else memory[0])
            values[name] = product.view(steps, rows, neurons)
    if lengths is not None:
        mask = (torch.arange(steps, device=inputs.device)[:, None] < lengths)[:, :, None]
        values = {name: value.where(mask, 0) for name, value in values.items()}
    return values


def _input_drives_apart(parameters: Parameters, order: Sequence[int], inputs: Tensor) -> Sequence[Tensor]:
    """Return the drives of `input_drives` as one contiguous array (T, B, N) each."""
    steps, rows, neurons = inputs.shape[0], inputs.shape[1], parameters.biases.shape[1]
    weights, biases = _chosen(parameters.input_weights, order), _chosen(parameters.biases, order)
    if inputs.is_floating_point():
        flat = inputs.reshape(1, steps * rows, inputs.shape[2]).expand(len(order), -1, -1)
        memory = _memory(weights, (len(order), steps * rows, neurons), inputs, weights, biases)
        products = torch.baddbmm(biases[:, None], flat, weights.transpose(1, 2), out=memory)
        return products.view(len(order), steps, rows, neurons).unbind(0)
    count = weights.shape[2]
    # Unknown symbols and padding are read as the zero vector.
    places = torch.where(is_symbol(inputs, count), inputs, count)
    if count <= places.numel():
        table = weights.new_empty(len(order), count + 1, neurons)
        table[:, :count] = weights.transpose(1, 2)
        table[:, count] = 0
        table += biases[:, None]
    else:  # a large vocabulary, of which only the symbols that are read are copied
        symbols, places = places.unique(return_inverse=True)
        columns = weights[:, :, symbols.clamp(max=count - 1)] * (symbols < count)
        table = columns.transpose(1, 2) + biases[:, None]
    memory = _memory(weights, (len(order), steps * rows, neurons), weights, biases)
    return torch.index_select(table, 1, places.flatten(), out=memory).view(len(order), steps, rows, neurons).unbind(0)


def _memory(like: Tensor, shape: tuple[int, int, int], *sources: Tensor) -> Tensor | None:
    """Return an array for a result, because memory from the system costs more than a small product.

    Args:
        like: a tensor of the dtype of the result.
        shape: the shape of the result.
        sources: the tensors that the result follows from; None is returned if it needs a gradient.
    """
    if torch.is_grad_enabled() and any(source.requires_grad for source in sources):
        return None
    return empty_arrays(like, 1, *shape)[0]


def _chosen(weights: Tensor, order: Sequence[int]) -> Tensor:
    """Return the weights of some drives, (G, ...), without a copy if these are all."""
    return weights if list(order) == list(range(len(weights))) else weights[list(order)]
