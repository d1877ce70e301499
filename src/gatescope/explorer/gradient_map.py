"""The map of gradients: norms of the derivative of every state by every earlier state of a text."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from gatescope.explorer.exact_recording import ExactRecording
from gatescope.studies.gradients.growth import lyapunov
from gatescope.studies.gradients.products import product_map, sources_of

EXACT_STATE_SIZE = 64  # numbers in a state, up to which maps are exact
EXACT_WORK = 1e8  # squared state size · squared steps, up to which a map is exact: a few seconds
MAP_WORK = 1e11  # multiplications of an estimated map


def estimation(states: int, neurons: int, steps: int) -> tuple[int | None, int]:
    """Choose how to compute a map within seconds.

    Args:
        states: the number of states of the cell.
        neurons: the number of neurons.
        steps: the number of steps of the longest sequence.

    Returns:
        The number of random vectors (None: exact), and the largest distance in steps.
    """
    width = states * neurons
    if width <= EXACT_STATE_SIZE:
        return (None if (width * steps) ** 2 <= EXACT_WORK else min(8, width)), steps
    multiplications = states * neurons**2 * steps  # for one vector and one step of distance
    if multiplications * 4 * steps / 2 <= MAP_WORK:
        return 4, steps
    return 2, steps if multiplications * 2 * steps / 2 <= MAP_WORK else max(8, int(MAP_WORK / (multiplications * 2)))


def encode_map(recording: ExactRecording, layer: str) -> bytes:
    """Return the map of a layer, in the layout that docs/explorer.md describes.

    Raises:
        RequestError: the network has no such layer, or the layer reads from the end.
        StudyError: the layer carries no state.
    """
    jacobians = recording.jacobians(layer)
    steps = recording.steps
    if not jacobians:
        return save({"norm": np.empty((0, 0), np.float32)}, metadata(recording, layer=layer, states=[], terms=[]))
    states = jacobians[0].states
    sources_of(jacobians[0], None)  # refuses a layer without states
    longest = max(jacobians, key=lambda sequence: sequence.steps)
    vectors, furthest = estimation(len(states), longest.neurons, longest.steps)
    names = ["norm", "largest", "bypass", "rest", *(f"norm.{state}" for state in states)]
    arrays: dict[str, NDArray[Any]] = {name: np.full((steps, steps), np.nan, np.float32) for name in names}
    terms = list(jacobians[0].shares())
    shares = np.full((len(terms), steps), np.nan, np.float32)
    is_exact = True
    for number, span in recording.spans():
        products = product_map(jacobians[number], vectors=vectors, furthest=furthest)
        is_exact &= products.exact
        for name in ("norm", "largest", "bypass", "rest"):
            arrays[name][span, span] = getattr(products, name)
        for state in states:
            arrays[f"norm.{state}"][span, span] = products.by_state[state]
        for row, share in enumerate(jacobians[number].shares().values()):
            shares[row, span] = share
    arrays["shares"] = shares
    start = np.zeros(steps, np.uint8)
    start[recording.firsts[:-1]] = 1
    arrays["start"] = start
    about = {
        "layer": layer,
        "states": list(states),
        "neurons": longest.neurons,
        "exact": is_exact,
        "vectors": vectors,
        "furthest": furthest if furthest < longest.steps else None,
        "exponent": float(lyapunov(longest, 1)[0]) if longest.steps > 1 else None,
        "terms": [
            {
                "to": term.to,
                "source": term.source,
                "name": term.name,
                "direct": term.direct,
                "formula": f"diag({term.formula or '…'})" + (f" · U.{term.drive}" if term.drive else ""),
            }
            for term in terms
        ],
    }
    return save(arrays, metadata(recording, **about))


def metadata(recording: ExactRecording, **values: Any) -> dict[str, str]:
    """Return the metadata beside the arrays, as JSON texts."""
    about = {"labels": recording.labels, "step": recording.training_step, **values}
    return {name: json.dumps(finite_or_none(value)) for name, value in about.items()}


def finite_or_none(value: Any) -> Any:
    """Return a value that JSON can write: None instead of a float that is not finite."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
