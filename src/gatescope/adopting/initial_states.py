"""Initial states among the arrays of a file: learned or constant h0 and c0.

`N` neuron, `L` layer (two for both directions).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from gatescope.adopting.foreign import ForeignLayer

# h0, c_0, h_init, init_c, initial_hidden, hidden_init, initial_state_h, h0_param
NAMES = re.compile(
    r"(?:learn(?:ed|able)_)?(?:"
    r"(?P<first>h|c|hidden|cell)_?(?:state_?)?(?:0|init|initial)|"
    r"(?:init|initial|start)_?(?:state_?)?(?P<last>h|c|hidden|cell)(?:_?state)?)(?:_?param)?"
)


def with_initial_states(
    stacks: Mapping[str, Sequence[ForeignLayer]], arrays: Mapping[str, Tensor]
) -> tuple[dict[str, list[ForeignLayer]], set[str]]:
    """Return the stacks with their initial states, and the names of these arrays.

    A stack takes the arrays if they are in its module, or in a module above it while the file has no other stack, and
    if every state of its cells has one vector for each layer and direction. The others are refused later.

    Args:
        stacks: name -> layers.
        arrays: name -> every array that is no recurrent weight.
    """
    started = {name: list(layers) for name, layers in stacks.items()}
    used: set[str] = set()
    for module, states in _by_module(arrays).items():
        stack = _stack_of(module, stacks)
        if stack is None:
            continue
        layers = started[stack]
        needed = set(layers[0].cell.states)
        fits = states.keys() == needed and all(layer.projection is None and not layer.initial for layer in layers)
        vectors = {state: _rows(arrays[name], layers) for state, name in states.items()}
        if not fits or any(rows is None for rows in vectors.values()):
            continue
        started[stack] = [
            replace(layer, initial={state: rows[k] for state, rows in vectors.items() if rows is not None})
            for k, layer in enumerate(layers)
        ]
        used |= set(states.values())
    return started, used


def _by_module(arrays: Mapping[str, Tensor]) -> dict[str, dict[str, str]]:
    """Return module -> state -> the name of its array."""
    modules: dict[str, dict[str, str]] = {}
    for name in arrays:
        module, _, last = name.rpartition(".")
        match = NAMES.fullmatch(last.lower())
        if match is not None:
            state = (match["first"] or match["last"])[0]  # h or hidden, c or cell
            modules.setdefault(module, {}).setdefault(state, name)
    return modules


def _stack_of(module: str, stacks: Mapping[str, Sequence[ForeignLayer]]) -> str | None:
    """Return the stack that the initial states of a module belong to: the module itself, or the only stack."""
    if module in stacks:
        return module
    return next(iter(stacks)) if len(stacks) == 1 else None


def _rows(value: Tensor, layers: Sequence[ForeignLayer]) -> list[Tensor] | None:
    """Return one vector (N,) for each layer from an array (L, 1, N), (L, N), (1, N) or (N,); None for other shapes."""
    neurons = {layer.neurons for layer in layers}
    shape = tuple(value.shape)
    if len(neurons) != 1 or shape[-1] not in neurons:
        return None
    leading = {(len(layers), 1), (len(layers),)}
    if len(layers) == 1:
        leading |= {(), (1, 1)}
    return list(value.reshape(len(layers), -1).float()) if shape[:-1] in leading else None
