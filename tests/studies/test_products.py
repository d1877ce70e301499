"""Products of Jacobians: against NumPy loops over all pairs, and estimates against exact values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope.cells import Cell
from gatescope.studies import StudyError
from gatescope.studies.gradients.growth import lyapunov, singular_values, spectral_radius
from gatescope.studies.gradients.jacobians import Jacobians, jacobians_of
from gatescope.studies.gradients.products import ProductMap, chain, product_map
from tests.networks import EACH_CELL, cells, few, network, seeds

STEPS = 12
TEXT = "abcdeabbcedaeecbdacb" * 4


def jacobians_of_cell(name: str, neurons: int, steps: int = STEPS, seed: int = 2) -> Jacobians:
    return jacobians_of(network(name, [neurons], seed), TEXT[:steps])


def products(matrices: np.ndarray) -> Any:
    """Yield (t, s, the product of the matrices of the steps s + 1 to t) for all s <= t."""
    for s in range(len(matrices)):
        product = np.eye(matrices.shape[1])
        for t in range(s, len(matrices)):
            product = matrices[t] @ product if t > s else product
            yield t, s, product


def logarithm(value: Any) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log(value))


def close(actual: Any, expected: Any, smallest: float = 1e-10) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=smallest)


@pytest.mark.parametrize("name", [name for name in EACH_CELL if name != "feedforward"])
def test_product_map_equals_a_loop(name: str) -> None:
    jacobians = jacobians_of_cell(name, 3)
    measured = product_map(jacobians, radius=True)
    assert measured.exact
    assert measured.radius is not None
    direct = np.zeros((STEPS, jacobians.width, jacobians.width))
    for term in jacobians.terms:
        if term.direct:
            to, source = (3 * jacobians.states.index(k) for k in (term.to, term.source))
            direct[:, to : to + 3, source : source + 3] += jacobians.matrix(term.to, term.source, term.name)
    around = {(t, s): product for t, s, product in products(direct)}
    for t, s, product in products(jacobians.whole()):
        close(measured.norm[t, s], logarithm(np.linalg.norm(product)))
        close(measured.largest[t, s], logarithm(np.linalg.norm(product, 2)))
        close(measured.bypass[t, s], logarithm(np.linalg.norm(around[t, s])))
        rest = np.linalg.norm(product - around[t, s])
        close(np.exp(measured.rest[t, s]), rest, 1e-12)
        for place, state in enumerate(jacobians.states):
            rows = product[3 * place : 3 * place + 3]
            close(np.exp(measured.by_state[state][t, s]), np.linalg.norm(rows), 1e-12)
        # Eigenvalues near 0 are lost in the rounding of the others.
        close(np.exp(measured.radius[t, s]), np.abs(np.linalg.eigvals(product)).max(), 1e-7)
    assert np.isnan(measured.norm[np.triu_indices(STEPS, 1)]).all()


@given(cells, few, st.integers(1, 6), st.integers(0, 7), st.integers(0, 10), seeds)
@settings(max_examples=30)
def test_product_map_of_one_state_and_some_distances(
    cell: Cell, neurons: int, steps: int, furthest: int, which: int, seed: int
) -> None:
    jacobians = jacobians_of(network(cell, [neurons], seed), TEXT[:steps])
    if not jacobians.states:
        return
    place = which % len(jacobians.states)
    measured = product_map(jacobians, jacobians.states[place], furthest=furthest)
    columns = slice(place * neurons, (place + 1) * neurons)
    for t, s, product in products(jacobians.whole()):
        if t - s > furthest:
            assert np.isnan(measured.norm[t, s])
        else:
            close(np.exp(measured.norm[t, s]), np.linalg.norm(product[:, columns]), 1e-12)


def test_product_map_bypass_equals_forget_gates() -> None:
    """The direct path along c is the product of the forget gates: by hand for three steps of one neuron."""
    jacobians = jacobians_of_cell("lstm", 1, 4)
    forget = jacobians.matrix("c", "c", "direct")[:, 0, 0]
    measured = product_map(jacobians, "c")
    outer = jacobians.matrix("h", "c", "direct")[:, 0, 0]
    cell = forget[1] * forget[2]
    close(np.exp(measured.bypass[3, 0]), np.hypot(cell * forget[3], cell * outer[3]))
    assert measured.bypass[2, 2] == 0.0
    assert np.isneginf(measured.rest[2, 2])


def off(estimate: np.ndarray, true: np.ndarray, nearest: int, furthest: int) -> np.ndarray:
    """Return the differences of logarithms at some distances."""
    steps = np.arange(len(true))
    distance = steps[:, None] - steps
    return (estimate - true)[(distance >= nearest) & (distance < furthest)]


@pytest.fixture(scope="module", params=["lstm", "gru", "elman"])
def estimated(request: pytest.FixtureRequest) -> tuple[ProductMap, ProductMap]:
    """Return an exact map and an estimate with 4 vectors, for 32 neurons and 80 steps."""
    jacobians = jacobians_of_cell(request.param, 32, 80)
    return product_map(jacobians, vectors=1000), product_map(jacobians, vectors=4)


def test_product_map_estimate_is_near(estimated: tuple[ProductMap, ProductMap]) -> None:
    true, estimate = estimated
    assert true.exact
    assert not estimate.exact
    for nearest, furthest, error in ((1, 5, 0.15), (5, 20, 0.2), (40, 80, 0.05)):
        errors = off(estimate.norm, true.norm, nearest, furthest)
        assert np.sqrt(np.mean(errors**2)) < error
        assert abs(np.median(errors)) < error / 2
    np.testing.assert_allclose(estimate.bypass, true.bypass, rtol=0, atol=1e-4)  # float32 over 80 steps


def test_product_map_estimate_bounds_singular_value(estimated: tuple[ProductMap, ProductMap]) -> None:
    true, estimate = estimated
    errors = off(estimate.largest, true.largest, 0, 80)
    assert errors.max() < 1e-4  # float32 over 80 steps
    assert np.median(off(estimate.largest, true.largest, 40, 80)) > -0.05


def test_product_map_estimate_has_no_bias() -> None:
    """The mean of many squared norms is within four standard errors of the true one."""
    jacobians = jacobians_of_cell("lstm", 6, 8)
    true = np.exp(2 * product_map(jacobians).norm[7, 2])
    drawn = np.array([np.exp(2 * product_map(jacobians, vectors=3, seed=k).norm[7, 2]) for k in range(200)])
    assert drawn.std() > 0.01 * true
    assert abs(drawn.mean() - true) < 4 * drawn.std() / np.sqrt(len(drawn))


LOG_FACTOR = -10 * np.log(2)


def test_product_map_beyond_the_range_of_floats() -> None:
    """Elman neurons that divide their state by 1024 at each of 80 steps, also in float32."""
    net = network("elman", [6], 0)
    with torch.no_grad():
        for name, value in net.parameters_of(0).by_name().items():
            value.copy_(2.0**-10 * torch.eye(6)[None] if name == "recurrent_weights" else torch.zeros_like(value))
    jacobians = jacobians_of(net, TEXT)
    for vectors in (None, 2):
        measured = product_map(jacobians, vectors=vectors)
        np.testing.assert_allclose(measured.norm[79, 0], 79 * LOG_FACTOR + np.log(6) / 2, rtol=1e-5)
        np.testing.assert_allclose(measured.growth()[79, 0], LOG_FACTOR, rtol=1e-5)
        assert np.isnan(measured.growth()[3, 3])
    np.testing.assert_allclose(lyapunov(jacobians), LOG_FACTOR, rtol=1e-12)
    np.testing.assert_allclose(singular_values(jacobians, 79, 0, 6), 79 * LOG_FACTOR, rtol=1e-12)
    np.testing.assert_allclose(spectral_radius(jacobians, 79, 0), 79 * LOG_FACTOR, rtol=1e-12)


def test_product_map_of_zero_derivatives() -> None:
    net = network("elman_relu", [3], 0)
    with torch.no_grad():
        net.parameters_of(0).biases.fill_(-1e3)  # no neuron is ever positive
    jacobians = jacobians_of(net, "abcd")
    for vectors in (None, 2):
        measured = product_map(jacobians, vectors=vectors)
        assert np.isneginf(measured.norm[3, 0])
        assert np.isneginf(measured.largest[3, 2])
        assert measured.largest[2, 2] == pytest.approx(0.0, abs=1e-6)
    assert spectral_radius(jacobians, 3, 0) == -np.inf


@pytest.mark.parametrize("name", ["lstm", "gru", "slstm"])
def test_singular_values_and_radius_equal_numpy(name: str) -> None:
    jacobians = jacobians_of_cell(name, 5)
    for t, s, product in products(jacobians.whole()):
        if (t, s) in ((7, 3), (11, 0), (4, 4)):
            values = np.linalg.svd(product, compute_uv=False)
            np.testing.assert_allclose(np.exp(singular_values(jacobians, t, s, 2)), values[:2], rtol=1e-4)
            radius = np.abs(np.linalg.eigvals(product)).max()
            np.testing.assert_allclose(np.exp(spectral_radius(jacobians, t, s, vectors=20)), radius, rtol=1e-9)


def test_lyapunov_exponents_sum_to_log_determinants() -> None:
    """Their sum is the mean log determinant. For diagonal Jacobians they are the mean logs of the entries."""
    jacobians = jacobians_of_cell("lstm", 4, 20)
    determinants = [np.linalg.slogdet(matrix)[1] for matrix in jacobians.whole()]
    close(lyapunov(jacobians).sum(), np.mean(determinants))
    close(lyapunov(jacobians, skip=5).sum(), np.mean(determinants[5:]))
    assert (np.diff(lyapunov(jacobians)) <= 0).all()
    assert len(lyapunov(jacobians, 3)) == 3
    alone = jacobians_of_cell("mingru", 4, 20)
    retained = alone.matrix("h", "h").diagonal(axis1=1, axis2=2)
    # Only the sum: after 20 steps the first vectors have not fully turned towards the slowest decay.
    close(np.sort(np.log(retained).mean(0)).sum(), lyapunov(alone).sum())


def test_product_map_by_distance() -> None:
    measured = product_map(jacobians_of_cell("lstm", 3), furthest=4)
    table = measured.by_distance()
    assert table["distance"].tolist() == [0, 1, 2, 3, 4]
    assert table["pairs"].tolist() == [12, 11, 10, 9, 8]
    assert table["norm"][2] == np.median(np.diagonal(measured.norm, -2))


def test_chain_equals_factors() -> None:
    jacobians = jacobians_of_cell("lstm", 3)
    table = chain(jacobians, "c", 1, 6, 2)
    forget = jacobians.matrix("c", "c", "direct")[3:7, 1, 1]
    assert table["step"].tolist() == [3, 4, 5, 6]
    close(table["direct"], forget)
    close(table["product"], np.cumprod(forget))
    through = jacobians.matrix("c", "h", "u.f")[3:7, 1]
    close(np.abs(table["u.f"]), np.linalg.norm(through, axis=1))
    assert chain(jacobians_of_cell("elman", 2), "h", 0, 3, 3).columns["step"].tolist() == []


def test_products_refuse_invalid_arguments() -> None:
    jacobians = jacobians_of_cell("lstm", 3)
    for call, message in (
        (lambda: product_map(jacobians_of_cell("feedforward", 3)), "carries no state"),
        (lambda: product_map(jacobians, "z"), "got 'z'"),
        (lambda: product_map(jacobians, vectors=1), "at least 2"),
        (lambda: product_map(jacobians, vectors=2, radius=True), "Leave out"),
        (lambda: product_map(jacobians, "c", radius=True), "Leave out"),
        (lambda: singular_values(jacobians, 2, 3), "a later and an earlier step"),
        (lambda: spectral_radius(jacobians, 12, 3), "0 to 11"),
        (lambda: lyapunov(jacobians, skip=12), "fewer than 12"),
        (lambda: chain(jacobians, "c", 3, 4, 2), "got 'c' of neuron 3"),
    ):
        with pytest.raises(StudyError, match=message):
            call()
