"""Every way along which one weight acts on one prediction, for the page, and what autograd says."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gatescope.explorer.costs import gradient_bytes, megabytes, size_of, with_network
from gatescope.explorer.memory import Memory
from gatescope.explorer.recorder import measured
from gatescope.explorer.requests import RequestError, quoted
from gatescope.network import Network
from gatescope.runs import Run
from gatescope.sources import symbols_of
from gatescope.studies.gradients.jacobians import exact
from gatescope.studies.gradients.paths import MAX_STEPS, paths
from gatescope.vocabulary import Ids

KINDS = {"text": str, "layer": str, "drive": str, "to": int, "source": int, "step": int}
MOST_DIGITS = 16  # more than that no float64 has


def lesson(memory: Memory, run: Run, data: Any) -> dict[str, Any]:
    """The ways of U.drive[to, source] to the prediction after a step, as JSON values.

    Up to three characters are read, the last one at this step, from the initial state.

    Raises:
        RequestError: a field is missing, unknown or of the wrong kind; there is no such layer or step, or nothing that
            the network could predict comes next.
        GatescopeError: the run cannot be read, or there is no such drive or neuron.
    """
    asked = _fields(data)
    configuration = run.configuration()
    labels = measured(memory, configuration, asked["text"]).labels
    needed = with_network(configuration, gradient_bytes(configuration, 1, MAX_STEPS + 1))
    too_large = (
        f"Every way of one weight with {size_of(configuration)} takes {megabytes(needed)}; the page may take "
        f"{megabytes(memory.working_bytes)}. Choose a smaller network."
    )
    with memory.reserve(needed, too_large):
        return _ways(run, asked, labels)


def _ways(run: Run, asked: dict[str, Any], labels: list[str]) -> dict[str, Any]:
    network, trained = run.network(asked["checkpoint"])
    names = network.configuration.names
    if asked["layer"] not in names:
        raise RequestError("LESSON_NETWORK", asked=quoted(asked["layer"]), names=", ".join(names))
    ids, labels, first = _part(network, asked["text"], labels, asked["step"])
    weight = {name: asked[name] for name in ("drive", "to", "source")}
    found = paths(network, ids, layer=asked["layer"], **weight)
    total, told = found.about["total"], autograd(network, ids, **weight)
    steps = len(ids) - 1
    return {
        **found.to_json(),
        "read": labels[:-1],
        "next": labels[-1],
        "first": first,
        "trained": trained,
        "by_step": [float(found.where(step=step)["value"].sum()) for step in range(steps)],
        "autograd": told,
        "digits": same_digits(total, told),
    }


def autograd(network: Network, ids: Ids, drive: str, to: int, source: int) -> float:
    """The derivative of -log p(last symbol) by a recurrent weight of the last layer, as torch computes it."""
    copy = exact(network)
    last = len(copy.configuration.layers) - 1
    weights = copy.parameters_of(last).by_name()["recurrent_weights"].requires_grad_(True)
    read = torch.from_numpy(ids[:-1].astype(np.int64))[:, None]
    loss = -copy(read, engine="plain").logits[-1, 0].log_softmax(0)[int(ids[-1])]
    (gradient,) = torch.autograd.grad(loss, weights)
    index = copy.configuration.layers[last].cell.tape.recurrent_drives.index(drive)
    return float(gradient[index, to, source])


def same_digits(one: float, other: float) -> int:
    """To how many decimal digits two numbers are the same."""
    if one == other:
        return MOST_DIGITS
    difference = abs(one - other) / max(abs(one), abs(other))
    return int(min(MOST_DIGITS, max(0, np.floor(-np.log10(difference)))))


def _fields(data: Any) -> dict[str, Any]:
    """The fields of a request, all of which must be there; `checkpoint` may be null or missing."""
    if not isinstance(data, dict) or set(data) - {"checkpoint"} != set(KINDS):
        raise RequestError("LESSON_REQUEST_WAYS_WEIGHT_JSON", kinds=", ".join(KINDS))
    for name, kind in KINDS.items():
        if type(data[name]) is not kind:
            raise RequestError("LESSON_REQUEST_WAYS_GIVEN", name=name, name2=kind.__name__, data=quoted(data[name]))
    checkpoint = data.get("checkpoint")
    if checkpoint is not None and type(checkpoint) is not int:
        raise RequestError("GRADIENTS_CHECKPOINT_REQUEST_STEP_CHECKPOINT")
    return {**data, "checkpoint": checkpoint}


def _part(network: Network, text: str, labels: list[str], step: int) -> tuple[Ids, list[str], int]:
    """Return the ids up to a step and the next symbol, their labels, and the first step that is shown."""
    vocabulary = network.configuration.vocabulary
    start = 0
    if not 0 <= step < len(labels):
        raise RequestError("LESSON_TEXT_STEP_COUNTED", step=step, count=len(labels))
    sequences = symbols_of(network, text)
    while step >= start + len(sequences[0]):
        start += len(sequences.pop(0))
    ids = sequences[0]
    at = step - start
    if at + 1 >= len(ids) or ids[at + 1] >= vocabulary.size:
        raise RequestError("LESSON_AFTER_STEP_COMES_NOTHING", step=step)
    first = max(0, at + 1 - MAX_STEPS)
    return ids[first : at + 2], labels[start + first : start + at + 2], start + first
