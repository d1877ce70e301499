"""Initial weights: their formulas, and the independence of every matrix from the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from gatescope import CELLS, Network, configure
from gatescope.engine import initialise, shapes
from gatescope.engine.parameters import glorot, orthogonal
from gatescope.generator import Generator
from gatescope.readout import classes
from tests.networks import ALPHABET, EACH_CELL, cells, few, seeds


def gram_schmidt(columns: np.ndarray) -> np.ndarray:
    """Return the orthonormal columns of Gram and Schmidt, of which each is taken off twice for the sake of rounding."""
    basis = np.zeros_like(columns)
    for k in range(len(columns)):
        column = columns[:, k].copy()
        for _ in range(2):
            column -= basis[:, :k] @ (basis[:, :k].T @ column)
        basis[:, k] = column / np.linalg.norm(column)
    return basis


@pytest.mark.parametrize("name", EACH_CELL)
def test_initialise_follows_its_formulas(name: str) -> None:
    cell = CELLS[name]
    weights = initialise(cell, 7, 20, Generator(1))
    assert {k: tuple(v.shape) for k, v in weights.by_name().items()} == shapes(cell, 7, 20)
    bound = (6 / 27) ** 0.5
    for k, drive in enumerate(cell.tape.input_drives):
        uniforms = Generator(1, f"input_weights.{drive}").uniforms(140).reshape(20, 7)
        np.testing.assert_array_equal(weights.input_weights[k].numpy(), ((2 * uniforms - 1) * bound).astype(np.float32))
        assert (weights.biases[k] == cell.biases.get(drive, 0.0)).all()
    for k, drive in enumerate(cell.tape.recurrent_drives):
        normals = Generator(1, f"recurrent_weights.{drive}").normals(400).reshape(20, 20)
        np.testing.assert_allclose(weights.recurrent_weights[k].numpy(), gram_schmidt(normals), rtol=0, atol=6e-8)
    assert (weights.neuron_weights == 0).all()
    if "f" in cell.tape.input_drives:
        assert cell.biases["f"] == 1.0


@pytest.mark.parametrize("size", [1, 2, 40])
def test_recurrent_matrices_are_orthogonal(size: int) -> None:
    matrix = orthogonal(size, Generator(3)).double()
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(size, dtype=torch.float64), rtol=0, atol=1e-6)


def test_recurrent_matrices_have_no_preferred_sign() -> None:
    """Rotations and reflections of the plane are equally probable, and the angle is uniform. The seeds are fixed."""
    drawn = [orthogonal(2, Generator(seed)).double().numpy() for seed in range(400)]
    angles = [np.arctan2(matrix[1, 0], matrix[0, 0]) for matrix in drawn]
    assert stats.kstest(angles, "uniform", (-np.pi, 2 * np.pi)).pvalue > 0.001
    assert stats.binomtest(sum(np.linalg.det(matrix) > 0 for matrix in drawn), 400).pvalue > 0.001


def test_glorot_reaches_its_bound() -> None:
    values = glorot((30, 50), Generator(0)).double().numpy().ravel()
    assert stats.kstest(values / np.sqrt(6 / 80), "uniform", (-1, 2)).pvalue > 0.001


def test_float64_weights_round_to_float32_weights() -> None:
    single = Network(ALPHABET, 4, cell="gru", neurons=[5]).state_dict()
    torch.set_default_dtype(torch.float64)
    try:
        double = Network(ALPHABET, 4, cell="gru", neurons=[5]).state_dict()
    finally:
        torch.set_default_dtype(torch.float32)
    for name, value in double.items():
        assert value.dtype == torch.float64
        assert torch.equal(value.float(), single[name])


def weights(cell: object, neurons: list[int], seed: int = 0, **options: object) -> dict[str, Tensor]:
    return Network(configure(ALPHABET, cell, neurons, **options), seed).state_dict()  # type: ignore[arg-type]


@given(cells, few, seeds)
@settings(max_examples=20)
def test_seed_decides_every_matrix(cell: object, neurons: int, seed: int) -> None:
    first, same, other = (weights(cell, [neurons, 3], number, embedding=4) for number in (seed, seed, seed + 1))
    for name, value in first.items():
        assert torch.equal(value, same[name])
        if "weights" in name and "neuron" not in name and value.numel() > 1:
            assert not torch.equal(value, other[name]), name


@given(cells, few, few, few, seeds, st.booleans())
@settings(max_examples=20)
def test_matrices_do_not_depend_on_other_layers(
    cell: object, first: int, second: int, third: int, seed: int, both_ways: bool
) -> None:
    """Other sizes below change only the weights that read them; layers above and a readout change nothing."""
    small = weights(cell, [first, second], seed, both_ways=both_ways)
    large = weights(cell, [third, second, first], seed, both_ways=both_ways, readout=classes(["x", "y"]))
    name = "layers.2.recurrent_weights" if both_ways else "layers.1.recurrent_weights"
    assert torch.equal(small[name], large[name])
    if first == third:
        for name in (name for name in small if name.startswith(("layers.0", "layers.1"))):
            assert torch.equal(small[name], large[name])


def test_weights_without_a_seed_are_zero() -> None:
    """They have the names, the order and the shapes of drawn ones, for weights that are loaded."""
    configuration = configure(ALPHABET, "peephole", [4, 3], embedding=5, both_ways=True)
    empty, drawn = (Network(configuration, seed).state_dict() for seed in (None, 0))
    assert [(name, value.shape) for name, value in empty.items()] == [(k, v.shape) for k, v in drawn.items()]
    assert not any(value.any() for value in empty.values())


def test_every_matrix_is_a_matrix_of_its_own() -> None:
    """Layers, directions and drives of one shape start differently."""
    made = weights("lstm", [5, 5], both_ways=True, embedding=10)
    matrices = [matrix for name, value in made.items() if name.endswith("recurrent_weights") for matrix in value]
    matrices += [matrix for name, value in made.items() if name.endswith("input_weights") for matrix in value]
    assert len({matrix.numpy().tobytes() for matrix in matrices}) == len(matrices) == 32


def test_cells_share_the_weights_of_equal_drives() -> None:
    """A comparison of cells with one seed begins from the same forget gate."""
    lstm, peephole, coupled = (weights(name, [6], 3) for name in ("lstm", "peephole", "coupled"))
    for name in ("layers.0.recurrent_weights", "layers.0.input_weights"):
        assert torch.equal(lstm[name], peephole[name])
        for drive in ("f", "g", "o"):
            places = [CELLS[cell].tape.input_drives.index(drive) for cell in ("lstm", "coupled")]
            assert torch.equal(lstm[name][places[0]], coupled[name][places[1]])
    assert torch.equal(lstm["readout_weights"], coupled["readout_weights"])
