"""The engines: run one layer over a sequence of steps, in C++ or with torch."""

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal, get_args

from jaxtyping import Float, Int
from torch import Tensor

from gatescope.cells import Cell
from gatescope.engine.engine_errors import EngineError
from gatescope.engine.interventions import Intervention, ablate, check_interventions, clamp, nudge, patch
from gatescope.engine.native import release_memory, run_native, unserved
from gatescope.engine.parameters import Parameters, initialise, shapes
from gatescope.engine.plain import drive_values, run_plain
from gatescope.messages import Message
from gatescope.names import unknown

Engine = Literal["auto", "native", "plain"]
ENGINES = get_args(Engine)
State = Mapping[str, Float[Tensor, "B _"]]  # _: the neurons N of the layer, which differ between layers

__all__ = [
    "Engine",
    "EngineError",
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
    """Return a state of zeros, (batch, neurons) for each state of the cell.

    Args:
        cell: the cell.
        like: a tensor with the dtype and device of the state.
        batch: the number of sequences, B.
        neurons: the number of neurons, N.
    """
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
    """Run one layer over a sequence of steps; return the requested signals and drives and the final state.

    Args:
        cell: the equations.
        parameters: the weights of N neurons that read I inputs.
        inputs: vectors (T, B, I), or ids (T, B) that stand for one-hot vectors (see `gatescope.vocabulary.is_symbol`).
        state: the states before the first step, each (B, N); 0 by default.
        lengths: the number of steps of each sequence, from 0 to T; T by default. Inputs after the end of a sequence
            have no effect, and the returned values there are 0.
        reverse: whether each sequence is read from its last step to its first. The results are in the order of the
            inputs, and the final state is the one after the first step.
        keep: the names of signals ("c") and drives ("x.i", "u.i") to return. Memory is allocated for these only, and
            for autograd when gradients are on.
        interventions: changes of this layer's signals, applied where the equations compute them.
        hidden: the hidden states, if another run has computed them already. Every step then reads these, so that no
            step waits for the one before, and the final h is taken from these. The returned h is still computed by
            the equations.
        engine: "native" for C++, "plain" for torch tensors, "auto" for the fastest that can serve the request. If the
            native engine cannot, the plain one runs; with "native", one warning names the reason.

    Returns:
        The requested values, name -> (T, B, N), and the states after the last step of each sequence, name -> (B, N).
        Both are differentiable when gradients are on; only the plain engine has second derivatives.

    Raises:
        EngineError: an unknown name in `keep`, an unknown engine, a missing state, or sizes that do not fit.
        InterventionError: an intervention on a signal, neuron, step or row that does not exist.
    """
    if engine not in ENGINES:
        raise EngineError(unknown("Engine", engine, ENGINES))
    drives: list[str] = []
    if keep is not cell.signals:
        keep = tuple(dict.fromkeys(keep))
        drives = [name for name in keep if name not in cell.tape.signals]
    if others := [name for name in drives if name not in cell.drives]:
        names = ", ".join((*cell.signals, *cell.drives))
        raise EngineError("ENGINE_KEEP_UNKNOWN", cell=cell.name, unknown=", ".join(others), names=names)
    steps, rows, neurons = inputs.shape[0], inputs.shape[1], parameters.biases.shape[1]
    _check_sizes(cell, parameters, inputs, state, lengths)
    if "h" not in cell.states:
        hidden = None
    elif hidden is not None and hidden.shape != (steps, rows, neurons):
        raise _shape_error("hidden", hidden, (steps, rows, neurons), cell)
    changes = check_interventions(interventions, cell, steps, rows, neurons) if interventions else []
    reason = "" if engine == "plain" else unserved(cell, parameters, inputs, state or {}, changes, hidden)
    if engine != "plain" and not reason:
        if drives:
            return _with_drives(cell, parameters, inputs, state, lengths, reverse, keep, changes, hidden)
        return run_native(cell, parameters, inputs, state, lengths, reverse, keep, changes, hidden)
    if engine == "native":
        _warn_of_plain(reason)
    if state is None:
        state = initial_state(cell, parameters.biases, rows, neurons)
    return run_plain(cell, parameters, inputs, state, lengths, reverse, keep, changes, hidden)


@cache
def _warn_of_plain(reason: str) -> None:
    warnings.warn(str(Message("ENGINE_PLAIN_USED", reason=reason)), RuntimeWarning, stacklevel=3)


def _check_sizes(
    cell: Cell, parameters: Parameters, inputs: Tensor, state: State | None, lengths: Tensor | None
) -> None:
    steps, rows, neurons = inputs.shape[0], inputs.shape[1], parameters.biases.shape[1]
    count = inputs.shape[2] if inputs.ndim == 3 else parameters.input_weights.shape[2]
    expected = shapes(cell, count, neurons)
    if [value.shape for value in vars(parameters).values()] != list(expected.values()):
        for name, shape in expected.items():
            if getattr(parameters, name).shape != shape:
                raise _shape_error(name, getattr(parameters, name), shape, cell)
    if state is not None:
        missing = [name for name in cell.states if name not in state]
        if missing:
            states = ", ".join(cell.states)
            raise EngineError("ENGINE_STATE_MISSING", cell=cell.name, states=states, missing=", ".join(missing))
        for name in cell.states:
            if state[name].shape != (rows, neurons):
                raise _shape_error(f"state[{name!r}]", state[name], (rows, neurons), cell)
    if lengths is not None:
        if lengths.shape != (rows,):
            raise _shape_error("lengths", lengths, (rows,), cell)
        if rows and not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps:
            raise EngineError("ENGINE_LENGTHS_INVALID", steps=steps, least=int(lengths.min()), most=int(lengths.max()))


def _shape_error(name: str, value: Tensor, expected: tuple[int, ...], cell: Cell) -> EngineError:
    return EngineError("ENGINE_SHAPE_INVALID", name=name, expected=expected, shape=tuple(value.shape), cell=cell.name)


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
    """Run the native engine and compute the requested drives from its results."""
    signals = [name for name in keep if name in cell.signals]
    drives = [name for name in keep if name not in cell.signals]
    recurrent = any(name.startswith("u.") for name in drives)
    computed = [*signals, "h"] if recurrent and "h" not in signals and hidden is None else signals
    values, final = run_native(cell, parameters, inputs, state, lengths, reverse, computed, interventions, hidden)
    values |= drive_values(
        cell,
        parameters,
        inputs,
        state,
        drives,
        values["h"] if hidden is None and recurrent else hidden,
        lengths,
        reverse,
    )
    return {name: values[name] for name in keep}, final
