"""One size and cell to be run, our own ways of running it, and how many operations that takes.

`T` step, `B` sequence, `I` input, `N` neuron, `G` and `R` drive.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gatescope import CELLS
from gatescope.cells import Cell
from gatescope.engine import Parameters, initialise, run, shapes

Array = np.ndarray


class Size(NamedTuple):
    """T, B, I and N."""

    steps: int
    rows: int
    inputs: int
    neurons: int

    def __str__(self) -> str:
        return ", ".join(str(number) for number in self)


@dataclass(frozen=True)
class Problem:
    """What every candidate of a comparison is given.

    Attributes:
        cell: the equations.
        size: T, B, I and N.
        parameters: the weights, which need gradients; no bias and no per-neuron number is 0.
        inputs: vectors (T, B, I), which need none.
        upstream: for each signal the gradient that is sent back into it, (T, B, N).
    """

    cell: Cell
    size: Size
    parameters: Parameters
    inputs: Tensor
    upstream: Mapping[str, Tensor]

    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Fresh leaves with the stacked weights: (G·N, I), (G·N,), (R·N, N) and (P, N)."""
        given = self.parameters
        stacked = given.input_weights.flatten(0, 1), given.biases.flatten(), given.recurrent_weights.flatten(0, 1)
        found = [values.detach().clone().requires_grad_() for values in (*stacked, given.neuron_weights)]
        return found[0], found[1], found[2], found[3]


@dataclass(frozen=True)
class Candidate:
    """One way of running a problem.

    Attributes:
        name: the column under which it is reported.
        forward: runs all steps without gradients and returns the signals that it keeps, (T, B, N) each.
        both: runs all steps and sends gradients back; returns the gradient of the input weights, G·N·I numbers.
            None when it cannot.
        every_signal: whether gradients were sent into every signal, or into h alone.
    """

    name: str
    forward: Callable[[], Mapping[str, Any]]
    both: Callable[[], Any] | None
    every_signal: bool


def problem(cell: str, size: Size) -> Problem:
    """The same numbers at every call."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    found, (steps, rows, inputs, neurons) = CELLS[cell], size
    arrays = dict(initialise(found, inputs, neurons, generator).by_name())
    arrays["biases"] = arrays["biases"] + 0.1 * normal(*arrays["biases"].shape)
    arrays["neuron_weights"] = 0.1 * normal(*shapes(found, inputs, neurons)["neuron_weights"])
    parameters = Parameters(**{name: values.requires_grad_() for name, values in arrays.items()})
    upstream = {name: normal(steps, rows, neurons) for name in found.signals}
    return Problem(found, size, parameters, normal(steps, rows, inputs), upstream)


def ours(given: Problem, engine: Any, every_signal: bool) -> Candidate:
    """Our engine with every signal kept, or with h alone."""
    keep = given.cell.signals if every_signal else ("h",)
    upstream = [given.upstream[name] for name in keep]
    leaves = list(given.parameters.by_name().values())

    def signals() -> dict[str, Tensor]:
        return run(given.cell, given.parameters, given.inputs, keep=keep, engine=engine)[0]

    def forward() -> dict[str, Tensor]:
        with torch.no_grad():
            return signals()

    def both() -> Tensor | None:
        for leaf in leaves:
            leaf.grad = None
        torch.autograd.backward(list(signals().values()), upstream)
        return leaves[0].grad

    return Candidate("ours" if every_signal else "ours, h only", forward, both, every_signal)


def array(values: Any) -> Array:
    """A tensor or array of any library as a NumPy array."""
    return values.detach().numpy() if isinstance(values, Tensor) else np.asarray(values)


def disagreement(theirs: Any, expected: Array) -> float:
    """The largest difference, as a share of the largest expected value where that is above 1; NaN counts as inf."""
    difference = float(np.abs(array(theirs).reshape(expected.shape) - expected).max())
    return difference / max(1.0, float(np.abs(expected).max())) if np.isfinite(difference) else float("inf")


def operations(cell: Cell, size: Size) -> dict[str, float]:
    """Floating-point operations of the matrix products of a pass: "f", and "fb" without the inputs' gradient."""
    heard = 2.0 * size.steps * size.rows * len(cell.tape.input_drives) * size.neurons * size.inputs
    echoed = 2.0 * size.steps * size.rows * len(cell.tape.recurrent_drives) * size.neurons**2
    return {"f": heard + echoed, "fb": 3 * (heard + echoed) - heard}
