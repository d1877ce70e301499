"""The plain engine: the tape evaluated on torch tensors, step after step, on any device, with autograd.

`T` step, `B` sequence, `I` input, `N` neuron, `G` and `R` drive.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gatescope.cells import Cell
from gatescope.engine.interventions import Intervention, changes_at
from gatescope.engine.parameters import Parameters
from gatescope.equations import Evaluator, join_drives


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
    tape, joined = join_drives(cell.tape, keep)
    heard_only = [name for name in cell.tape.input_drives if name not in joined]
    echoed_only = [name for name in cell.tape.recurrent_drives if name not in joined]
    heard = input_drives(parameters, [cell.tape.input_drives.index(name) for name in (*joined, *heard_only)], inputs)
    neurons = parameters.biases.shape[1]
    joint, apart = heard.split([neurons * len(joined), neurons * len(heard_only)], 2)
    # The recurrent product is added to these: to the input's share where both are joined, to 0 elsewhere.
    base = torch.nn.functional.pad(joint, (0, neurons * len(echoed_only)))
    order = [cell.tape.recurrent_drives.index(name) for name in (*joined, *echoed_only)]
    recurrent = parameters.recurrent_weights[order].flatten(0, 1).t()
    recurrent_names = (*joined, *(f"u.{name}" for name in echoed_only))
    input_names = [f"x.{name}" for name in heard_only]

    numbers = parameters.neuron_weights
    # Of the shape of a signal, because an equation may make one of them alone.
    neuron_weights = {name: numbers[k].expand(inputs.shape[1], -1) for k, name in enumerate(tape.parameters)}
    step_of = Evaluator(tape, "torch", partial(torch.tensor, dtype=numbers.dtype, device=numbers.device))
    change = changes_at(interventions, len(heard)) if interventions else None
    kept: dict[str, list[Tensor]] = {name: [] for name in keep}
    first = state
    before = None if hidden is None else one_step_earlier(hidden, first["h"], lengths, reverse)
    steps = list(enumerate(zip(base.unbind(0), apart.unbind(0), strict=True)))
    for t, (start, rest) in reversed(steps) if reverse else steps:
        if before is not None:
            state = {**state, "h": before[t]}
        drives = dict(zip(input_names, rest.split(neurons, 1), strict=False))
        if recurrent_names:
            product = torch.addmm(start, state["h"], recurrent)
            drives.update(zip(recurrent_names, product.split(neurons, 1), strict=True))
        found = step_of(drives, neuron_weights, state, partial(change, t) if change else None)
        found |= {name: drives[name] for name in keep if name not in found}
        if lengths is not None:  # behind its end a sequence is 0, and its state stays what it was
            here = (t < lengths).unsqueeze(1)
            found = {name: value.where(here, 0) for name, value in found.items()}
            state = {name: found[name].where(here, state[name]) for name in cell.states}
        else:
            state = found
        for name, values in kept.items():
            values.append(found[name])
    nothing = numbers.new_zeros(0, inputs.shape[1], neurons)
    if reverse:
        kept = {name: values[::-1] for name, values in kept.items()}
    stacked = {name: torch.stack(values) if values else nothing for name, values in kept.items()}
    final = {name: state[name] for name in cell.states}
    if hidden is not None and len(hidden):
        final["h"] = _last(hidden, first["h"], lengths, reverse)
    return stacked, final


def _last(
    hidden: Float[Tensor, "T B N"], start: Float[Tensor, "B N"], lengths: Int[Tensor, "B"] | None, reverse: bool
) -> Float[Tensor, "B N"]:
    """The hidden state after the step that is run last; of an empty sequence, the one at its start."""
    if lengths is None:
        return hidden[0 if reverse else -1]
    last = hidden[0] if reverse else hidden[(lengths - 1).clamp(min=0), torch.arange(len(lengths))]
    return last.where((lengths > 0)[:, None], start)


def one_step_earlier(
    h: Float[Tensor, "T B N"], start: Float[Tensor, "B N"] | None, lengths: Int[Tensor, "B"] | None, reverse: bool
) -> Float[Tensor, "T B N"]:
    """The hidden state one step earlier in the order of the run; before the first step it is `start`, or 0."""
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
    """x.k of all steps in one product, in the given order of k; of symbols, by looking up a row of the weights.

    A symbol outside 0 .. I - 1 (unknown, or padding) is read as the zero vector.
    """
    weights = parameters.input_weights[order].flatten(0, 1)
    biases = parameters.biases[order].flatten()
    if inputs.is_floating_point():
        return torch.nn.functional.linear(inputs, weights, biases)
    count = weights.shape[1]
    rows = torch.cat([weights.t(), weights.new_zeros(1, len(weights))]) + biases
    known = (inputs >= 0) & (inputs < count)
    return torch.nn.functional.embedding(torch.where(known, inputs, count), rows)
