"""The lesson: every path along which one recurrent weight acts on one prediction, and autograd's derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gatescope.explorer.costs import gradient_bytes, megabytes, size_of, with_network
from gatescope.explorer.memory import Memory
from gatescope.explorer.requests import CHECKPOINT, Field, RequestError, check_step, parse_request, quoted
from gatescope.explorer.split_text import split_text
from gatescope.messages import Message
from gatescope.network import Network
from gatescope.runs import Run
from gatescope.sources import symbols_of
from gatescope.studies.gradients.jacobians import exact
from gatescope.studies.gradients.paths import MAX_STEPS, paths
from gatescope.vocabulary import Ids

FLOAT64_DIGITS = 16
FIELDS = {
    "text": Field(str),
    "layer": Field(str),
    "drive": Field(str),
    "to": Field(int),
    "source": Field(int),
    "step": Field(int),
    "checkpoint": CHECKPOINT,
}


def lesson(memory: Memory, run: Run, data: Any) -> dict[str, Any]:
    """Return the paths of U.drive[to, source] to the prediction after a step, as JSON values.

    The network reads up to three symbols from the initial state; the last one is the symbol at this step.

    Raises:
        RequestError: a field cannot be used, the network has no such layer, the text has no such step, or the network
            cannot predict the symbol after it.
        GatescopeError: the run cannot be read, or it has no such drive or neuron.
    """
    fields = parse_request("ways", data, FIELDS)
    configuration = run.configuration()
    labels = split_text(memory, configuration, fields["text"]).labels
    needed = with_network(configuration, gradient_bytes(configuration, 1, MAX_STEPS + 1))
    too_large = Message(
        "LESSON_NETWORK_TOO_LARGE",
        network=size_of(configuration),
        needed=megabytes(needed),
        limit=megabytes(memory.working_bytes),
    )
    with memory.reserve(needed, too_large):
        network, training_step = run.network(fields["checkpoint"])
        return paths_json(network, training_step, fields, labels)


def paths_json(network: Network, training_step: int, fields: dict[str, Any], labels: list[str]) -> dict[str, Any]:
    """Return the paths of a weight of a network, as JSON values.

    Args:
        network: the network.
        training_step: the training step of its weights.
        fields: the fields of the request.
        labels: what to print for each step of the text.

    Raises:
        RequestError: the network has no such layer, the text has no such step, or the network cannot predict the symbol
            after it.
        StudyError: the paths of this weight cannot be listed.
    """
    names = network.configuration.names
    if fields["layer"] not in names:
        raise RequestError("EXPLORER_LAYER_UNKNOWN", layer=quoted(fields["layer"]), layers=", ".join(names))
    ids, labels, first = _symbols_up_to(network, fields["text"], labels, fields["step"])
    weight = {name: fields[name] for name in ("drive", "to", "source")}
    table = paths(network, ids, layer=fields["layer"], **weight)
    total, derivative = table.about["total"], autograd(network, ids, **weight)
    steps = len(ids) - 1
    content = table.to_json()
    del content["titles"], content["columns"]["path"]  # the page has its own words
    return {
        **content,
        "read": labels[:-1],
        "next": labels[-1],
        "first": first,
        "trained": training_step,
        "by_step": [float(table.where(step=step)["value"].sum()) for step in range(steps)],
        "autograd": derivative,
        "digits": same_digits(total, derivative),
    }


def autograd(network: Network, ids: Ids, drive: str, to: int, source: int) -> float:
    """Return torch's derivative of -log p(last symbol) by a recurrent weight of the last layer.

    Args:
        network: the network.
        ids: the symbols that the network reads, and the predicted one.
        drive: the drive of the weight, such as "f".
        to: the neuron that the weight leads to.
        source: the neuron that the weight reads.
    """
    copy = exact(network)
    last = len(copy.configuration.layers) - 1
    weights = copy.parameters_of(last).by_name()["recurrent_weights"].requires_grad_(True)
    inputs = torch.from_numpy(ids[:-1].astype(np.int64))[:, None]
    loss = -copy(inputs, engine="plain").logits[-1, 0].log_softmax(0)[int(ids[-1])]
    (gradient,) = torch.autograd.grad(loss, weights)
    index = copy.configuration.layers[last].cell.tape.recurrent_drives.index(drive)
    return float(gradient[index, to, source])


def same_digits(first: float, second: float) -> int:
    """Return the number of leading decimal digits in which two numbers agree."""
    if first == second:
        return FLOAT64_DIGITS
    difference = abs(first - second) / max(abs(first), abs(second))
    return int(min(FLOAT64_DIGITS, max(0, np.floor(-np.log10(difference)))))


def _symbols_up_to(network: Network, text: str, labels: list[str], step: int) -> tuple[Ids, list[str], int]:
    """Return the ids of the last symbols up to a step and of the next one, their labels, and the first step of them.

    Raises:
        RequestError: the text has no such step, or the network cannot predict the symbol after it.
    """
    vocabulary = network.configuration.vocabulary
    check_step(step, len(labels))
    start = 0
    sequences = symbols_of(network, text)
    while step >= start + len(sequences[0]):
        start += len(sequences.pop(0))
    ids = sequences[0]
    last = step - start
    if last + 1 >= len(ids) or ids[last + 1] >= vocabulary.size:
        raise RequestError("LESSON_NEXT_SYMBOL_UNKNOWN", step=step)
    first = max(0, last + 1 - MAX_STEPS)
    return ids[first : last + 2], labels[start + first : start + last + 2], start + first
