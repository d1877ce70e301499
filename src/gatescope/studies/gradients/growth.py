"""How fast do small changes of the state grow from one step to another, and in the long run?

Training fails when gradients explode or vanish, and a network is chaotic when small changes grow forever. The largest
singular value between two steps bounds how much a gradient can grow there, and the Lyapunov exponents are the mean
growth over a whole sequence: above 0 the network is chaotic, below 0 it forgets every change.

No product of Jacobians is written out: vectors are carried from step to step and scaled on the way. All sizes are
natural logarithms.

`N` neuron, `S` state, `M` = S · N, `K` vector.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatescope.generator import Generator
from gatescope.studies.common.table import StudyError
from gatescope.studies.gradients.jacobians import Jacobians
from gatescope.studies.gradients.products import check_pair, sources_of


def singular_values(
    jacobians: Jacobians, after: int, before: int, count: int = 1, *, iterations: int = 30, seed: int = 0
) -> NDArray[np.float64]:
    """Compute the logarithms of the largest singular values of d state_after / d state_before, largest first.

    Uses block power iteration with QR on the product and its transpose, with two additional vectors. Values whose
    logarithms are within 18 of the largest come from the product restricted to the final span (Rayleigh and Ritz);
    smaller values come from the growth of their vectors.

    Args:
        jacobians: the Jacobians of one layer.
        after: the later step.
        before: the earlier step.
        count: the number of singular values.
        iterations: the number of power iterations.
        seed: the seed of the first vectors.

    Returns:
        Natural logarithms, (count,).

    Raises:
        StudyError: there are no such steps, they are in the wrong order, or the layer carries no state.
    """
    check_pair(jacobians, after, before)
    basis = _basis(jacobians, count + 2, seed)
    grown = torch.zeros(basis.shape[1], dtype=torch.float64)
    for _ in range(iterations):
        image, growth_forward = _carried(jacobians, basis, range(before + 1, after + 1), transposed=False)
        basis, growth_back = _carried(jacobians, image, range(after, before, -1), transposed=True)
        grown = (growth_forward + growth_back) / 2
    image, log = _scaled(jacobians, basis, range(before + 1, after + 1))
    within = torch.linalg.svdvals(image).log() + log
    grown = grown.sort(descending=True).values
    return torch.where(within > within[0] - 18, within, grown).numpy()[:count]


def spectral_radius(
    jacobians: Jacobians, after: int, before: int, *, vectors: int = 8, iterations: int = 60, seed: int = 0
) -> float:
    """Compute the logarithm of the largest absolute eigenvalue of d state_after / d state_before.

    Uses subspace iteration: the product is applied repeatedly to a few orthonormal vectors, and its eigenvalues are
    estimated within their span. Exact if there are as many vectors as numbers in the state.

    Args:
        jacobians: the Jacobians of one layer.
        after: the later step.
        before: the earlier step.
        vectors: the number of vectors.
        iterations: the number of iterations.
        seed: the seed of the first vectors.

    Raises:
        StudyError: there are no such steps, they are in the wrong order, or the layer carries no state.
    """
    check_pair(jacobians, after, before)
    basis = _basis(jacobians, vectors, seed)
    log_radius = -np.inf
    for _ in range(iterations):
        image, log = _scaled(jacobians, basis, range(before + 1, after + 1))
        largest = float(torch.linalg.eigvals(basis.t() @ image).abs().max())
        log_radius = float(np.log(largest)) + log if largest > 0 else -np.inf
        basis = torch.linalg.qr(image)[0]
    return log_radius


def lyapunov(jacobians: Jacobians, count: int | None = None, *, skip: int = 0, seed: int = 0) -> NDArray[np.float64]:
    """Compute the Lyapunov exponents of a layer along a sequence, largest first, in nats per step.

    Random vectors are carried along the sequence and made orthonormal at every step. An exponent is the mean logarithm
    of the growth of one vector. If all exponents are below 0, every small change is forgotten.

    Args:
        jacobians: the Jacobians of one layer.
        count: the number of exponents; None: all M.
        skip: steps at the beginning that align the vectors, but do not count.
        seed: the seed of the first vectors.

    Raises:
        StudyError: no step is left to count, or the layer carries no state.

    Source: Benettin, Galgani, Giorgilli and Strelcyn, "Lyapunov characteristic exponents for smooth dynamical systems
    and for Hamiltonian systems", Meccanica 15 (1980).
    """
    sources_of(jacobians, None)
    if not 0 <= skip < jacobians.steps:
        raise StudyError("GROWTH_SKIP_TOO_LARGE", steps=jacobians.steps, skip=skip)
    basis = _basis(jacobians, jacobians.width if count is None else count, seed)
    basis, _ = _carried(jacobians, basis, range(skip), transposed=False)
    _, growth = _carried(jacobians, basis, range(skip, jacobians.steps), transposed=False)
    return np.sort(growth.numpy())[::-1] / (jacobians.steps - skip)


def _basis(jacobians: Jacobians, count: int, seed: int) -> Float[Tensor, "M K"]:
    """Return random orthonormal vectors. The page draws the same ones (web/engine/growth.ts)."""
    size = (jacobians.width, min(count, jacobians.width))
    drawn = Generator(seed, "directions").normals(size[0] * size[1]).reshape(size)
    return torch.linalg.qr(torch.from_numpy(drawn))[0]


def _apply(jacobians: Jacobians, step: int, columns: Float[Tensor, "M K"], transposed: bool) -> Float[Tensor, "M K"]:
    vectors = columns.t().unflatten(1, (len(jacobians.states), jacobians.neurons)).transpose(0, 1)
    moved = jacobians.backwards(step, vectors) if transposed else jacobians.forwards(step, vectors)
    return moved.transpose(0, 1).flatten(1).t()


def _carried(
    jacobians: Jacobians, basis: Float[Tensor, "M K"], steps: Iterable[int], *, transposed: bool
) -> tuple[Float[Tensor, "M K"], Float[Tensor, "K"]]:
    """Carry orthonormal vectors along some steps, with QR after each; return them and the log of their growth."""
    growth = torch.zeros(basis.shape[1], dtype=torch.float64)
    for step in steps:
        basis, triangle = torch.linalg.qr(_apply(jacobians, step, basis, transposed))
        growth += triangle.diagonal().abs().log()
    return basis, growth


def _scaled(
    jacobians: Jacobians, columns: Float[Tensor, "M K"], steps: Iterable[int]
) -> tuple[Float[Tensor, "M K"], float]:
    """Multiply vectors by the product, scaled at every step; return them and the logarithm of the scale."""
    total = 0.0
    for step in steps:
        columns = _apply(jacobians, step, columns, transposed=False)
        size = float(columns.abs().max())
        if size == 0.0:
            return columns, total
        columns, total = columns / size, total + float(np.log(size))
    return columns, total
