"""How far do gradients reach? The Jacobians of many steps multiplied, for every two steps of a sequence.

d state_t / d state_s is the product of the Jacobians of the steps s + 1 to t. `product_map` tells its size for all
s <= t at once: exactly for a small layer, and from a few vectors for a large one. Products over hundreds of steps leave
the range of any floating-point number, so sizes are natural logarithms, and vectors are scaled on the way.

`T` step, `N` neuron, `S` state, `M` = S · N, `K` vector.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatescope.studies.common.table import StudyError, Table
from gatescope.studies.gradients.jacobians import Jacobians

LARGEST_EXACT = 64  # numbers in a state, up to which every product is written out
RESCALED = 2  # steps between two looks at the sizes: squares of float32 hold what a step shrinks or grows by 1e8
TOLERATED = 12  # powers of 2 that a vector may be away from 1
Map = NDArray[np.float64]  # (T, T): entry [t, s]; NaN where s > t, or further away than was asked for


@dataclass(frozen=True)
class ProductMap:
    """The size of d state_t / d state_s for all pairs of steps.

    Entry [t, s] of each array is about the states after step t by those after step s: the product of t - s Jacobians,
    the identity where t = s. Natural logarithms; -inf where the derivative is 0; NaN where s > t.

    Attributes:
        layer: "layer0".
        source: the state by which is derived; None for all of them together.
        exact: whether all products were written out. Otherwise `norm`, `by_state` and `rest` are estimates, and
            `largest` is a lower bound.
        vectors: K: with how many vectors each product was multiplied.
        norm: the Frobenius norm.
        by_state: state -> the norm of its rows.
        largest: the largest singular value: by how much a change can grow.
        radius: the spectral radius, where it was asked for.
        bypass: the norm of the product of the direct terms alone (of an LSTM's cell: of its forget gates): exact.
        rest: the norm of what goes any other way.
    """

    layer: str
    source: str | None
    exact: bool
    vectors: int
    norm: Map
    by_state: dict[str, Map]
    largest: Map
    radius: Map | None
    bypass: Map
    rest: Map

    def growth(self) -> Map:
        """The logarithm of the norm by which a product grows in a step: (log norm - log norm at distance 0) / distance.

        NaN where t = s.
        """
        steps = np.arange(len(self.norm))
        distance = (steps[:, None] - steps).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(distance > 0, (self.norm - np.diagonal(self.norm)) / distance, np.nan)

    def by_distance(self) -> Table:
        """The median over all pairs of steps of one distance, for every distance that was asked for."""
        titles = {
            "distance": "steps between",
            "pairs": "pairs of steps",
            "norm": "norm of the gradient, median (natural logarithm)",
            "largest": "largest singular value, median (natural logarithm)",
            "bypass": "norm around all gates, median (natural logarithm)",
            "rest": "norm of every other way, median (natural logarithm)",
        }
        names = ("norm", "largest", "bypass", "rest")
        rows = []
        for distance in range(len(self.norm)):
            found = {name: np.diagonal(getattr(self, name), -distance) for name in names}
            if np.isnan(found["norm"]).all():
                break
            medians = {name: _median(values) for name, values in found.items()}
            rows.append({"distance": distance, "pairs": len(found["norm"]), **medians})
        about = {"layer": self.layer, "source": self.source, "exact": self.exact, "vectors": self.vectors}
        return Table.of(rows, titles, **about)


def product_map(
    jacobians: Jacobians,
    source: str | None = None,
    *,
    vectors: int | None = None,
    furthest: int | None = None,
    radius: bool = False,
    seed: int = 0,
) -> ProductMap:
    """The sizes of all products of the Jacobians of a layer.

    With K vectors for the M numbers of a state, each product J is multiplied with K orthonormal vectors: the first half
    spans what gradients that come back from far turn into (see `_returning`), V is drawn at random among the vectors
    orthogonal to these, Q. Then |J|² = |J Q|² + the mean of (M - K / 2) / (K / 2) · |J V|² over all draws (after
    Hutchinson 1990, and Meyer, Musco, Musco and Woodruff 2021, Hutch++): no bias, and little variance where few
    directions are left of all, which is where random vectors alone are at their worst.

    On a GRU of 128 neurons trained on Python code, 200 steps, K = 4: norms are off by 12 % (root mean square) up to 10
    steps apart, by 9 % up to 50 and by 2 % beyond; with K = 8 by 7 %, 4 % and 0.1 %. The time goes into
    S · N² · K · T² multiplications and as many additions, the memory into about 4 · S · T · K · N numbers.

    Args:
        jacobians: of one layer.
        source: a state to derive by; all of them when not given.
        vectors: K. When not given, all M where M is at most 64, otherwise 4. With M and more the map is exact,
            computed in float64; otherwise in float32.
        furthest: the largest distance t - s; all when not given.
        radius: whether the spectral radii are computed too, of an exact map by all states; it takes longest of all.
        seed: of the vectors.

    Raises:
        StudyError: spectral radii were asked of an estimate, there is no such state, the layer carries none, or there
            are fewer than 2 vectors.
    """
    sources = sources_of(jacobians, source)
    width = len(sources) * jacobians.neurons
    count = vectors if vectors is not None else width if width <= LARGEST_EXACT else 4
    if count < 2 and width > count:
        raise StudyError("PRODUCTS_TOO_FEW_VECTORS", vectors=count)
    exact = count >= width
    steps = jacobians.steps
    if exact:
        start = torch.eye(width, dtype=torch.float64).expand(steps, -1, -1)
        shares, used = torch.ones(width, dtype=torch.float64), jacobians
    else:
        start, shares = _start(jacobians, sources, count, seed)
        start, shares, used = start.float(), shares.float(), jacobians.to(torch.float32)
    count = len(shares)
    states = jacobians.states
    names = ("norm", "largest", "bypass", "rest", *states)
    maps = {name: np.full((steps, steps), np.nan) for name in names}
    if radius and not (exact and len(sources) == len(states)):
        raise StudyError("PRODUCTS_RADII_NEED_ALL")
    radii = np.full((steps, steps), np.nan) if radius else None
    far = steps if furthest is None else furthest
    for step, first, logs, now, around, direct in _travel(used, sources, start, far):
        columns = slice(first, step + 1)
        grams = [part @ part.transpose(1, 2) for part in now]  # per state (n, K, K)
        sizes = [gram.diagonal(dim1=1, dim2=2) @ shares for gram in grams]
        rests = [
            size if part is None else part.square_().sum(2) @ shares for size, part in zip(sizes, around, strict=True)
        ]
        gram = _total(grams)
        maps["norm"][step, columns] = _log(_total(sizes), logs)
        maps["rest"][step, columns] = _log(_total(rests), logs)
        maps["bypass"][step, columns] = _log(direct, logs)
        maps["largest"][step, columns] = _log(torch.linalg.eigvalsh(gram)[:, -1].clamp(min=0), logs)
        for state, size in zip(states, sizes, strict=True):
            maps[state][step, columns] = _log(size, logs)
        if radii is not None:
            written = now.permute(1, 0, 3, 2).flatten(1, 2)  # (n, M, K)
            radii[step, columns] = _log(torch.linalg.eigvals(written).abs().amax(1).square(), logs)
    by_state = {state: maps[state] for state in states}
    return ProductMap(
        jacobians.layer,
        source,
        exact,
        count,
        maps["norm"],
        by_state,
        maps["largest"],
        radii,
        maps["bypass"],
        maps["rest"],
    )


def sources_of(jacobians: Jacobians, source: str | None) -> list[int]:
    """The places of the states by which is derived: of one, or of all.

    Raises:
        StudyError: the layer has no such state, or none at all.
    """
    if not jacobians.states:
        raise StudyError("JACOBIANS_NO_STATES", layer=jacobians.layer)
    if source is not None and source not in jacobians.states:
        raise StudyError(
            "JACOBIANS_STATE_UNKNOWN", layer=jacobians.layer, states=", ".join(jacobians.states), state=source
        )
    return [place for place, state in enumerate(jacobians.states) if source in (None, state)]


def _travel(
    jacobians: Jacobians, sources: list[int], start: Float[Tensor, "T _ K"], furthest: int
) -> Iterator[tuple[int, int, Tensor, Tensor, list[Tensor | None], Tensor]]:
    """Vectors that start after every step, carried along side by side.

    Args:
        jacobians: of one layer.
        sources: the places of the states in which they start.
        start: for every step, vectors as columns.
        furthest: how many steps they are carried.

    Yields:
        A step t and the first s that has come there; then for s to t the logarithm by which all that follows was
        divided (n,); the vectors (S, n, K, N); for each state what of them did not come through the direct terms
        (n, K, N), None where nothing did; and the squared norm of the product of the direct terms (n,).
    """
    steps, neurons, count = jacobians.steps, jacobians.neurons, start.shape[2]
    begun = start.new_zeros(len(jacobians.states), steps, count, neurons)
    begun[sources] = start.unflatten(1, (len(sources), neurons)).permute(1, 0, 3, 2)
    now, spare, logs = begun.clone(), begun.clone(), torch.zeros(steps, dtype=torch.float64)
    # (state, source) -> the diagonal of the product of the direct terms
    direct = {(place, place): start.new_ones(steps, neurons) for place in sources}
    for step in range(steps):
        first = max(0, step - furthest)
        old = slice(first, step)
        if step > first:
            # What has not begun is the same in both.
            jacobians.forwards(step, now[:, old], spare[:, old])
            now, spare = spare, now
            direct = _direct(jacobians, step, old, direct)
            if step % RESCALED == 0:
                _rescale(now, direct, logs, old)
        here = slice(first, step + 1)
        around: list[Tensor | None] = [None] * len(now)
        size = start.new_zeros(step + 1 - first)
        for (to, source), diagonal in direct.items():
            left, way = around[to], diagonal[here].unsqueeze(1)
            if left is None:
                around[to] = torch.addcmul(now[to, here], way, begun[source, here], value=-1)
            else:
                left.addcmul_(way, begun[source, here], value=-1)
            size += diagonal[here].square().sum(1)
        yield step, first, logs[here], now[:, here], around, size


def _direct(
    jacobians: Jacobians, step: int, old: slice, direct: dict[tuple[int, int], Tensor]
) -> dict[tuple[int, int], Tensor]:
    """The products of the direct terms, one step further where they have begun; 1 or 0 where they have not."""
    sums: dict[tuple[int, int], Tensor] = {}
    for (to, source), diagonal in direct.items():
        for (name, before), factors in jacobians.bypass.items():
            if jacobians.states.index(before) == to:
                pair, part = (jacobians.states.index(name), source), factors[step] * diagonal[old]
                sums[pair] = sums[pair] + part if pair in sums else part
    for pair in (*direct, *sums):
        if pair not in direct:
            direct[pair] = torch.zeros_like(next(iter(direct.values())))
        direct[pair][old] = sums.get(pair, 0.0)
    return direct


def _rescale(now: Tensor, direct: dict[tuple[int, int], Tensor], logs: Tensor, old: slice) -> None:
    """Divide what started together by the size of its largest number, a power of 2: no digit is lost."""
    largest = now[:, old].abs().amax((0, 2, 3))
    exponent = torch.frexp(largest).exponent
    exponent = exponent.where((largest > 0) & (exponent.abs() > TOLERATED), 0)
    if not bool(exponent.any()):
        return
    factor = torch.ldexp(torch.ones_like(largest), -exponent)
    now[:, old] *= factor[:, None, None]
    for diagonal in direct.values():
        diagonal[old] *= factor[:, None]
    logs[old] += exponent.double() * float(np.log(2.0))


def _total(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts).sum(0)


def _log(squared: Tensor, logs: Tensor) -> NDArray[np.float64]:
    """Half the logarithm of squared sizes, with what they were divided by."""
    return (squared.double().log() / 2 + logs).numpy()


def _start(jacobians: Jacobians, sources: list[int], count: int, seed: int) -> tuple[Tensor, Tensor]:
    """K orthonormal columns for every step, (T, _, K), and what the square of each counts for, (K,)."""
    generator = torch.Generator().manual_seed(seed)
    kept, width = count // 2, len(sources) * jacobians.neurons
    returning = _returning(jacobians, kept, generator)[:, sources]  # (T, _, N, K / 2)
    drawn = torch.randn(jacobians.steps, width, count - kept, generator=generator, dtype=torch.float64)
    start, _ = torch.linalg.qr(torch.cat([returning.flatten(1, 2), drawn], 2))
    shares = torch.cat([torch.ones(kept), torch.full((count - kept,), (width - kept) / (count - kept))])
    return start, shares.double()


def _returning(jacobians: Jacobians, count: int, generator: torch.Generator) -> Float[Tensor, "T S N K"]:
    """What random gradients at the last step span after every step before it: where most of what lasts is read."""
    states, neurons = len(jacobians.states), jacobians.neurons
    basis = torch.randn(states * neurons, count, generator=generator, dtype=torch.float64)
    found = basis.new_empty(jacobians.steps, states * neurons, count)
    for step in reversed(range(jacobians.steps)):
        found[step] = basis = torch.linalg.qr(basis)[0]
        vectors = basis.t().unflatten(1, (states, neurons)).transpose(0, 1)
        basis = jacobians.backwards(step, vectors).transpose(0, 1).flatten(1).t()
        if not bool((basis.abs().amax(0) > 0).all()):  # nothing comes back: any other vector is as good
            basis = torch.randn(basis.shape, generator=generator, dtype=torch.float64)
    return found.unflatten(1, (states, neurons))


def check_pair(jacobians: Jacobians, after: int, before: int) -> None:
    """That these are two steps of the layer, the later one first, and that it carries a state.

    Raises:
        StudyError: they are not, or it does not.
    """
    sources_of(jacobians, None)
    if not 0 <= before <= after < jacobians.steps:
        raise StudyError("PRODUCTS_STEPS_INVALID", last=jacobians.steps - 1, after=after, before=before)


def chain(jacobians: Jacobians, state: str, neuron: int, after: int, before: int) -> Table:
    """One neuron's way from a step to a later one, factor by factor: what a reader sees of an entry of the map.

    For every step the factors of the direct terms from the state to itself, their product so far, and the size of
    what each drive adds: the factor of the term times the norm of the neuron's row of U_k.

    Raises:
        StudyError: the steps, the state or the neuron are not there.
    """
    check_pair(jacobians, after, before)
    if state not in jacobians.states or not 0 <= neuron < jacobians.neurons:
        raise StudyError(
            "PRODUCTS_NEURON_UNKNOWN",
            layer=jacobians.layer,
            states=", ".join(jacobians.states),
            last=jacobians.neurons - 1,
            state=state,
            neuron=neuron,
        )
    terms = [term for term in jacobians.terms if term.to == state and term.drive is not None]
    titles = {"step": "step", "direct": f"d {state} / d {state} one step earlier, direct", "product": "their product"}
    titles |= {term.name: f"through {term.name}: factor times the norm of its weights" for term in terms}
    rows, product = [], 1.0
    own = jacobians.bypass.get((state, state))
    for step in range(before + 1, after + 1):
        direct = 0.0 if own is None else float(own[step, neuron])
        product *= direct
        sizes = {
            term.name: float(jacobians.factors[term][step, neuron] * jacobians.weights[term.drive][neuron].norm())
            for term in terms
            if term.drive is not None
        }
        rows.append({"step": step, "direct": direct, "product": product, **sizes})
    return Table.of(rows, titles, layer=jacobians.layer, state=state, neuron=neuron)


def _median(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")
