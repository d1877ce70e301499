"""One pass of a network forward, and gradients carried back from the losses through its layers and steps.

`T` step, `R` loss that is carried back as a row of its own, `N` neuron, `I` input, `V` symbol.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatescope.equations import Place
from gatescope.head import ACTIVATIONS
from gatescope.network import Network
from gatescope.recording import record
from gatescope.sources import sequences_of
from gatescope.studies.common.losses import loss_of, target_mask, targets_for
from gatescope.studies.common.table import StudyError
from gatescope.studies.gradients.jacobians import Slopes, exact, in_order, slopes_of
from gatescope.vocabulary import Reading

LAYER_VALUES = 1 << 23  # gradients of one layer that are held at once, for a network that reads in both directions


@dataclass(frozen=True)
class StepGradients:
    """The gradients of R losses at one step.

    Attributes:
        step: the step.
        rows: the numbers of the losses, (R,).
        by_layer: for each layer, state -> the gradients by the state after the step, (R, N).
        inputs: the gradients by the input of the network, (R, I).
    """

    step: int
    rows: NDArray[np.int64]
    by_layer: list[dict[str, Tensor]]
    inputs: Tensor


class LayerDerivatives:
    """The derivatives and weights of one layer, for one sequence.

    Attributes:
        name: the name of the layer.
        slopes: state -> place in the equations -> the derivative, (T, N).
        weights: the weights of the layer by name.
        inputs: the inputs of the layer, (T, I).
        arrays: "h" (T, N), "initial h" (N,) and "cell".
        reverse: true if the layer reads from the end.
        states: the states of the cell, and its output.
    """

    def __init__(
        self,
        name: str,
        number: int,
        slopes: Slopes,
        weights: Mapping[str, Tensor],
        inputs: Tensor,
        arrays: dict[str, Any],
    ) -> None:
        self.name, self.slopes, self.weights, self.inputs, self.arrays = name, slopes, weights, inputs, arrays
        self.reverse = name.endswith("_reverse")
        self.prefix = f"layers.{number}"
        self.cell = arrays["cell"]
        tape = self.cell.tape
        self.states = tuple(slopes)
        initial, h = arrays["initial h"][None], arrays["h"]
        self.before = torch.cat([h[1:], initial]) if self.reverse else torch.cat([initial, h[:-1]])
        self.input_drives = {k: Place("drive", f"x.{k}", f"x.{k}") for k in tape.input_drives}
        self.recurrent_drives = {k: Place("drive", f"u.{k}", f"u.{k}") for k in tape.recurrent_drives}
        self.parameters = {k: Place("parameter", k, f"p.{k}") for k in tape.parameters}
        self.uses = list(dict.fromkeys(place for row in slopes.values() for place in row if place.kind == "state"))

    def delta(self, place: Place, step: int, arrived: Mapping[str, Tensor]) -> Tensor:
        """Return the gradients by the quantity that enters the equations at a place, (R, N)."""
        total = torch.zeros_like(next(iter(arrived.values())))
        for state, gradient in arrived.items():
            if place in self.slopes[state]:
                total = total + self.slopes[state][place][step] * gradient
        return total

    def weight_rows(self) -> dict[str, int]:
        """Return weight -> the number of its rows, for every weight of the layer."""
        neurons: int = self.arrays["h"].shape[1]
        names = [f"{self.prefix}.input_weights.{k}" for k in self.input_drives]
        names += [f"{self.prefix}.biases.{k}" for k in self.input_drives]
        names += [f"{self.prefix}.recurrent_weights.{k}" for k in self.recurrent_drives]
        names += [f"{self.prefix}.neuron_weights.{k}" for k in self.parameters]
        return dict.fromkeys(names, neurons)

    def deltas(self, step: int, arrived: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weight -> the gradients by the sum that the weight enters, (R, N)."""
        deltas = {}
        for k, place in self.input_drives.items():
            delta = self.delta(place, step, arrived)
            deltas[f"{self.prefix}.input_weights.{k}"] = deltas[f"{self.prefix}.biases.{k}"] = delta
        for k, place in self.recurrent_drives.items():
            deltas[f"{self.prefix}.recurrent_weights.{k}"] = self.delta(place, step, arrived)
        for k, place in self.parameters.items():
            deltas[f"{self.prefix}.neuron_weights.{k}"] = self.delta(place, step, arrived)
        return deltas

    def weight_inputs(self) -> dict[str, NDArray[np.float64]]:
        """Return weight -> the input that the matrix multiplies at every step, (T, I)."""
        inputs = {f"{self.prefix}.input_weights.{k}": self.inputs.numpy() for k in self.input_drives}
        return inputs | {f"{self.prefix}.recurrent_weights.{k}": self.before.numpy() for k in self.recurrent_drives}

    def back(self, step: int, arrived: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Carry gradients by the states after a step to the inputs of the layer and to the states one step earlier."""
        below = arrived["h"].new_zeros(len(arrived["h"]), self.inputs.shape[1])
        for k, place in enumerate(self.input_drives.values()):
            below += self.delta(place, step, arrived) @ self.weights["input_weights"][k]
        earlier = {state: torch.zeros_like(value) for state, value in arrived.items()}
        for place in self.uses:
            earlier[place.label] += self.delta(place, step, arrived)
        for k, place in enumerate(self.recurrent_drives.values()):
            earlier["h"] += self.delta(place, step, arrived) @ self.weights["recurrent_weights"][k]
        return below, earlier

    def signal_gradients(self, step: int, arrived: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the gradients by the value of each state, including its uses within this step."""
        return {
            state: self.delta(Place("signal", state, state), step, arrived) if state in self.cell.states else value
            for state, value in arrived.items()
        }


class _Head:
    """The readout and the hidden layers before it.

    Attributes:
        layers: the hidden layers.
        names: for each layer and the readout, the names of the weights and of the biases.
        weights: for each layer and the readout, the weights and the biases.
        inputs: for each layer and the readout, the input at every step, (T, I).
    """

    def __init__(self, network: Network, hidden: Float[Tensor, "T N"]) -> None:
        self.layers = network.configuration.hidden
        self.names = [(f"hidden.{k}.weights", f"hidden.{k}.biases") for k in range(len(self.layers))]
        self.names.append(("readout_weights", "readout_biases"))
        values = {name: value.detach() for name, value in network.named_parameters()}
        self.weights = [(values[weights], values[biases]) for weights, biases in self.names]
        self.inputs = [hidden]
        for layer, drive in zip(self.layers, self.drives(hidden), strict=False):
            self.inputs.append(ACTIVATIONS[layer.activation](drive))

    def drives(self, values: Tensor) -> list[Tensor]:
        """Return the pre-activations of each layer; the last are the logits."""
        drives: list[Tensor] = []
        for k, (weights, biases) in enumerate(self.weights):
            drives.append(values @ weights.t() + biases)
            values = ACTIVATIONS[self.layers[k].activation](drives[-1]) if k < len(self.layers) else values
        return drives


class BackwardPass:
    """One pass forward over a sequence, and the passes back from its losses.

    Args:
        network: any network. It is copied in float64, without dropout.
        ids: one sequence, of ids (T,) or of vectors of numbers (T, I).
        places: the steps of the losses; None: all steps with a target.
        targets: the target of each step; None: see `gatescope.studies.common.losses.targets_for`.

    Attributes:
        network: the copy.
        ids: the sequence.
        places: the steps of the losses, ascending, each once, (P,).
        losses: the losses at these steps, (P,).
        inputs: the input of the network, (T, I).
        layers: the derivatives of every layer.
        head: the readout and the hidden layers before it.
        errors: for each layer of the head, the gradients by its pre-activations at the places.
        both_ways: true if some layers read from the end.
        once: true if the readout reads each direction only where it has read everything.
    """

    def __init__(
        self, network: Network, ids: Reading, places: Sequence[int] | None, targets: Reading | None = None
    ) -> None:
        self.network = copy = exact(network)
        configuration = copy.configuration
        self.both_ways = configuration.both_ways
        (self.ids,) = sequences_of(copy, [ids])
        trace = record(copy, [self.ids])
        known_targets = targets_for(copy, self.ids, targets)
        self.places = _places(copy, known_targets, places)
        self.inputs = below = self._read()
        self.layers: list[LayerDerivatives] = []
        for level in configuration.levels:
            hidden = []
            for k in level:
                name = configuration.names[k]
                slopes, _, cell = slopes_of(trace, name, 0)
                slopes = {
                    to: {place: _in_text_order(name, v) for place, v in row.items()} for to, row in slopes.items()
                }
                h = torch.from_numpy(np.asarray(trace[name]["h"][0]))
                start = trace.initial[name].get("h")  # a feedforward layer carries no state
                before = torch.zeros_like(h[0]) if start is None else torch.from_numpy(start[0]).to(h)
                arrays = {"h": h, "initial h": before, "cell": cell}
                weights = {key: value.detach() for key, value in copy.parameters_of(k).by_name().items()}
                self.layers.append(LayerDerivatives(name, k, slopes, weights, below, arrays))
                hidden.append(h)
            below = torch.cat(hidden, 1)
        self.once = configuration.readout.reads == "last step" and self.layers[-1].reverse
        if self.once:  # the readout reads each direction where it has read everything
            size = self.layers[-1].arrays["h"].shape[1]
            below = torch.cat([below[:, :-size], below[:1, -size:].expand(len(below), -1)], 1)
        self.hidden = below
        self.head = _Head(copy, below)
        hidden_at_places = below[self.places].requires_grad_()
        drives = self.head.drives(hidden_at_places)
        losses = loss_of(configuration.readout, drives[-1], torch.from_numpy(known_targets[self.places]))
        self.arriving, *self.errors = torch.autograd.grad(losses.sum(), [hidden_at_places, *drives])
        self.losses = losses.detach()

    def one_hot(self) -> Float[Tensor, "T V"]:
        """Return the sequence as one-hot vectors; an unknown symbol is 0."""
        count = self.network.configuration.vocabulary.size
        vectors = torch.zeros(len(self.ids), count, dtype=torch.float64)
        known = np.flatnonzero((self.ids >= 0) & (self.ids < count))
        vectors[known, self.ids[known].astype(np.int64)] = 1.0
        return vectors

    def _read(self) -> Float[Tensor, "T I"]:
        if self.ids.ndim == 2:
            return torch.from_numpy(self.ids).double()
        table = self.network.embedding
        return self.one_hot() if table is None else self.one_hot() @ table.detach()

    def backward(self, together: bool, furthest: int | None = None) -> Iterator[StepGradients]:
        """Yield the gradients at every step on which a loss depends.

        Args:
            together: if true, the losses are summed and carried back as one row; otherwise each has its own row.
            furthest: the distance in steps up to which gradients are needed; None: all. Further steps may follow.
        """
        if not self.both_ways:
            yield from self._step_by_step(together, furthest)
            return
        widest = max(self.inputs.shape[1], *(layer.arrays["h"].shape[1] for layer in self.layers))
        size = max(1, LAYER_VALUES // (len(self.ids) * widest))
        count = 1 if together else len(self.places)
        for start in range(0, count, size):
            yield from self._level_by_level(np.arange(start, min(start + size, count)), together)

    def _level_by_level(self, rows: NDArray[np.int64], together: bool) -> Iterator[StepGradients]:
        """Yield gradients from the highest layers down, each layer through all steps against its reading order."""
        steps, levels = len(self.ids), self.network.configuration.levels
        sizes = [[self.layers[k].arrays["h"].shape[1] for k in level] for level in levels]
        above = torch.zeros(steps, len(rows), self.hidden.shape[1], dtype=torch.float64)
        for place, value in zip(self.places, self.arriving, strict=True) if together else ():
            above[place, 0] += value
        for row, k in enumerate(rows) if not together else ():
            above[self.places[k], row] += self.arriving[k]
        if self.once:
            size = sizes[-1][-1]
            above[0, :, -size:] = above[:, :, -size:].sum(0)
            above[1:, :, -size:] = 0
        arrived: list[list[dict[str, Tensor]]] = [[] for _ in self.layers]
        for level, widths in zip(reversed(levels), reversed(sizes), strict=True):
            below = torch.zeros(steps, len(rows), self.layers[level[0]].inputs.shape[1], dtype=torch.float64)
            for k, part in zip(level, above.split(widths, 2), strict=True):
                arrived[k] = self._through(self.layers[k], part, below)
            above = below
        for step in range(steps):
            yield StepGradients(step, rows, [steps_of_layer[step] for steps_of_layer in arrived], above[step])

    @staticmethod
    def _through(layer: LayerDerivatives, above: Tensor, below: Tensor) -> list[dict[str, Tensor]]:
        """Return the gradients by a layer's states at every step, and add those by its inputs to `below`.

        Args:
            layer: the layer.
            above: the gradients by its outputs, (T, R, N).
            below: the gradients by its inputs, (T, R, I); changed in place.
        """
        by_step: list[dict[str, Tensor]] = [{} for _ in above]
        carried = {state: torch.zeros_like(above[0]) for state in layer.states}
        for step in range(len(above)) if layer.reverse else reversed(range(len(above))):
            arrived = {**carried, "h": carried["h"] + above[step]}
            by_step[step] = arrived
            by_inputs, carried = layer.back(step, arrived)
            below[step] += by_inputs
        return by_step

    def _step_by_step(self, together: bool, furthest: int | None = None) -> Iterator[StepGradients]:
        """Yield gradients from the last step to the first, for a network that reads in one direction."""
        count, last = 1 if together else len(self.places), int(self.places.max(initial=-1))
        reach = last if furthest is None or together else furthest
        waiting = [
            {state: torch.zeros(count, layer.arrays["h"].shape[1], dtype=torch.float64) for state in layer.states}
            for layer in self.layers
        ]
        for step in reversed(range(last + 1)):
            place = int(np.searchsorted(self.places, step))
            if place < len(self.places) and self.places[place] == step:
                waiting[-1]["h"][0 if together else place] += self.arriving[place]
            rows = np.arange(1 if together else int(np.searchsorted(self.places, step + reach, side="right")))
            rows = rows if together else rows[place:]
            part = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)
            arrived: list[dict[str, Tensor]] = [{} for _ in self.layers]
            below: Tensor | None = None
            for k in reversed(range(len(self.layers))):
                arrived[k] = {state: value[part].clone() for state, value in waiting[k].items()}
                if below is not None:
                    arrived[k]["h"] += below
                below, earlier = self.layers[k].back(step, arrived[k])
                for state, value in earlier.items():
                    waiting[k][state][part] = value
            assert below is not None  # there is at least one layer
            yield StepGradients(step, rows, arrived, below)


def _in_text_order(name: str, values: Tensor) -> Tensor:
    """Return derivatives in the order of the text, from the order in which a layer reads."""
    return torch.from_numpy(np.ascontiguousarray(in_order(name, values.numpy())))


def _places(network: Network, targets: Reading, places: Sequence[int] | None) -> NDArray[np.int64]:
    """Return the steps at which a loss is taken, ascending, each once.

    Raises:
        StudyError: a step has no target, or nothing is predicted there.
    """
    configuration = network.configuration
    mask = target_mask(configuration, targets)
    chosen = np.flatnonzero(mask) if places is None else np.asarray(places, dtype=np.int64)
    if not configuration.both_ways and configuration.readout.reads == "last step":
        # The readout can be evaluated at any step: the prediction if the sequence ended there.
        every_step = replace(configuration, readout=replace(configuration.readout, reads="every step"))
        mask = target_mask(every_step, targets)
    if not all(0 <= place < len(mask) and mask[place] for place in chosen):
        known = np.flatnonzero(mask)
        if not len(known):
            raise StudyError("BACKPROPAGATION_NO_TARGETS")
        raise StudyError("BACKPROPAGATION_STEP_WITHOUT_TARGET", first=known[0], last=known[-1])
    return np.unique(chosen)
