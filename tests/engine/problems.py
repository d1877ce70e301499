"""Random arguments of `run`, and comparisons of its results and gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from gatescope import CELLS, Cell, Intervention
from gatescope.engine import Engine, Parameters, run
from tests.networks import EACH_CELL, layer, numbers

# Below, at and above the number of lanes of a vector and of a tile, in float32 and float64, at every level.
FLOAT64 = 1e-12  # tolerance of a few thousand roundings of 1e-16
NEURONS = (1, 2, 3, 4, 7, 8, 15, 16, 17, 33, 63, 64, 65, 130)


@dataclass(frozen=True)
class Problem:
    """The arguments of `run`; state, lengths and hidden states are optional."""

    cell: Cell
    parameters: Parameters
    inputs: Tensor
    state: dict[str, Tensor] | None = None
    lengths: Tensor | None = None
    reverse: bool = False
    hidden: Tensor | None = None

    def to(self, dtype: torch.dtype) -> Problem:
        """Return the same numbers in another precision."""
        return replace(
            self,
            parameters=Parameters(**{name: value.to(dtype) for name, value in self.parameters.by_name().items()}),
            inputs=self.inputs.to(dtype) if self.inputs.is_floating_point() else self.inputs,
            state=None if self.state is None else {name: value.to(dtype) for name, value in self.state.items()},
        )

    def row(self, k: int) -> Problem:
        """Return one sequence of the batch."""
        return replace(
            self,
            inputs=self.inputs[:, k : k + 1],
            state=None if self.state is None else {name: value[k : k + 1] for name, value in self.state.items()},
            lengths=None if self.lengths is None else self.lengths[k : k + 1],
        )

    def forward(
        self, engine: Engine = "native", keep: Sequence[str] | None = None, changes: Sequence[Intervention] = ()
    ) -> dict[str, Tensor]:
        """Return the values to `keep` (by default every signal), and the final states as "final c"."""
        values, final = run(
            self.cell,
            self.parameters,
            self.inputs,
            self.state,
            lengths=self.lengths,
            reverse=self.reverse,
            keep=self.cell.signals if keep is None else keep,
            interventions=changes,
            hidden=self.hidden,
            engine=engine,
        )
        return values | {f"final {name}": value for name, value in final.items()}

    def leaves(self) -> tuple[Problem, dict[str, Tensor]]:
        """Return the problem with tensors that require gradients, and these tensors by name."""
        weights = {name: _leaf(value) for name, value in self.parameters.by_name().items()}
        state = None if self.state is None else {name: _leaf(value) for name, value in self.state.items()}
        leaves = weights | {f"initial {name}": value for name, value in (state or {}).items()}
        inputs = self.inputs
        if inputs.is_floating_point():
            inputs = leaves["x"] = _leaf(inputs)
        return replace(self, parameters=Parameters(**weights), inputs=inputs, state=state), leaves

    def gradients(
        self,
        engine: Engine = "native",
        keep: Sequence[str] | None = None,
        changes: Sequence[Intervention] = (),
        used: Sequence[str] | None = None,
    ) -> dict[str, Tensor]:
        """Return the gradients of a weighted sum of all results, or of the `used` ones; 0 for unused arguments."""
        problem, leaves = self.leaves()
        results = problem.forward(engine, keep, changes)
        names = list(results) if used is None else used
        total = weighted_sum({name: results[name] for name in names})
        if not total.requires_grad:
            return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
        grads = torch.autograd.grad(total, list(leaves.values()), allow_unused=True, materialize_grads=True)
        return dict(zip(leaves, grads, strict=True))


def everything(cell: Cell) -> tuple[str, ...]:
    """Return the names of all signals and drives."""
    return (*cell.signals, *cell.drives)


def weighted_sum(results: dict[str, Tensor]) -> Tensor:
    """Return a sum of all results with fixed random weights, which are the same in every precision."""
    weights = {name: numbers(sum(map(ord, name)), *value.shape).to(value) for name, value in results.items()}
    return torch.stack([(value * weights[name]).sum() for name, value in results.items()]).sum()


def _leaf(value: Tensor) -> Tensor:
    return value.detach().clone().requires_grad_()


def make(
    name: str,
    steps: int,
    rows: int,
    inputs: int,
    neurons: int,
    seed: int = 0,
    *,
    symbols: bool = False,
    state: bool = True,
    lengths: Sequence[int] | None = None,
    reverse: bool = False,
) -> Problem:
    """Return a problem of random numbers, so small that rounding differences do not grow from step to step.

    Ids are drawn from -2 to one more than the largest known id.
    """
    cell = CELLS[name]
    drawn = layer(cell, inputs, neurons, seed, 0.5)
    weights = replace(
        drawn,
        input_weights=drawn.input_weights / max(1, inputs) ** 0.5,
        recurrent_weights=drawn.recurrent_weights / max(1, neurons) ** 0.5,
    )
    generator = torch.Generator().manual_seed(seed)
    x = (
        torch.randint(-2, inputs + 2, (steps, rows), generator=generator)
        if symbols
        else numbers(seed + 7, steps, rows, inputs)
    )
    start = {name: 0.8 * numbers(seed + 8 + k, rows, neurons) for k, name in enumerate(cell.states)}
    if "n" in start:  # the normaliser, by which the sLSTM divides
        start["n"] = start["n"].abs() + 0.5
    return Problem(
        cell, weights, x, start if state else None, None if lengths is None else torch.tensor(lengths).long(), reverse
    )


def drawn(data: st.DataObject, names: Sequence[str] = EACH_CELL, steps: int = 6, rows: int = 9) -> Problem:
    """Draw a problem with any combination of arguments."""
    many, batch = data.draw(st.integers(0, steps), label="steps"), data.draw(st.integers(1, rows), label="rows")
    return make(
        data.draw(st.sampled_from(names), label="cell"),
        many,
        batch,
        data.draw(st.sampled_from((1, 2, 5, 8, 17, 40)), label="inputs"),
        data.draw(st.sampled_from(NEURONS), label="neurons"),
        data.draw(st.integers(0, 2**20), label="seed"),
        symbols=data.draw(st.booleans(), label="symbols"),
        state=data.draw(st.booleans(), label="state"),
        lengths=data.draw(st.none() | st.lists(st.integers(0, many), min_size=batch, max_size=batch), label="lengths"),
        reverse=data.draw(st.booleans(), label="reverse"),
    )


def agree(actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    """Assert that no number differs by more than `tolerance`, relative to the largest of its array or to 1.

    The tolerance is relative to the largest number, because a sum is rounded at the size of its parts.
    """
    assert set(actual) == set(expected)
    for name, value in expected.items():
        assert actual[name].shape == value.shape, name
        if not value.numel():
            continue
        size = max(1.0, float(value.abs().max()))
        difference = float((actual[name].double() - value.double()).abs().max())
        assert difference <= tolerance * size, f"{name}: {difference} of {size}"


def identical(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Assert that all numbers are the same, bit for bit; NaN equals NaN."""
    assert set(actual) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=0, atol=0, equal_nan=True, msg=name)
