"""The torch peers: its fused modules, and the loops over steps that people write.

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
WHOLE_LOOP = 25  # steps: torch.compile unrolls the loop, and its compile time grows with the steps


def fill(module: nn.Module, problem: Problem, suffix: str = "") -> None:
    """Copy the weights of a problem into a torch module; both have the same order of drives."""
    weights, biases, recurrent, neuron = problem.weights()
    recurrent_biases = torch.zeros_like(biases)
    if problem.cell.name == "gru":
        recurrent_biases[-problem.size.neurons :] = neuron[0]
    for name, values in dict(weight_ih=weights, bias_ih=biases, weight_hh=recurrent, bias_hh=recurrent_biases).items():
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
        values = signals()
        names = list(values) if every_signal else ["h"]
        torch.autograd.backward([values[name] for name in names], [upstream[name] for name in names])
        return weights.grad

    return Candidate(name, forward, both, every_signal)


def module(problem: Problem) -> Candidate | None:
    """Return torch.nn's layer as a candidate, or None if torch has no such cell."""
    if problem.cell.name not in MODULES:
        return None
    layer = MODULES[problem.cell.name](problem.size.inputs, problem.size.neurons)
    fill(layer, problem, "_l0")
    weights = layer.get_parameter("weight_ih_l0")
    return _candidate(
        "torch.nn", lambda: {"h": layer(problem.inputs)[0]}, list(layer.parameters()), weights, problem.upstream, False
    )


def cell_module(problem: Problem) -> Candidate | None:
    """Return a loop over torch.nn's cell that keeps h, and c for an LSTM; None if torch has no such cell."""
    if problem.cell.name not in CELL_MODULES:
        return None
    cell = CELL_MODULES[problem.cell.name](problem.size.inputs, problem.size.neurons)
    fill(cell, problem)

    def signals() -> dict[str, Tensor]:
        state, h, c = None, [], []
        for x in problem.inputs.unbind(0):
            state = cell(x, state)
            if isinstance(state, tuple):
                c.append(state[1])
            h.append(state[0] if isinstance(state, tuple) else state)
        return {"h": torch.stack(h), **({"c": torch.stack(c)} if c else {})}

    weights = cell.get_parameter("weight_ih")
    return _candidate("nn cell loop", signals, list(cell.parameters()), weights, problem.upstream, False)


def advance(
    name: str, at: Any, state: Mapping[str, Tensor], recurrent: Tensor, neuron: Tensor, drives: int
) -> dict[str, Tensor]:
    """Compute the signals of one step; `at` is the input drives (B, G·N), or the signals that need no state."""
    equations = EQUATIONS[name]
    assert equations.step is not None
    if equations.before is None:
        if equations.joined:
            at = torch.addmm(at, state["h"], recurrent).chunk(drives, 1)
        else:
            at = (*at.chunk(drives, 1), *torch.mm(state["h"], recurrent).chunk(drives, 1))
    return equations.step(F, at, state, neuron)


def loop(
    problem: Problem, leaves: tuple[Tensor, Tensor, Tensor, Tensor], step: Callable[..., dict[str, Tensor]] = advance
) -> dict[str, Tensor]:
    """Compute every signal: the input drives of all steps at once, then step by step."""
    weights, biases, recurrent, neuron = leaves
    name, rows, neurons = problem.cell.name, problem.size.rows, problem.size.neurons
    equations, drives = EQUATIONS[name], len(problem.cell.tape.input_drives)
    input_drives = nn.functional.linear(problem.inputs, weights, biases)
    early: dict[str, Tensor] = {}
    over: Any = input_drives.unbind(0)
    if equations.before is not None:
        early = equations.before(F, input_drives.chunk(drives, 2))
        over = [
            dict(zip(early, values, strict=True)) for values in zip(*(a.unbind(0) for a in early.values()), strict=True)
        ]
    if equations.step is None:
        return early
    turned = recurrent.t()
    state = {name: input_drives.new_zeros(rows, neurons) for name in equations.states}
    signals: dict[str, list[Tensor]] = {name: [] for name in problem.cell.signals if name not in early}
    for at in over:
        at_step = step(name, at, state, turned, neuron, drives)
        for signal, values in signals.items():
            values.append(at_step[signal])
        state = {signal: at_step[signal] for signal in state}
    return early | {signal: torch.stack(values) for signal, values in signals.items()}


def step_loop(problem: Problem) -> Candidate:
    """Return the hand-written loop, which keeps every signal, as a candidate."""
    leaves = problem.weights()
    return _candidate("step loop", lambda: loop(problem, leaves), list(leaves), leaves[0], problem.upstream, True)


def compiled(problem: Problem) -> Candidate:
    """Return the loop under torch.compile: compiled whole if it is short or has no steps, else step by step."""
    torch.compiler.reset()
    leaves = problem.weights()
    signals: Callable[[], dict[str, Tensor]]
    if problem.size.steps <= WHOLE_LOOP or EQUATIONS[problem.cell.name].step is None:
        whole = torch.compile(lambda: loop(problem, leaves), dynamic=False)
        signals = whole
    else:
        step = torch.compile(advance, dynamic=False)
        signals = lambda: loop(problem, leaves, step)  # noqa: E731
    return _candidate("torch.compile", signals, list(leaves), leaves[0], problem.upstream, True)
