"""How a sequence of steps is run, whichever engine does it."""

from collections.abc import Mapping, Sequence
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from gatescope.cells import Cell
from gatescope.engine.interventions import Intervention, ablate, check_interventions, clamp, nudge, patch
from gatescope.engine.parameters import Parameters, initialise, shapes
from gatescope.engine.plain import run_plain

Engine = Literal["auto", "plain"]
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
    keep: Sequence[str] = ("h",),
    interventions: Sequence[Intervention] = (),
    engine: Engine = "auto",
) -> tuple[dict[str, Float[Tensor, "T B N"]], dict[str, Float[Tensor, "B N"]]]:
    """Run one layer over a sequence of steps and return what was asked for, by name.

    Args:
        cell: the equations.
        parameters: the weights of N neurons that read I inputs.
        inputs: vectors (T, B, I), or symbols (T, B) that stand for one-hot vectors; a symbol outside 0 .. I - 1 is
            read as the zero vector. T must be at least 1.
        state: the states before the first step, each (B, N); 0 when not given.
        lengths: the number of steps of each sequence, at least 1; all T when not given. What stands behind the end of
            a sequence influences neither its own steps nor its final state.
        keep: the names of signals ("c") and drives ("x.i", "u.i") to return. Memory is paid for these only, plus
            what autograd needs when gradients are on.
        interventions: changes of this layer's signals, applied where the equations compute them.
        engine: "plain", or "auto" for the fastest that can serve the request.

    Returns:
        What was kept, name -> (T, B, N), and the states after the last step of each sequence, name -> (B, N); both
        differentiable when gradients are on.

    Raises:
        ValueError: no steps, an unknown name in `keep`, an unknown engine, a state that is missing, an intervention on
            something that is not there.
    """
    if engine not in ("auto", "plain"):
        raise ValueError(f"engine is {engine!r}; it can be 'auto' or 'plain'.")
    if not len(inputs):
        raise ValueError("the inputs have no steps; a run needs at least one.")
    unknown = [name for name in keep if name not in cell.signals and name not in cell.drives]
    if unknown:
        names = ", ".join((*cell.signals, *cell.drives))
        raise ValueError(f"{cell.name} has no {', '.join(unknown)} to keep; it has {names}.")
    steps, rows, neurons = *inputs.shape[:2], parameters.biases.shape[1]
    changes = check_interventions(interventions, cell, steps, rows, neurons)
    if state is None:
        state = initial_state(cell, parameters.biases, rows, neurons)
    missing = [name for name in cell.states if name not in state]
    if missing:
        raise ValueError(
            f"the initial state has no {', '.join(missing)}; {cell.name} carries {', '.join(cell.states)}."
        )
    return run_plain(cell, parameters, inputs, state, lengths, keep, changes)
