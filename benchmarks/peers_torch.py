"""The peers made of torch: its fused modules, and the loops over steps that people write.

`T` step, `B` sequence, `I` input, `N` neuron, `G` and `R` drive.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from engines_problem import Candidate, Problem
from peers_equations import EQUATIONS
from torch import Tensor, nn

F = SimpleNamespace(
    sigmoid=torch.sigmoid,
    tanh=torch.tanh,
    relu=torch.relu,
    exp=torch.exp,
    log_sigmoid=nn.functional.logsigmoid,
    maximum=torch.maximum,
)
MODULES: dict[str, Callable[[int, int], nn.Module]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "elman": nn.RNN,
    "elman_relu": partial(nn.RNN, nonlinearity="relu"),
}
CELL_MODULES: dict[str, Callable[[int, int], nn.Module]] = {
    "lstm": nn.LSTMCell,
    "gru": nn.GRUCell,
    "elman": nn.RNNCell,
    "elman_relu": partial(nn.RNNCell, nonlinearity="relu"),
}
WHOLE_LOOP = 25  # steps up to which torch.compile is given the loop: it unrolls it, and its time grows with the steps


def fill(module: nn.Module, given: Problem, suffix: str = "") -> None:
    """Give a module of torch the weights of a problem; both have the same order of drives."""
    weights, biases, recurrent, neuron = given.weights()
    echoed = torch.zeros_like(biases)
    if given.cell.name == "gru":
        echoed[-given.size.neurons :] = neuron[0]
    for name, values in dict(weight_ih=weights, bias_ih=biases, weight_hh=recurrent, bias_hh=echoed).items():
        getattr(module, name + suffix).data.copy_(values.data)


def _candidate(
    name: str,
    signals: Callable[[], dict[str, Tensor]],
    leaves: list[Tensor],
    weights: Tensor,
    upstream: Mapping[str, Tensor],
    every_signal: bool,
) -> Candidate:
    def forward() -> dict[str, Tensor]:
        with torch.inference_mode():
            return signals()

    def both() -> Tensor | None:
        for leaf in leaves:
            leaf.grad = None
        found = signals()
        names = list(found) if every_signal else ["h"]
        torch.autograd.backward([found[name] for name in names], [upstream[name] for name in names])
        return weights.grad

    return Candidate(name, forward, both, every_signal)


def module(given: Problem) -> Candidate | None:
    """torch.nn's own layer: no internals."""
    if given.cell.name not in MODULES:
        return None
    layer = MODULES[given.cell.name](given.size.inputs, given.size.neurons)
    fill(layer, given, "_l0")
    weights = layer.get_parameter("weight_ih_l0")
    return _candidate(
        "torch.nn", lambda: {"h": layer(given.inputs)[0]}, list(layer.parameters()), weights, given.upstream, False
    )


def cell_module(given: Problem) -> Candidate | None:
    """A loop over torch.nn's cell that keeps the states it is given: h, and c of an LSTM."""
    if given.cell.name not in CELL_MODULES:
        return None
    cell = CELL_MODULES[given.cell.name](given.size.inputs, given.size.neurons)
    fill(cell, given)

    def signals() -> dict[str, Tensor]:
        state, h, c = None, [], []
        for x in given.inputs.unbind(0):
            state = cell(x, state)
            if isinstance(state, tuple):
                c.append(state[1])
            h.append(state[0] if isinstance(state, tuple) else state)
        return {"h": torch.stack(h), **({"c": torch.stack(c)} if c else {})}

    weights = cell.get_parameter("weight_ih")
    return _candidate("nn cell loop", signals, list(cell.parameters()), weights, given.upstream, False)


def advance(
    name: str, at: Any, state: Mapping[str, Tensor], recurrent: Tensor, neuron: Tensor, drives: int
) -> dict[str, Tensor]:
    """The signals of one step; `at` is the input's share (B, G·N), or the signals that need no state."""
    equations = EQUATIONS[name]
    assert equations.step is not None
    if equations.before is None:
        if equations.joined:
            at = torch.addmm(at, state["h"], recurrent).chunk(drives, 1)
        else:
            at = (*at.chunk(drives, 1), *torch.mm(state["h"], recurrent).chunk(drives, 1))
    return equations.step(F, at, state, neuron)


def loop(
    given: Problem, leaves: tuple[Tensor, Tensor, Tensor, Tensor], step: Callable[..., dict[str, Tensor]] = advance
) -> dict[str, Tensor]:
    """Every signal: the inputs' products at once, then step after step."""
    weights, biases, recurrent, neuron = leaves
    name, rows, neurons = given.cell.name, given.size.rows, given.size.neurons
    equations, drives = EQUATIONS[name], len(given.cell.tape.input_drives)
    heard = nn.functional.linear(given.inputs, weights, biases)
    early: dict[str, Tensor] = {}
    over: Any = heard.unbind(0)
    if equations.before is not None:
        early = equations.before(F, heard.chunk(drives, 2))
        over = [
            dict(zip(early, values, strict=True)) for values in zip(*(a.unbind(0) for a in early.values()), strict=True)
        ]
    if equations.step is None:
        return early
    turned = recurrent.t()
    state = {name: heard.new_zeros(rows, neurons) for name in equations.states}
    kept: dict[str, list[Tensor]] = {name: [] for name in given.cell.signals if name not in early}
    for at in over:
        found = step(name, at, state, turned, neuron, drives)
        for signal, values in kept.items():
            values.append(found[signal])
        state = {signal: found[signal] for signal in state}
    return early | {signal: torch.stack(values) for signal, values in kept.items()}


def step_loop(given: Problem) -> Candidate:
    """The loop as one would write it, all internals kept."""
    leaves = given.weights()
    return _candidate("step loop", lambda: loop(given, leaves), list(leaves), leaves[0], given.upstream, True)


def compiled(given: Problem) -> Candidate:
    """The same under torch.compile: the loop as a whole where it is short or has no steps, else each step."""
    torch.compiler.reset()
    leaves = given.weights()
    signals: Callable[[], dict[str, Tensor]]
    if given.size.steps <= WHOLE_LOOP or EQUATIONS[given.cell.name].step is None:
        whole = torch.compile(lambda: loop(given, leaves), dynamic=False)
        signals = whole
    else:
        step = torch.compile(advance, dynamic=False)
        signals = lambda: loop(given, leaves, step)  # noqa: E731
    return _candidate("torch.compile", signals, list(leaves), leaves[0], given.upstream, True)
