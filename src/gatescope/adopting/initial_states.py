"""Initial states among the arrays of a file: h0 and c0 that were learned, or that are constant.

`N` neuron, `L` layer (both directions of one are two).
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
    r"(?P<one>h|c|hidden|cell)_?(?:state_?)?(?:0|init|initial)|"
    r"(?:init|initial|start)_?(?:state_?)?(?P<two>h|c|hidden|cell)(?:_?state)?)(?:_?param)?"
)


def with_initial_states(
    stacks: Mapping[str, Sequence[ForeignLayer]], arrays: Mapping[str, Tensor]
) -> tuple[dict[str, list[ForeignLayer]], set[str]]:
    """Return the stacks with their initial states, and the names of the arrays these were.

    A stack takes them where they stand beside its weights or above them, where no other stack could mean them, and
    where every state of its cells has one vector for each layer and direction. Others are left, and are refused later.

    Args:
        stacks: name -> layers.
        arrays: name -> every array that is no recurrent weight.
    """
    found = {name: list(layers) for name, layers in stacks.items()}
    used: set[str] = set()
    for module, states in _by_module(arrays).items():
        stack = _stack_of(module, stacks)
        if stack is None:
            continue
        layers = found[stack]
        needed = set(layers[0].cell.states)
        fits = states.keys() == needed and all(layer.projection is None and not layer.initial for layer in layers)
        vectors = {state: _rows(arrays[name], layers) for state, name in states.items()}
        if not fits or any(rows is None for rows in vectors.values()):
            continue
        found[stack] = [
            replace(layer, initial={state: rows[k] for state, rows in vectors.items() if rows is not None})
            for k, layer in enumerate(layers)
        ]
        used |= set(states.values())
    return found, used


def _by_module(arrays: Mapping[str, Tensor]) -> dict[str, dict[str, str]]:
    """Module -> state -> the name of its array."""
    found: dict[str, dict[str, str]] = {}
    for name in arrays:
        module, _, last = name.rpartition(".")
        match = NAMES.fullmatch(last.lower())
        if match is not None:
            state = (match["one"] or match["two"])[0]  # h or hidden, c or cell
            found.setdefault(module, {}).setdefault(state, name)
    return found


def _stack_of(module: str, stacks: Mapping[str, Sequence[ForeignLayer]]) -> str | None:
    """The stack whose initial states stand in a module: itself, or the only one."""
    if module in stacks:
        return module
    return next(iter(stacks)) if len(stacks) == 1 else None


def _rows(value: Tensor, layers: Sequence[ForeignLayer]) -> list[Tensor] | None:
    """One vector (N,) for each layer, of an array (L, 1, N), (L, N), (1, N) or (N,); None where it is another."""
    neurons = {layer.neurons for layer in layers}
    shape = tuple(value.shape)
    if len(neurons) != 1 or shape[-1] not in neurons:
        return None
    leading = {(len(layers), 1), (len(layers),)}
    if len(layers) == 1:
        leading |= {(), (1, 1)}
    return list(value.reshape(len(layers), -1).float()) if shape[:-1] in leading else None
