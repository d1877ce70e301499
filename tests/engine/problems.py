"""A run of a layer with everything that can be given to it, and all that comes back, gradients included."""

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
NEURONS = (1, 2, 3, 4, 7, 8, 15, 16, 17, 33, 63, 64, 65, 130)


@dataclass(frozen=True)
class Problem:
    """Arguments of `run`; a state and lengths may be missing."""

    cell: Cell
    parameters: Parameters
    inputs: Tensor
    state: dict[str, Tensor] | None = None
    lengths: Tensor | None = None
    reverse: bool = False
    hidden: Tensor | None = None

    def to(self, dtype: torch.dtype) -> Problem:
        """The same numbers in another precision."""
        return replace(
            self,
            parameters=Parameters(**{name: value.to(dtype) for name, value in self.parameters.by_name().items()}),
            inputs=self.inputs.to(dtype) if self.inputs.is_floating_point() else self.inputs,
            state=None if self.state is None else {name: value.to(dtype) for name, value in self.state.items()},
        )

    def row(self, k: int) -> Problem:
        """One sequence of the batch alone."""
        return replace(
            self,
            inputs=self.inputs[:, k : k + 1],
            state=None if self.state is None else {name: value[k : k + 1] for name, value in self.state.items()},
            lengths=None if self.lengths is None else self.lengths[k : k + 1],
        )

    def forward(
        self, engine: Engine = "native", keep: Sequence[str] | None = None, changes: Sequence[Intervention] = ()
    ) -> dict[str, Tensor]:
        """What was kept (every signal when `keep` is not given), and the final states as "final c"."""
        found, final = run(
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
        return found | {f"final {name}": value for name, value in final.items()}

    def leaves(self) -> tuple[Problem, dict[str, Tensor]]:
        """The same with tensors that gradients can be asked of, and these."""
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
        """Of a weighted sum of all that `forward` returns, or of what of it is `used`; 0 where there is none."""
        problem, leaves = self.leaves()
        found = problem.forward(engine, keep, changes)
        names = list(found) if used is None else used
        total = torch.stack([(found[name] * weights_for(name, found[name])).sum() for name in names]).sum()
        if not total.requires_grad:
            return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
        grads = torch.autograd.grad(total, list(leaves.values()), allow_unused=True, materialize_grads=True)
        return dict(zip(leaves, grads, strict=True))


def weights_for(name: str, value: Tensor) -> Tensor:
    """Fixed random numbers of the shape of a result, the same in every precision."""
    return numbers(sum(map(ord, name)), *value.shape).to(value)


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
    """Random numbers, of a size at which differences between two ways to round do not grow from step to step.

    Symbols go from -2, which is unknown, to one more than there are.
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
    if "n" in start:  # what the sLSTM divides by
        start["n"] = start["n"].abs() + 0.5
    return Problem(
        cell, weights, x, start if state else None, None if lengths is None else torch.tensor(lengths).long(), reverse
    )


def drawn(data: st.DataObject, names: Sequence[str] = EACH_CELL, steps: int = 6, rows: int = 9) -> Problem:
    """Every kind of request."""
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


def agree(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    """Whether all numbers differ by no more than `tolerance`, as a share of the largest of their array or of 1.

    A share of the largest, because a sum is rounded in the size of its parts and not in its own.
    """
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        if not value.numel():
            continue
        size = max(1.0, float(value.abs().max()))
        difference = float((found[name].double() - value.double()).abs().max())
        assert difference <= tolerance * size, f"{name}: {difference} of {size}"


def identical(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Bit for bit, NaN included."""
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0, equal_nan=True, msg=name)
