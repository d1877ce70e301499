"""How fast do changes grow from one step to another, and in the long run?

Of chosen pairs of steps and of whole sequences, without writing any product of Jacobians out: vectors are carried from
step to step and scaled on the way. All sizes are natural logarithms.

`N` neuron, `S` state, `M` = S · N, `K` vector.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatescope.studies.common.table import StudyError
from gatescope.studies.gradients.jacobians import Jacobians
from gatescope.studies.gradients.products import check_pair, sources_of


def singular_values(
    jacobians: Jacobians, after: int, before: int, count: int = 1, *, iterations: int = 30, seed: int = 0
) -> NDArray[np.float64]:
    """The logarithms of the largest singular values of d state_after / d state_before, largest first, without a matrix.

    By block power iteration with QR on the product and its transpose; two vectors more than asked for are carried
    along. Of values whose logarithms are within 18 of the largest, the last step tells what the product does within
    the span that was found (Rayleigh and Ritz); smaller ones are what their vectors grew by.

    Raises:
        StudyError: the steps are not there or in the wrong order, or the layer carries no state.
    """
    check_pair(jacobians, after, before)
    generator = torch.Generator().manual_seed(seed)
    basis = _basis(jacobians, count + 2, generator)
    grown = torch.zeros(basis.shape[1], dtype=torch.float64)
    for _ in range(iterations):
        there, forth = _carried(jacobians, basis, range(before + 1, after + 1), transposed=False)
        basis, back = _carried(jacobians, there, range(after, before, -1), transposed=True)
        grown = (forth + back) / 2
    image, log = _scaled(jacobians, basis, range(before + 1, after + 1))
    within = torch.linalg.svdvals(image).log() + log
    grown = grown.sort(descending=True).values
    return torch.where(within > within[0] - 18, within, grown).numpy()[:count]


def spectral_radius(
    jacobians: Jacobians, after: int, before: int, *, vectors: int = 8, iterations: int = 60, seed: int = 0
) -> float:
    """The logarithm of the largest absolute eigenvalue of d state_after / d state_before, without a matrix.

    By subspace iteration: the product is applied again and again to a few orthonormal vectors, and its eigenvalues
    are those of what it does within their span. Exact where there are as many vectors as numbers in the state.

    Raises:
        StudyError: the steps are not there or in the wrong order, or the layer carries no state.
    """
    check_pair(jacobians, after, before)
    basis = _basis(jacobians, vectors, torch.Generator().manual_seed(seed))
    found = -np.inf
    for _ in range(iterations):
        image, log = _scaled(jacobians, basis, range(before + 1, after + 1))
        largest = float(torch.linalg.eigvals(basis.t() @ image).abs().max())
        found = float(np.log(largest)) + log if largest > 0 else -np.inf
        basis = torch.linalg.qr(image)[0]
    return found


def lyapunov(jacobians: Jacobians, count: int | None = None, *, skip: int = 0, seed: int = 0) -> NDArray[np.float64]:
    """The Lyapunov exponents of the layer along this sequence, largest first, in nats a step.

    Random vectors are carried along and made orthonormal at every step; the mean logarithm of how much each one grew
    (Benettin, Galgani, Giorgilli and Strelcyn 1980). Below 0 all small changes are forgotten.

    Args:
        jacobians: of one layer.
        count: how many; all M when not given.
        skip: steps at the beginning that turn the vectors, but do not count.
        seed: of the vectors.

    Raises:
        StudyError: no step is left to count, or the layer carries no state.
    """
    sources_of(jacobians, None)
    if not 0 <= skip < jacobians.steps:
        raise StudyError("GROWTH_SKIP_TOO_LARGE", steps=jacobians.steps, skip=skip)
    basis = _basis(jacobians, jacobians.width if count is None else count, torch.Generator().manual_seed(seed))
    basis, _ = _carried(jacobians, basis, range(skip), transposed=False)
    _, growth = _carried(jacobians, basis, range(skip, jacobians.steps), transposed=False)
    return np.sort(growth.numpy())[::-1] / (jacobians.steps - skip)


def _basis(jacobians: Jacobians, count: int, generator: torch.Generator) -> Float[Tensor, "M K"]:
    drawn = torch.randn(jacobians.width, min(count, jacobians.width), generator=generator, dtype=torch.float64)
    return torch.linalg.qr(drawn)[0]


def _apply(jacobians: Jacobians, step: int, columns: Float[Tensor, "M K"], transposed: bool) -> Float[Tensor, "M K"]:
    vectors = columns.t().unflatten(1, (len(jacobians.states), jacobians.neurons)).transpose(0, 1)
    moved = jacobians.backwards(step, vectors) if transposed else jacobians.forwards(step, vectors)
    return moved.transpose(0, 1).flatten(1).t()


def _carried(
    jacobians: Jacobians, basis: Float[Tensor, "M K"], steps: Iterable[int], *, transposed: bool
) -> tuple[Float[Tensor, "M K"], Float[Tensor, "K"]]:
    """Orthonormal vectors after some steps, made orthonormal after each, and by how much each one grew (logarithms)."""
    growth = torch.zeros(basis.shape[1], dtype=torch.float64)
    for step in steps:
        basis, triangle = torch.linalg.qr(_apply(jacobians, step, basis, transposed))
        growth += triangle.diagonal().abs().log()
    return basis, growth


def _scaled(
    jacobians: Jacobians, columns: Float[Tensor, "M K"], steps: Iterable[int]
) -> tuple[Float[Tensor, "M K"], float]:
    """The product times vectors, divided by its size at every step, and the logarithm of that."""
    total = 0.0
    for step in steps:
        columns = _apply(jacobians, step, columns, transposed=False)
        size = float(columns.abs().max())
        if size == 0.0:
            return columns, total
        columns, total = columns / size, total + float(np.log(size))
    return columns, total
