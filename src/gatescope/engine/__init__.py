"""How a sequence of steps is run, whichever engine does it."""

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gatescope.cells import Cell
from gatescope.engine.interventions import Intervention, ablate, check_interventions, clamp, nudge, patch
from gatescope.engine.native import release_memory, run_native, unserved
from gatescope.engine.parameters import Parameters, initialise, shapes
from gatescope.engine.plain import input_drives, one_step_earlier, run_plain

Engine = Literal["auto", "native", "plain"]
ENGINES = get_args(Engine)
State = Mapping[str, Float[Tensor, "B _"]]  # _ is N of the layer; the layers of a network may differ

__all__ = [
    "Engine",
    "Intervention",
    "Parameters",
    "State",
    "ablate",
    "clamp",
    "initial_state",
    "initialise",
    "nudge",
    "patch",
    "release_memory",
    "run",
    "shapes",
]


def initial_state(cell: Cell, like: Tensor, batch: int, neurons: int) -> dict[str, Tensor]:
    """The state before the first step: 0 for every state of the cell, (batch, neurons), typed and placed as `like`."""
    return {name: like.new_zeros(batch, neurons) for name in cell.states}


def run(
    cell: Cell,
    parameters: Parameters,
    inputs: Float[Tensor, "T B I"] | Int[Tensor, "T B"],
    state: State | None = None,
    *,
    lengths: Int[Tensor, "B"] | None = None,
    reverse: bool = False,
    keep: Sequence[str] = ("h",),
    interventions: Sequence[Intervention] = (),
    hidden: Float[Tensor, "T B N"] | None = None,
    engine: Engine = "auto",
) -> tuple[dict[str, Float[Tensor, "T B N"]], dict[str, Float[Tensor, "B N"]]]:
    """Run one layer over a sequence of steps and return what was asked for, by name.

    Args:
        cell: the equations.
        parameters: the weights of N neurons that read I inputs.
        inputs: vectors (T, B, I), or symbols (T, B) that stand for one-hot vectors; a symbol outside 0 .. I - 1 is
            read as the zero vector.
        state: the states before the first step, each (B, N); 0 when not given.
        lengths: the number of steps of each sequence, from 0 to T; all T when not given. What stands behind the end of
            a sequence influences neither its own steps nor its final state, and what is returned there is 0.
        reverse: whether each sequence is read from its last step to its first; what is returned stays in the order of
            the inputs, and the final state is the one after the first step.
        keep: the names of signals ("c") and drives ("x.i", "u.i") to return. Memory is paid for these only, plus
            what autograd needs when gradients are on.
        interventions: changes of this layer's signals, applied where the equations compute them.
        hidden: the hidden states where they are known already, as those of a run by somebody else. Every step then
            reads these, so that no product waits for the step before, and the final h is of these. What is kept of h
            is still what the equations make.
        engine: "native" for the compiled one, "plain" for the one on torch tensors, "auto" for the fastest that can
            serve the request. Where the native engine cannot, the plain one does; it says so once if it was named.

    Returns:
        What was kept, name -> (T, B, N), and the states after the last step of each sequence, name -> (B, N); both
        differentiable when gradients are on (twice and more by the plain engine only).

    Raises:
        ValueError: an unknown name in `keep`, an unknown engine, a state that is missing, sizes that do not fit, an
            intervention on something that is not there.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; it can be {' or '.join(map(repr, ENGINES))}.")
    drives: list[str] = []
    if keep is not cell.signals:
        keep = tuple(dict.fromkeys(keep))
        drives = [name for name in keep if name not in cell.tape.signals]
    if unknown := [name for name in drives if name not in cell.drives]:
        names = ", ".join((*cell.signals, *cell.drives))
        raise ValueError(f"{cell.name} has no {', '.join(unknown)} to keep; it has {names}.")
    steps, rows, neurons = inputs.shape[0], inputs.shape[1], parameters.biases.shape[1]
    _check_sizes(cell, parameters, inputs, state, lengths)
    if "h" not in cell.states:
        hidden = None
    elif hidden is not None and hidden.shape != (steps, rows, neurons):
        raise ValueError(f"the hidden states are {tuple(hidden.shape)}; they must be {(steps, rows, neurons)}.")
    changes = check_interventions(interventions, cell, steps, rows, neurons) if interventions else []
    reason = "" if engine == "plain" else unserved(cell, parameters, inputs, state or {}, changes, hidden)
    if engine != "plain" and not reason:
        if drives:
            return _with_drives(cell, parameters, inputs, state, lengths, reverse, keep, changes, hidden)
        return run_native(cell, parameters, inputs, state, lengths, reverse, keep, changes, hidden)
    if engine == "native":
        _say_plain(reason)
    if state is None:
        state = initial_state(cell, parameters.biases, rows, neurons)
    return run_plain(cell, parameters, inputs, state, lengths, reverse, keep, changes, hidden)


@cache
def _say_plain(reason: str) -> None:
    warnings.warn(f"the plain engine is used instead of the native one: {reason}.", RuntimeWarning, stacklevel=3)


def _check_sizes(
    cell: Cell, parameters: Parameters, inputs: Tensor, state: State | None, lengths: Tensor | None
) -> None:
    steps, rows, neurons = inputs.shape[0], inputs.shape[1], parameters.biases.shape[1]
    count = inputs.shape[2] if inputs.ndim == 3 else parameters.input_weights.shape[2]
    expected = shapes(cell, count, neurons)
    if [value.shape for value in vars(parameters).values()] != list(expected.values()):
        for name, shape in expected.items():
            found = tuple(getattr(parameters, name).shape)
            if found != shape:
                raise ValueError(f"the {name} are {found}; {cell.name} with these inputs needs {shape}.")
    if state is not None:
        missing = [name for name in cell.states if name not in state]
        if missing:
            raise ValueError(
                f"the initial state has no {', '.join(missing)}; {cell.name} carries {', '.join(cell.states)}."
            )
        for name in cell.states:
            if state[name].shape != (rows, neurons):
                raise ValueError(f"the initial {name} is {tuple(state[name].shape)}; it must be {(rows, neurons)}.")
    if lengths is not None:
        if lengths.shape != (rows,):
            raise ValueError(f"the lengths are {tuple(lengths.shape)}; there must be one for each of {rows} sequences.")
        if rows and not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps:
            raise ValueError(f"the lengths go from {int(lengths.min())} to {int(lengths.max())}; the run has {steps}.")


def _with_drives(
    cell: Cell,
    parameters: Parameters,
    inputs: Tensor,
    state: State | None,
    lengths: Tensor | None,
    reverse: bool,
    keep: Sequence[str],
    interventions: Sequence[Intervention],
    hidden: Tensor | None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The native engine's signals, and the drives that were asked for as products with what it found."""
    signals = [name for name in keep if name in cell.signals]
    drives = [name for name in keep if name not in cell.signals]
    heard = any(name.startswith("u.") for name in drives) and "h" not in signals and hidden is None
    found, final = run_native(
        cell, parameters, inputs, state, lengths, reverse, [*signals, "h"] if heard else signals, interventions, hidden
    )
    here = None if lengths is None else (torch.arange(len(inputs))[:, None] < lengths)[:, :, None]
    for name in drives:
        source, drive = name.split(".", 1)
        if source == "x":
            value = input_drives(parameters, [cell.tape.input_drives.index(drive)], inputs)
        else:
            h = found["h"] if hidden is None else hidden
            before = one_step_earlier(h, None if state is None else state["h"], lengths, reverse)
            value = before @ parameters.recurrent_weights[cell.tape.recurrent_drives.index(drive)].t()
        found[name] = value if here is None else value.where(here, 0)
    return {name: found[name] for name in keep}, final
