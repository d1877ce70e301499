"""Layers and networks with random weights, for tests that draw their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from gatescope import CELLS, Cell, Network, Vocabulary, configure
from gatescope.engine import Parameters, shapes
from tests.reference.cells import Weights

ALPHABET = Vocabulary(tuple("abcde"))
EACH_CELL = tuple(CELLS)

cells = st.sampled_from(list(CELLS.values()))
few = st.integers(1, 4)
seeds = st.integers(0, 2**31)


def numbers(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Return normally distributed numbers that depend only on the seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def layer(
    cell: Cell, inputs: int, neurons: int, seed: int, scale: float = 0.7, dtype: torch.dtype = torch.float64
) -> Parameters:
    """Return a layer in which every weight, bias and number per neuron is random."""
    drawn = [
        numbers(seed + k, *shape, dtype=dtype) * scale for k, shape in enumerate(shapes(cell, inputs, neurons).values())
    ]
    return Parameters(*drawn)


def parameters_of(name: str, weights: Weights, inputs: int, neurons: int) -> Parameters:
    """Return a layer with the weights of a reference in tests/reference."""
    tape = CELLS[name].tape

    def stack(rows: list[np.ndarray], *shape: int) -> torch.Tensor:
        return torch.from_numpy(np.array(rows).reshape(len(rows), *shape))

    return Parameters(
        stack([weights.W[k] for k in tape.input_drives], neurons, inputs),
        stack([weights.b[k] for k in tape.input_drives], neurons),
        stack([weights.U[k] for k in tape.recurrent_drives], neurons, neurons),
        stack([weights.p[k] for k in tape.parameters], neurons),
    )


def network(
    cell: Cell | str, neurons: Sequence[int], seed: int = 0, vocabulary: Vocabulary = ALPHABET, **settings: Any
) -> Network:
    """Return a float32 network in which biases and numbers per neuron are random too."""
    made = Network(configure(vocabulary, cell, neurons, **settings), seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in made.parameters():
            value.add_(0.3 * torch.randn(value.shape, generator=generator))
    return made
