"""The gradient paths of one weight: against torch's autograd, the sums by step, and an example worked by hand."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope import CELLS, Cell, Network, Vocabulary, configure
from gatescope.studies import StudyError
from gatescope.studies.gradients.backpropagation import contributions
from gatescope.studies.gradients.jacobians import exact
from gatescope.studies.gradients.paths import paths
from tests.networks import EACH_CELL, network, seeds

RECURRENT_CELLS = [cell for cell in CELLS.values() if cell.tape.recurrent_drives]


def autograd(net: Network, ids: np.ndarray, drive: str, to: int, source: int, step: int) -> float:
    """Return the derivative of -log p(next) after a step by one weight of the last layer, by the plain engine."""
    copy = exact(net)
    for weight in copy.parameters():
        weight.requires_grad_(True)
    out = copy(torch.from_numpy(ids[: step + 1]).long()[:, None], engine="plain")
    (-out.logits[step, 0].log_softmax(0)[int(ids[step + 1])]).backward()
    last = len(copy.configuration.layers) - 1
    gradient = dict(copy.named_parameters())[f"layers.{last}.recurrent_weights"].grad
    index = copy.configuration.layers[-1].cell.tape.recurrent_drives.index(drive)
    return 0.0 if gradient is None else float(gradient[index, to, source])


@given(
    st.sampled_from(RECURRENT_CELLS),
    st.lists(st.integers(1, 5), min_size=1, max_size=2),
    st.none() | st.integers(1, 3),
    st.lists(st.sampled_from("abcde"), min_size=2, max_size=6).map("".join),
    seeds,
    st.data(),
)
@settings(max_examples=40)
def test_paths_sum_to_the_gradient(
    cell: Cell, neurons: list[int], embedding: int | None, text: str, seed: int, data: st.DataObject
) -> None:
    net = network(cell, neurons, seed, embedding=embedding)
    ids = net.configuration.vocabulary.encode(text)
    last = len(neurons) - 1
    step = data.draw(st.integers(0, min(2, len(text) - 2)))
    drive = data.draw(st.sampled_from(cell.tape.recurrent_drives))
    to, source = (data.draw(st.integers(0, neurons[-1] - 1)) for _ in range(2))
    table = paths(net, ids, layer=last, drive=drive, to=to, source=source, step=step)
    total = autograd(net, ids, drive, to, source, step)
    assert math.fsum(table["value"]) == pytest.approx(total, rel=1e-12, abs=1e-12)
    assert table.about["total"] == pytest.approx(total, rel=1e-12, abs=1e-12)
    by_step = contributions(net, ids, [step])
    for s in range(step + 1):
        at_step = by_step.of(f"layers.{last}.recurrent_weights.{drive}", s)[to, source]
        assert math.fsum(table.where(step=s)["value"]) == pytest.approx(at_step, rel=1e-12, abs=1e-12)
    for row in table:
        assert math.prod(row["factors"]) == pytest.approx(row["value"], rel=1e-14, abs=0)
        assert len(row["names"]) == len(row["factors"]) == len(row["derived"])
        assert row["formula"] == " · ".join(row["names"])


def tenths() -> Network:
    """Make the LSTM of docs/lesson.md: two neurons, and weights rounded to tenths."""
    vocabulary = Vocabulary(("A", "x", "a"))
    net = Network(configure(vocabulary, "lstm", [2]), 14).double()
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_((weight * 10).round() / 10)
    return net


def test_paths_of_the_lesson() -> None:
    """U.f[0,1] of an LSTM, with the derivatives written out as the lesson does."""
    net = tenths()
    table = paths(net, "Axxa", drive="f", to=0, source=1, step=2)
    named = dict(net.named_parameters())
    weights = ("input_weights", "biases", "recurrent_weights")
    W, b, U = (named[f"layers.0.{name}"].detach().numpy() for name in weights)
    h, c, by_step = np.zeros(2), np.zeros(2), []
    for symbol in (0, 1, 1):
        drives = dict(zip("ifgo", (W[k][:, symbol] + b[k] + U[k] @ h for k in range(4)), strict=True))
        i, f, o = (1 / (1 + np.exp(-drives[k])) for k in "ifo")
        g, c_before, h_before = np.tanh(drives["g"]), c, h
        c = f * c_before + i * g
        h = o * np.tanh(c)
        by_step.append((i, f, g, o, c, h, c_before, h_before))
    readout, biases = net.readout_weights.detach().numpy(), net.readout_biases.detach().numpy()
    p = np.exp(readout @ h + biases)
    e = readout.T @ (p / p.sum() - [0, 0, 1])
    i, f, g, o, c, h, c1, h1 = by_step[2]
    h_by_c = o * (1 - np.tanh(c) ** 2)
    # The derivatives of c and h of step 1 by the weight.
    _, forget, _, output, c_after, _, c_before, h_before = by_step[1]
    c_by_weight = c_before[0] * forget[0] * (1 - forget[0]) * h_before[1]
    h_by_weight = output[0] * (1 - np.tanh(c_after[0]) ** 2) * c_by_weight
    expected = {
        (2, "at once"): e[0] * h_by_c[0] * c1[0] * f[0] * (1 - f[0]) * h1[1],
        (1, "straight on"): e[0] * h_by_c[0] * f[0] * c_by_weight,
        (0, "before the first step h is 0"): 0.0,
    }
    for j in (0, 1):
        slopes = {
            "i": h_by_c[j] * g[j] * i[j] * (1 - i[j]),
            "f": h_by_c[j] * c1[j] * f[j] * (1 - f[j]),
            "g": h_by_c[j] * i[j] * (1 - g[j] ** 2),
            "o": np.tanh(c[j]) * o[j] * (1 - o[j]),
        }
        for k, name in enumerate("ifgo"):
            expected[1, f"through u.{name} of neuron {j}"] = e[j] * slopes[name] * U[k][j, 0] * h_by_weight
    path_values = {(row["step"], row["path"]): row["value"] for row in table}
    assert len(path_values) == len(table)
    assert path_values == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert sum(path_values.values()) == pytest.approx(0.0002573, abs=5e-8)  # as the lesson prints it
    (straight,) = table.where(path="straight on")
    assert straight["names"] == ["∂L/∂h₂[0]", "∂h₂[0]/∂c₁[0]", "∂c₁[0]/∂u.f₁[0]", "h₀[1]"]
    assert table.about["loss"] == pytest.approx(-math.log(p[2] / p.sum()), rel=1e-12)


def test_paths_of_larger_layers_have_one_row_per_term() -> None:
    table = paths(network("lstm", [4]), "abcd", drive="o", to=3, source=0, step=2)
    names = [row["path"] for row in table.where(step=1)]
    # u.o acts on h alone, so it has no direct path along c.
    assert sorted(names) == ["through u.f", "through u.g", "through u.i", "through u.o"]


def test_paths_default_to_the_last_step() -> None:
    net = network("gru", [2])
    last, chosen = (paths(net, "abcd", drive="z", to=0, source=1, step=step) for step in (None, 2))
    assert last.to_json() == chosen.to_json()


@pytest.mark.parametrize("name", EACH_CELL)
def test_paths_of_every_cell(name: str) -> None:
    net = network(name, [3])
    drives = CELLS[name].tape.recurrent_drives
    for drive in drives:
        assert len(paths(net, "abcd", drive=drive, to=0, source=1, step=2)) > 2
    if not drives:
        with pytest.raises(StudyError, match=r"Recurrent drive of layer.: its cell has none"):
            paths(net, "abcd", drive="f", to=0, source=1, step=2)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"layer": 0}, "expected the last layer, layer1, got layer0."),
        ({"layer": 2}, "expected one of layer0, layer1, got 2."),
        ({"drive": "q"}, "Recurrent drive of layer1: expected one of i, f, g, o, got 'q'."),
        ({"to": 3}, "neurons from 0 to 2, got a weight from 1 to 3"),
        ({"source": -1}, "neurons from 0 to 2, got a weight from -1 to 0"),
        ({"step": 3}, "expected a number from 0 to 2, got 3."),
        ({"step": -1}, "expected a number from 0 to 2, got -1"),
        ({"text": "ab"}, "expected a step with a target, from 0 to 0"),
        ({"text": "abc?"}, "expected a step with a target"),
    ],
)
def test_paths_refuse_invalid_arguments(changed: dict[str, Any], words: str) -> None:
    arguments = {"text": "abcd", "layer": 1, "drive": "f", "to": 0, "source": 1, "step": 2, **changed}
    with pytest.raises(StudyError, match=re.escape(words)):
        paths(network("lstm", [2, 3]), arguments.pop("text"), **arguments)
