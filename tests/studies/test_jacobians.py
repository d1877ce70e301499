"""The Jacobian of one step of a layer: against torch.func.jacrev, and its terms against their formulas."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope import Network, define
from gatescope.cells import Cell
from gatescope.engine import run
from gatescope.equations import tanh
from gatescope.recording import record, weights_of
from gatescope.studies import StudyError
from gatescope.studies.gradients.jacobians import Jacobians, exact, jacobians, jacobians_of
from gatescope.trace import Trace
from tests.networks import EACH_CELL, cells, few, network, seeds


def close(actual: Any, expected: Any) -> None:
    """Compare up to rounding."""
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


def by_torch(net: Network, trace: Trace, layer: int) -> np.ndarray:
    """Compute the Jacobians with torch from single steps of the plain engine, (T, M, M)."""
    cell, name = net.configuration.layers[layer].cell, f"layer{layer}"
    layer_inputs = trace[f"layer{layer - 1}"]["h"][0] if layer else np.eye(5)[trace.steps["token"][0]]
    steps, neurons = trace[name]["h"].shape[1:]
    matrices = np.zeros((steps, neurons * len(cell.states), neurons * len(cell.states)))
    for t in range(steps):
        before = [trace[name][k][0, t - 1] if t else trace.initial[name][k][0] for k in cell.states]

        def step(vector: torch.Tensor, t: int = t) -> torch.Tensor:
            state = dict(zip(cell.states, vector.reshape(-1, 1, neurons), strict=True))
            inputs = torch.from_numpy(layer_inputs[t]).reshape(1, 1, -1)
            return torch.cat([*run(cell, net.parameters_of(layer), inputs, state, engine="plain")[1].values()], 1)[0]

        if cell.states:
            matrices[t] = torch.func.jacrev(step)(torch.from_numpy(np.concatenate(before))).detach().numpy()
    return matrices


@given(cells, st.lists(few, min_size=1, max_size=2), st.text("abcde", min_size=1, max_size=5), seeds)
@settings(max_examples=40)
def test_terms_sum_to_the_jacobian(cell: Cell, neurons: list[int], text: str, seed: int) -> None:
    net = exact(network(cell, neurons, seed))
    trace = record(net, text)
    for layer in range(len(neurons)):
        terms = jacobians(trace, f"layer{layer}", weights_of(net)[f"layer{layer}"])
        close(terms.whole(), by_torch(net, trace, layer))


@given(cells, few, st.integers(0, 3), seeds)
@settings(max_examples=40)
def test_products_with_vectors_equal_matrices(cell: Cell, neurons: int, count: int, seed: int) -> None:
    terms = jacobians_of(network(cell, [neurons], seed), "abc")
    size = (len(terms.states), count, neurons)
    vectors = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    flat = vectors.transpose(0, 1).reshape(count, terms.width).numpy()
    for t, matrix in enumerate(terms.whole()):
        for moved, expected in ((terms.forwards, flat @ matrix.T), (terms.backwards, flat @ matrix)):
            result = moved(t, vectors).transpose(0, 1).reshape(count, terms.width)
            close(result.numpy(), expected)


@given(cells, few, seeds)
@settings(max_examples=40)
def test_norms_and_shares_equal_matrices(cell: Cell, neurons: int, seed: int) -> None:
    terms = jacobians_of(network(cell, [neurons], seed), "abcd")
    norms, shares = terms.norms(), terms.shares()
    for term in terms.terms:
        matrices, whole = terms.matrix(term.to, term.source, term.name), terms.matrix(term.to, term.source)
        np.testing.assert_allclose(norms[term], np.linalg.norm(matrices, axis=(1, 2)), rtol=1e-10, atol=1e-12)
        total = (whole * whole).sum((1, 2))
        same = [other for other in terms.terms if (other.to, other.source) == (term.to, term.source)]
        squares = np.sum(
            [(terms.matrix(other.to, other.source, other.name) ** 2).sum((1, 2)) for other in same], axis=0
        )
        known = total > 1e-11 * squares
        expected = (matrices * whole).sum((1, 2))[known] / total[known]
        # The rounding error of <J, J> grows with the square of how far the terms cancel.
        allowed = 1e-9 * (1 + np.abs(expected)) + 1e-14 * (squares[known] / total[known]) * np.abs(expected)
        assert (np.abs(shares[term][known] - expected) <= allowed).all()
        assert np.isnan(shares[term][total < 1e-13 * squares]).all()


def one_neuron(net: Network, layer: int = 0) -> dict[str, float]:
    """Return the recurrent weights of a layer with a single neuron, by drive."""
    cell, parameters = net.configuration.layers[layer].cell, net.parameters_of(layer)
    return {k: parameters.recurrent_weights[j, 0, 0].item() for j, k in enumerate(cell.tape.recurrent_drives)}


def test_jacobians_of_an_elman_neuron_by_hand() -> None:
    net = exact(network("elman", [1], 5))
    h, u = record(net, "abca")["layer0"]["h"][0, :, 0], one_neuron(net)["h"]
    derivatives = jacobians_of(net, "abca").matrix("h", "h")[:, 0, 0]
    by_hand = [(1 - value**2) * u for value in h]
    close(derivatives, by_hand)
    close(derivatives[1:].prod(), math.prod(by_hand[1:]))


def test_jacobians_of_an_lstm_neuron_by_hand() -> None:
    """dC_t / dC_{t-1} as textbooks write it: a sum of four terms."""
    net = exact(network("lstm", [1], 5))
    trace, u = record(net, "abca"), one_neuron(net)
    i, f, g, o, c = (trace["layer0"][k][0, :, 0] for k in "ifgoc")
    terms = jacobians_of(net, "abca").chained("c", "c")
    assert set(terms) == {"direct", "u.i", "u.f", "u.g"}
    for t in (1, 2, 3):
        through_h = o[t - 1] * (1 - math.tanh(c[t - 1]) ** 2)
        by_hand = {
            "direct": f[t],
            "u.f": c[t - 1] * f[t] * (1 - f[t]) * u["f"] * through_h,
            "u.i": g[t] * i[t] * (1 - i[t]) * u["i"] * through_h,
            "u.g": i[t] * (1 - g[t] ** 2) * u["g"] * through_h,
        }
        for name, value in by_hand.items():
            close(terms[name][t - 1, 0, 0], value)


def test_chained_terms_equal_the_slope_of_the_cell() -> None:
    """Central differences of C_t by C_{t-1}, with h_{t-1} = o_{t-1} tanh(C_{t-1}) recomputed and o_{t-1} fixed."""
    net = exact(network("lstm", [3], 2))
    trace = record(net, "abca")
    total = np.sum([*jacobians_of(net, "abca").chained("c", "c").values()], axis=0)
    c, o = (torch.from_numpy(trace["layer0"][k][0]) for k in "co")
    cell, width = net.configuration.layers[0].cell, 1e-6
    for t in (1, 2, 3):
        inputs = torch.from_numpy(np.eye(5)[trace.steps["token"][0, t]]).reshape(1, 1, -1)
        for neuron in range(3):
            ends = []
            for sign in (1, -1):
                cell_before = c[t - 1].clone()
                cell_before[neuron] += sign * width
                state = {"c": cell_before[None], "h": (o[t - 1] * cell_before.tanh())[None]}
                ends.append(run(cell, net.parameters_of(0), inputs, state)[1]["c"][0].detach())
            slope = (ends[0] - ends[1]) / (2 * width)
            # The error of a central difference is width squared, plus the rounding of the ends (1e-16) over the width.
            np.testing.assert_allclose(total[t - 1][:, neuron], slope.numpy(), rtol=1e-7, atol=1e-9)


def test_jacobians_of_a_custom_cell() -> None:
    @define(paper="")
    def own(x, u, p, s):
        a = tanh(x.a + u.a + p.a * s.c)
        c = s.c * a + u.b * u.a
        h = tanh(c + s.h * p.h)
        return dict(a=a, c=c, h=h)

    net = exact(network(own, [4, 3], 1))
    trace = record(net, "abcde")
    for layer in (0, 1):
        terms = jacobians(trace, f"layer{layer}", weights_of(net)[f"layer{layer}"])
        close(terms.whole(), by_torch(net, trace, layer))
        assert {(term.to, term.source, term.name) for term in terms.terms if term.drive is None} == {
            ("c", "c", "direct"),
            ("c", "c", "peephole a"),
            ("h", "c", "direct"),
            ("h", "c", "peephole a"),
            ("h", "h", "direct"),
        }


def test_jacobians_table_has_every_term() -> None:
    table = jacobians_of(network("lstm", [4], 3), "abcdeab").table()
    assert len(table) == 9
    (row,) = table.where(to="c", source="c")
    assert (row["term"], row["formula"], row["share"]) == ("direct", "diag(f)", pytest.approx(1.0))
    assert table.where(to="c", source="h")["formula"][0].endswith("· U.i")


def test_jacobians_of_a_cell_without_memory_are_empty() -> None:
    terms = jacobians_of(network("feedforward", [3], 0), "abc")
    assert terms.terms == ()
    assert terms.whole().shape == (3, 0, 0)
    assert len(terms.table()) == 0


def test_jacobians_of_a_later_sequence() -> None:
    net = exact(network("gru", [3], 1))
    ids = [net.configuration.vocabulary.encode(text) for text in ("abcab", "eda")]
    trace, weights = record(net, ids), weights_of(net)["layer0"]
    second: Jacobians = jacobians(trace, "layer0", weights, 1)
    assert second.size == (3, 3)
    np.testing.assert_array_equal(second.whole(), jacobians_of(net, "eda").whole())


def refused(call: partial[Jacobians], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        call()


def test_jacobians_refuse_unknown_names() -> None:
    net = exact(network("gru", [2], 0))
    bare, weights = record(net, "abc", drives=False), weights_of(net)["layer0"]
    refused(partial(jacobians, bare, "layer0", weights), r"lacks u\.n.*drives")
    refused(partial(jacobians, record(net, "abc"), "layer0", weights, 1), "from 0 to 0, got 1")
    refused(partial(jacobians_of, net, "abc", 1), "expected one of layer0, got 1")
    terms = jacobians_of(net, "abc")
    with pytest.raises(StudyError, match=r"Term of layer0: expected one of .* got 'u.q'"):
        terms.matrix("h", "h", "u.q")
    with pytest.raises(StudyError, match="expected one of h, got 'c'"):
        terms.matrix("c", "h")


@pytest.mark.parametrize("name", EACH_CELL)
def test_jacobians_need_drives_of_some_cells(name: str) -> None:
    net = exact(network(name, [2], 0))
    trace, weights = record(net, "abc", drives=False), weights_of(net)["layer0"]
    if name in ("gru", "slstm"):
        refused(partial(jacobians, trace, "layer0", weights), "Record all signals")
    else:
        np.testing.assert_array_equal(jacobians(trace, "layer0", weights).whole(), jacobians_of(net, "abc").whole())
