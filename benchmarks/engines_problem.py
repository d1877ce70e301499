"""The problem that every engine of a comparison computes: a cell, a size, weights and inputs; and our candidates.

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
from gatescope.generator import Generator

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
    """A cell, its weights and inputs, the same for every candidate.

    Attributes:
        cell: the equations.
        size: T, B, I and N.
        parameters: the weights, which require gradients. No bias and no per-neuron weight is 0.
        inputs: vectors (T, B, I), without gradients.
        upstream: signal -> gradient of the loss with respect to it, (T, B, N).
    """

    cell: Cell
    size: Size
    parameters: Parameters
    inputs: Tensor
    upstream: Mapping[str, Tensor]

    def weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return copies of the stacked weights as leaves: (G·N, I), (G·N,), (R·N, N) and (P, N)."""
        weights = self.parameters
        stacked = weights.input_weights.flatten(0, 1), weights.biases.flatten(), weights.recurrent_weights.flatten(0, 1)
        leaves = [values.detach().clone().requires_grad_() for values in (*stacked, weights.neuron_weights)]
        return leaves[0], leaves[1], leaves[2], leaves[3]


@dataclass(frozen=True)
class Candidate:
    """One way of running a problem.

    Attributes:
        name: the column under which it is reported.
        forward: run all steps without gradients and return the kept signals, (T, B, N) each.
        both: run forward and backward, and return the gradient of the input weights, G·N·I numbers. None without
            a backward pass.
        every_signal: whether the loss depends on every signal, or on h alone.
    """

    name: str
    forward: Callable[[], Mapping[str, Any]]
    both: Callable[[], Any] | None
    every_signal: bool


def problem(cell: str, size: Size) -> Problem:
    """Draw weights, inputs and upstream gradients; the same numbers at every call."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    equations, (steps, rows, inputs, neurons) = CELLS[cell], size
    arrays = dict(initialise(equations, inputs, neurons, Generator(0)).by_name())
    arrays["biases"] = arrays["biases"] + 0.1 * normal(*arrays["biases"].shape)
    arrays["neuron_weights"] = 0.1 * normal(*shapes(equations, inputs, neurons)["neuron_weights"])
    parameters = Parameters(**{name: values.requires_grad_() for name, values in arrays.items()})
    upstream = {name: normal(steps, rows, neurons) for name in equations.signals}
    return Problem(equations, size, parameters, normal(steps, rows, inputs), upstream)


def ours(problem: Problem, engine: Any, every_signal: bool) -> Candidate:
    """Return our engine as a candidate that keeps every signal, or h alone."""
    keep = problem.cell.signals if every_signal else ("h",)
    upstream = [problem.upstream[name] for name in keep]
    leaves = list(problem.parameters.by_name().values())

    def signals() -> dict[str, Tensor]:
        return run(problem.cell, problem.parameters, problem.inputs, keep=keep, engine=engine)[0]

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
    """Convert a tensor or array of any library to NumPy."""
    return values.detach().numpy() if isinstance(values, Tensor) else np.asarray(values)


def disagreement(theirs: Any, expected: Array) -> float:
    """Return the largest difference, relative to the largest expected value if that exceeds 1; inf for NaN."""
    difference = float(np.abs(array(theirs).reshape(expected.shape) - expected).max())
    return difference / max(1.0, float(np.abs(expected).max())) if np.isfinite(difference) else float("inf")


def operations(cell: Cell, size: Size) -> dict[str, float]:
    """Count the floating-point operations of the matrix products: "f", and "fb" without the gradient of the inputs."""
    input_products = 2.0 * size.steps * size.rows * len(cell.tape.input_drives) * size.neurons * size.inputs
    recurrent_products = 2.0 * size.steps * size.rows * len(cell.tape.recurrent_drives) * size.neurons**2
    return {"f": input_products + recurrent_products, "fb": 3 * (input_products + recurrent_products) - input_products}
