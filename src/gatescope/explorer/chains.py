"""The chain of factors that carries the gradient of one neuron's state from a step back to an earlier one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.cells import Cell
from gatescope.equations import forward
from gatescope.explorer.exact_recording import ExactRecording
from gatescope.explorer.gradient_map import finite_or_none
from gatescope.explorer.requests import RequestError, check_step
from gatescope.studies.gradients.jacobians import Jacobians
from gatescope.studies.gradients.products import chain
from gatescope.trace import Trace


def chain_json(
    recording: ExactRecording, *, layer: str, state: str, neuron: int, after: int, before: int
) -> dict[str, Any]:
    """Return the factors of `products.chain`, their formulas and values, and the whole derivative, as JSON values.

    Args:
        recording: the text.
        layer: the layer.
        state: the state, such as "c".
        neuron: the neuron.
        after: the later step, counted over all sequences.
        before: the earlier step.

    Raises:
        RequestError: the text has no such step, the steps lie in different sequences, or the layer cannot be used.
        StudyError: the layer has no such state or neuron.
    """
    jacobians = recording.jacobians(layer)
    check_step(after, recording.steps)
    check_step(before, recording.steps)
    (number, last), (other_number, first) = recording.locate(after), recording.locate(before)
    if number != other_number:
        raise RequestError("CHAIN_SPANS_SEQUENCES", before=before, after=after)
    trace = recording.trace
    assert trace is not None  # there is a step
    table = chain(jacobians[number], state, neuron, last, first).to_json()
    steps = [step + int(recording.firsts[number]) for step in table["columns"]["step"]]
    derivatives = forward(Cell.from_json(trace.attributes["layers"][layer]["cell"]).tape)
    direct = [
        {"formula": derivatives.formula(state, place), "expression": derivatives.expression(state, place)}
        for place in derivatives.slopes[state]
        if place.direct and place.label == state
    ]
    leaves = {leaf for factor in direct for leaf in _leaves(factor["expression"])}
    values = {
        f"{kind} {label}": _leaf_values(trace, layer, number, kind, label, neuron)[first + 1 : last + 1].tolist()
        for kind, label in sorted(leaves)
    }
    formulas = {term.name: term.formula for term in jacobians[number].terms if term.to == state and term.drive}
    whole = _whole_derivative(jacobians[number], state, neuron, last, first)
    return {
        "columns": {**table["columns"], "step": steps, "whole": whole},
        "titles": table["titles"],
        "direct": direct,
        "values": values,
        "through": formulas,
        "about": {"layer": layer, "state": state, "neuron": neuron, "after": after, "before": before},
    }


def _leaves(expression: Any) -> Iterator[tuple[str, str]]:
    """Yield the kind and label of every leaf of an expression, such as ("signal", "f")."""
    if "operation" in expression:
        for argument in expression["arguments"]:
            yield from _leaves(argument)
    elif "constant" not in expression:
        yield from expression.items()


def _leaf_values(trace: Trace, layer: str, sequence: int, kind: str, label: str, neuron: int) -> NDArray[np.float64]:
    """Return the values of a leaf at every step of a sequence, (T,)."""
    length = int(trace.lengths[sequence])
    if kind == "parameter":
        return np.full(length, float(trace.parameters[layer][label][neuron]))
    values = np.asarray(trace[layer][label][sequence, :length, neuron], np.float64)
    if kind != "state":
        return values
    return np.concatenate([[float(trace.initial[layer][label][sequence][neuron])], values])[:length]


def _whole_derivative(jacobians: Jacobians, state: str, neuron: int, after: int, before: int) -> list[float | None]:
    """Return the derivative of the neuron's state at every step by itself at `before`, along all paths."""
    tangent = next(iter(jacobians.factors.values())).new_zeros(len(jacobians.states), 1, jacobians.neurons)
    row = jacobians.states.index(state)
    tangent[row, 0, neuron] = 1.0
    values = []
    for step in range(before + 1, after + 1):
        tangent = jacobians.forwards(step, tangent)
        values.append(finite_or_none(float(tangent[row, 0, neuron])))
    return values
