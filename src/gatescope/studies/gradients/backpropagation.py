"""Where does the gradient of a weight come from, and what does a prediction rest on? Back-propagation opened.

Training shows only the sum of a gradient. Its parts show from which steps a weight is learned, and the derivative of
one loss by earlier inputs and states (the saliency) shows how far back a prediction looks. If the contributions of
early steps vanish, the network cannot learn what depends on them, however long it trains.

The loss is -log p(target), or that of numbers (see `gatescope.studies.common.losses`). Its gradient flows back step by
step and layer by layer through the forward derivatives of the cells' equations. At every step it reaches the drives.
The gradient of a drive, delta, times the input of the drive's weights is the contribution of that step to the gradient
of the weights. The contributions of all steps sum to the gradient that training uses.

`T` step, `P` place at which a loss is taken, `D` distance, `N` neuron, `I` input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gatescope.network import Network
from gatescope.studies.common.table import StudyError, Table
from gatescope.studies.gradients.backward_pass import BackwardPass
from gatescope.vocabulary import Reading


@dataclass(frozen=True)
class Contributions:
    """The gradient of a loss, step by step.

    Weights are named as in the network's files, followed by the drive if they have one: "layers.0.input_weights.f",
    "layers.0.recurrent_weights.f".

    Attributes:
        places: the steps whose losses are summed, (P,).
        losses: the losses at these steps, (P,); -log p(target) in nats for symbols and classes.
        deltas: weight -> the derivative of the loss by the sum that the weight enters, at every step, (T, N).
        inputs: weight -> the input that the weight multiplies at every step, (T, I). Biases and weights with one number
            per neuron have none: their `deltas` are the contributions themselves.
    """

    places: NDArray[np.int64]
    losses: NDArray[np.float64]
    deltas: Mapping[str, NDArray[np.float64]]
    inputs: Mapping[str, NDArray[np.float64]]

    def _checked(self, weight: str) -> str:
        if weight not in self.deltas:
            raise StudyError("BACKPROPAGATION_WEIGHT_UNKNOWN", weights=", ".join(self.deltas), weight=weight)
        return weight

    def of(self, weight: str, step: int) -> NDArray[np.float64]:
        """Return the contribution of one step to the gradient of a weight, (N, I) or (N,).

        Raises:
            StudyError: there is no such weight.
        """
        delta = self.deltas[self._checked(weight)][step]
        return np.outer(delta, self.inputs[weight][step]) if weight in self.inputs else delta

    def total(self, weight: str) -> NDArray[np.float64]:
        """Return the gradient of a weight: the sum over all steps, (N, I) or (N,).

        Raises:
            StudyError: there is no such weight.
        """
        deltas = self.deltas[self._checked(weight)]
        return deltas.T @ self.inputs[weight] if weight in self.inputs else deltas.sum(0)

    def norms(self, weight: str) -> NDArray[np.float64]:
        """Return the norm of each step's contribution, (T,).

        Raises:
            StudyError: there is no such weight.
        """
        norms = np.linalg.norm(self.deltas[self._checked(weight)], axis=1)
        return norms * np.linalg.norm(self.inputs[weight], axis=1) if weight in self.inputs else norms

    def along(self, weight: str) -> NDArray[np.float64]:
        """Return the share of each step in the gradient, (T,): <contribution, gradient> / <gradient, gradient>.

        The shares sum to 1; a step that pulls the other way has a negative share. NaN if the gradient is 0.

        Raises:
            StudyError: there is no such weight.
        """
        total, deltas = self.total(weight), self.deltas[weight]
        projected = self.inputs[weight] @ total.T if weight in self.inputs else np.broadcast_to(total, deltas.shape)
        size = float((total * total).sum())
        return (deltas * projected).sum(1) / size if size else np.full(len(deltas), np.nan)

    def table(self, weights: Sequence[str] | None = None) -> Table:
        """Return a row for every weight and step, with norm and share.

        Raises:
            StudyError: there is no such weight.
        """
        titles = {
            "weight": "weight",
            "step": "step",
            "norm": "norm of the step's contribution to the gradient",
            "share": "share of the gradient",
        }
        names = list(self.deltas) if weights is None else [self._checked(name) for name in weights]
        count = len(next(iter(self.deltas.values())))
        columns = {
            "weight": np.array(np.repeat(np.array(names, dtype=object), count), dtype=object),
            "step": np.tile(np.arange(count), len(names)),
            "norm": np.concatenate([np.empty(0), *(self.norms(name) for name in names)]),
            "share": np.concatenate([np.empty(0), *(self.along(name) for name in names)]),
        }
        return Table(columns, titles, {"loss": float(self.losses.sum()), "losses": len(self.places)})


@dataclass(frozen=True)
class Saliency:
    """How much inputs and states matter for the loss some steps later.

    Entry [k, j] is the derivative of the loss at step places[k] by the input or state distances[j] steps earlier; NaN
    if there is no such step. For networks that also read from the end, negative distances are later steps. A derivative
    by a state is by the value of the signal at that step: everything that uses the value changes with it, as after an
    intervention (`nudge`).

    Attributes:
        places: the steps of the losses, (P,).
        losses: the losses, (P,).
        inputs: the norm of the derivative by the input vector (one-hot, embedded or numbers), (P, D).
        states: (layer, state) -> the norm of the derivative by all neurons, (P, D).
        neurons: (layer, state) -> the absolute derivative by each neuron, (P, D, N), float32; empty unless requested.
        distances: the distances in steps, (D,), ascending: 0, 1, 2, ...; or from a negative one on.
    """

    places: NDArray[np.int64]
    losses: NDArray[np.float64]
    inputs: NDArray[np.float64]
    states: Mapping[tuple[str, str], NDArray[np.float64]]
    neurons: Mapping[tuple[str, str], NDArray[np.float32]]
    distances: NDArray[np.int64]


def contributions(
    network: Network, ids: Reading, places: Sequence[int] | None = None, *, targets: Reading | None = None
) -> Contributions:
    """Compute the gradient of the summed loss of some steps of a sequence, step by step.

    Args:
        network: any network. It is copied in float64, without dropout.
        ids: one sequence, of ids (T,) or of vectors of numbers (T, I), from the initial state.
        places: the steps whose losses count; None: all steps with a target (the last step of a many-to-one network).
        targets: the target of each step; None: the next symbol, or the most probable class of the network itself.

    Raises:
        StudyError: a step has no target.
        RecordingError: the sequence is empty.
    """
    passed = BackwardPass(network, ids, places, targets)
    where, count = passed.places, len(passed.ids)
    deltas = {
        name: torch.zeros(count, size, dtype=torch.float64)
        for layer in passed.layers
        for name, size in layer.weight_rows().items()
    }
    embedded = torch.zeros(count, passed.inputs.shape[1], dtype=torch.float64)
    for gradients in passed.backward(together=True):
        for layer, by_state in zip(passed.layers, gradients.by_layer, strict=True):
            for name, delta in layer.deltas(gradients.step, by_state).items():
                deltas[name][gradients.step] = delta[0]
        embedded[gradients.step] = gradients.inputs[0]
    inputs = {}
    for layer in passed.layers:
        inputs |= layer.weight_inputs()
    values = {name: delta.numpy() for name, delta in deltas.items()}
    if passed.network.embedding is not None:  # each step adds to the row of its symbol
        values["embedding"] = passed.one_hot().numpy()
        inputs["embedding"] = embedded.numpy()
    for (weights, biases), error, layer_input in zip(passed.head.names, passed.errors, passed.head.inputs, strict=True):
        errors = np.zeros((count, error.shape[1]))
        errors[where] = error.numpy()
        values |= {weights: errors, biases: errors}
        inputs[weights] = layer_input.numpy()
    return Contributions(where, passed.losses.numpy(), values, {k: np.asarray(v) for k, v in inputs.items()})


def saliency(
    network: Network,
    ids: Reading,
    places: Sequence[int] | None = None,
    *,
    targets: Reading | None = None,
    furthest: int | None = None,
    neurons: bool = False,
) -> Saliency:
    """Compute the derivative of the loss at each step by the inputs and states at that step and before.

    For networks that also read from the end, later inputs and states are included.

    Args:
        network: any network. It is copied in float64, without dropout.
        ids: one sequence, of ids (T,) or of vectors of numbers (T, I), from the initial state.
        places: the steps of the losses, each separately; None: all steps with a target (the last step of a many-to-one
            network).
        targets: the target of each step; None: the next symbol, or the most probable class of the network itself.
        furthest: the largest distance; None: all distances.
        neurons: if true, keep the derivatives by single neurons: P · D · N numbers.

    Raises:
        StudyError: a step has no target.
        RecordingError: the sequence is empty.
    """
    passed = BackwardPass(network, ids, places, targets)
    where, last = passed.places, len(passed.ids) - 1
    most = last if furthest is None else furthest
    far = min(last, most, int(where.max(initial=0)))
    later = min(most, last - int(where.min(initial=last))) if passed.both_ways else 0
    distances = np.arange(-later, far + 1)
    shape = (len(where), len(distances))
    inputs = np.full(shape, np.nan)
    keys = [(layer.name, state) for layer in passed.layers for state in layer.states]
    states = {key: np.full(shape, np.nan) for key in keys}
    sizes = {layer.name: layer.arrays["h"].shape[1] for layer in passed.layers}
    by_neuron = {key: np.full((*shape, sizes[key[0]]), np.nan, np.float32) for key in keys} if neurons else {}
    for gradients in passed.backward(together=False, furthest=far):
        column = where[gradients.rows] - gradients.step + later
        near = (column >= 0) & (column < len(distances))
        rows, column, some = gradients.rows[near], column[near], torch.from_numpy(near)
        inputs[rows, column] = gradients.inputs[some].norm(dim=1).numpy()
        for layer, by_state in zip(passed.layers, gradients.by_layer, strict=True):
            for state, gradient in layer.signal_gradients(gradients.step, by_state).items():
                states[layer.name, state][rows, column] = gradient[some].norm(dim=1).numpy()
                if neurons:
                    by_neuron[layer.name, state][rows, column] = gradient[some].abs().float().numpy()
    return Saliency(where, passed.losses.numpy(), inputs, states, by_neuron, distances)
