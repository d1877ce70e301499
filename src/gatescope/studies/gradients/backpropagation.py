"""Where does the gradient of a weight come from? Back-propagation through time, opened.

The loss is -log p(target), or that of numbers (see `gatescope.studies.common.losses`). Its gradient flows back step by
step and layer by layer through the forward derivatives of the cells' equations. At every step it reaches the drives.
The gradient of a drive, delta, times the input of the drive's weights is the contribution of that step to the weights'
gradient; the contributions of all steps sum to the gradient that training uses.

`T` step, `P` place where a loss is taken, `D` distance, `L` layer, `N` neuron, `I` input, `V` symbol.
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
from gatescope.studies.common.losses import asked, loss_of, targets_for
from gatescope.studies.common.table import StudyError, Table
from gatescope.studies.gradients.jacobians import Slopes, exact, in_order, slopes_of
from gatescope.vocabulary import Reading

AT_ONCE = 1 << 23  # numbers that are held of one layer, of a network that reads in both directions


@dataclass(frozen=True)
class Contributions:
    """The gradient of a loss, step by step.

    Every weight is named as in the network's files: "layers.0.input_weights", with the drive behind it where it has
    one: "layers.0.recurrent_weights.f".

    Attributes:
        places: the steps whose losses are summed.
        losses: there; -log p(target) in nats, of symbols and classes.
        deltas: weight -> the derivative of the loss by what it is added to at every step, (T, N).
        heard: weight -> what it is multiplied with at every step, (T, I); absent where that is 1 (biases) or where the
            weight is one number per neuron (then `deltas` are the contributions themselves).
    """

    places: NDArray[np.int64]
    losses: NDArray[np.float64]
    deltas: Mapping[str, NDArray[np.float64]]
    heard: Mapping[str, NDArray[np.float64]]

    def _known(self, weight: str) -> str:
        if weight not in self.deltas:
            raise StudyError("BACKPROPAGATION_WEIGHT_UNKNOWN", weights=", ".join(self.deltas), weight=weight)
        return weight

    def of(self, weight: str, step: int) -> NDArray[np.float64]:
        """What one step contributes to the gradient of a weight, (N, I) or (N,).

        Raises:
            StudyError: there is no such weight.
        """
        delta = self.deltas[self._known(weight)][step]
        return np.outer(delta, self.heard[weight][step]) if weight in self.heard else delta

    def total(self, weight: str) -> NDArray[np.float64]:
        """The gradient: the sum over all steps.

        Raises:
            StudyError: there is no such weight.
        """
        deltas = self.deltas[self._known(weight)]
        return deltas.T @ self.heard[weight] if weight in self.heard else deltas.sum(0)

    def norms(self, weight: str) -> NDArray[np.float64]:
        """The norm of each step's contribution, (T,).

        Raises:
            StudyError: there is no such weight.
        """
        found = np.linalg.norm(self.deltas[self._known(weight)], axis=1)
        return found * np.linalg.norm(self.heard[weight], axis=1) if weight in self.heard else found

    def along(self, weight: str) -> NDArray[np.float64]:
        """The share of each step in the gradient, (T,): <contribution, gradient> / <gradient, gradient>.

        They sum to 1; a step that pulls the other way has a negative share. NaN where the gradient is 0.

        Raises:
            StudyError: there is no such weight.
        """
        total, deltas = self.total(weight), self.deltas[weight]
        turned = self.heard[weight] @ total.T if weight in self.heard else np.broadcast_to(total, deltas.shape)
        size = float((total * total).sum())
        return (deltas * turned).sum(1) / size if size else np.full(len(deltas), np.nan)

    def table(self, weights: Sequence[str] | None = None) -> Table:
        """A row for every weight and step, with norm and share.

        Raises:
            StudyError: there is no such weight.
        """
        titles = {
            "weight": "weight",
            "step": "step",
            "norm": "norm of the step's contribution to the gradient",
            "share": "share of the gradient",
        }
        names = list(self.deltas) if weights is None else [self._known(name) for name in weights]
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
    """How much what was read, and the states, matter for a prediction some steps later.

    Entry [k, j] is about the loss at step places[k] and what happened distances[j] steps before; NaN where there is no
    such step. Of a network that reads from the end too, negative distances are of what stands behind the place. A
    derivative by a state is by the value that a signal has at that step: everything that uses it
    follows, as it does after an intervention (`nudge`).

    Attributes:
        places: the steps at which the loss was taken, (P,).
        losses: there, (P,).
        inputs: the norm of the derivative by the vector that the network read (one-hot, embedded or numbers), (P, D).
        states: (layer, state) -> the norm of the derivative by all neurons, (P, D).
        neurons: (layer, state) -> the absolute derivative by each neuron, (P, D, N) in float32; empty where it was not
            asked for.
        distances: (D,), rising: 0, 1, 2, ...; or from a negative one on.
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
    """The gradient of the summed loss of some places of a sequence, by step.

    Args:
        network: any. It is copied in float64, without dropout.
        ids: one sequence, of ids or of vectors of numbers, from the initial state.
        places: the steps whose losses count; all that have a target when not given (of a network that predicts once,
            the last one).
        targets: what should be said after each step; when not given the next symbol, or the class that the network
            itself holds most probable.

    Raises:
        StudyError: a place has no target.
        RecordingError: there is nothing to record.
    """
    passed = _Pass(network, ids, places, targets)
    where, count = passed.places, len(passed.ids)
    deltas = {
        name: torch.zeros(count, size, dtype=torch.float64)
        for layer in passed.layers
        for name, size in layer.names().items()
    }
    embedded = torch.zeros(count, passed.inputs.shape[1], dtype=torch.float64)
    for found in passed.all_back(together=True):
        for layer, arrived in zip(passed.layers, found.arrived, strict=True):
            for name, delta in layer.deltas(found.step, arrived).items():
                deltas[name][found.step] = delta[0]
        embedded[found.step] = found.inputs[0]
    heard = {}
    for layer in passed.layers:
        heard |= layer.heard()
    values = {name: delta.numpy() for name, delta in deltas.items()}
    if passed.network.embedding is not None:  # a table: the step adds to the row of its symbol
        values["embedding"] = passed.one_hot().numpy()
        heard["embedding"] = embedded.numpy()
    for (weights, biases), error, read in zip(passed.head.names, passed.errors, passed.head.inputs, strict=True):
        errors = np.zeros((count, error.shape[1]))
        errors[where] = error.numpy()
        values |= {weights: errors, biases: errors}
        heard[weights] = read.numpy()
    return Contributions(where, passed.losses.numpy(), values, {k: np.asarray(v) for k, v in heard.items()})


def saliency(
    network: Network,
    ids: Reading,
    places: Sequence[int] | None = None,
    *,
    targets: Reading | None = None,
    furthest: int | None = None,
    neurons: bool = False,
) -> Saliency:
    """The derivative of the loss at each place by what was read, and by the states, at that step and before.

    Of a network that reads from the end too, it is by what stands behind the place as well.

    Args:
        network: any. It is copied in float64, without dropout.
        ids: one sequence, of ids or of vectors of numbers, from the initial state.
        places: the steps at which the loss is taken, each for itself; all that have a target when not given (of a
            network that predicts once, the last one).
        targets: what should be said after each step; when not given the next symbol, or the class that the network
            itself holds most probable: what does that rest on?
        furthest: the largest distance; all when not given.
        neurons: whether to keep the derivatives by single neurons: P · D · N numbers.

    Raises:
        StudyError: a place has no target.
        RecordingError: there is nothing to record.
    """
    passed = _Pass(network, ids, places, targets)
    where, last = passed.places, len(passed.ids) - 1
    most = last if furthest is None else furthest
    far = min(last, most, int(where.max(initial=0)))
    behind = min(most, last - int(where.min(initial=last))) if passed.both_ways else 0
    distances = np.arange(-behind, far + 1)
    shape = (len(where), len(distances))
    inputs = np.full(shape, np.nan)
    keys = [(layer.name, state) for layer in passed.layers for state in layer.states]
    states = {key: np.full(shape, np.nan) for key in keys}
    sizes = {layer.name: layer.arrays["h"].shape[1] for layer in passed.layers}
    each = {key: np.full((*shape, sizes[key[0]]), np.nan, np.float32) for key in keys} if neurons else {}
    for found in passed.all_back(together=False, furthest=far):
        column = where[found.rows] - found.step + behind
        near = (column >= 0) & (column < len(distances))
        rows, column, some = found.rows[near], column[near], torch.from_numpy(near)
        inputs[rows, column] = found.inputs[some].norm(dim=1).numpy()
        for layer, arrived in zip(passed.layers, found.arrived, strict=True):
            for state, gradient in layer.signal_gradients(found.step, arrived).items():
                states[layer.name, state][rows, column] = gradient[some].norm(dim=1).numpy()
                if neurons:
                    each[layer.name, state][rows, column] = gradient[some].abs().float().numpy()
    return Saliency(where, passed.losses.numpy(), inputs, states, each, distances)


@dataclass(frozen=True)
class _Found:
    """What arrives at one step, of R losses: layer -> state -> (R, N), and at the inputs (R, I)."""

    step: int
    rows: NDArray[np.int64]
    arrived: list[dict[str, Tensor]]
    inputs: Tensor


class _Layer:
    """One layer's derivatives and weights."""

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
        self.heard_drives = {k: Place("drive", f"x.{k}", f"x.{k}") for k in tape.input_drives}
        self.recurrent_drives = {k: Place("drive", f"u.{k}", f"u.{k}") for k in tape.recurrent_drives}
        self.parameters = {k: Place("parameter", k, f"p.{k}") for k in tape.parameters}
        self.uses = list(dict.fromkeys(place for row in slopes.values() for place in row if place.kind == "state"))

    def delta(self, place: Place, step: int, arrived: Mapping[str, Tensor]) -> Tensor:
        """The derivative by what enters at a place, (R, N)."""
        total = torch.zeros_like(next(iter(arrived.values())))
        for state, gradient in arrived.items():
            if place in self.slopes[state]:
                total = total + self.slopes[state][place][step] * gradient
        return total

    def names(self) -> dict[str, int]:
        """Every weight of the layer, and its number of rows."""
        neurons: int = self.arrays["h"].shape[1]
        named = [f"{self.prefix}.input_weights.{k}" for k in self.heard_drives]
        named += [f"{self.prefix}.biases.{k}" for k in self.heard_drives]
        named += [f"{self.prefix}.recurrent_weights.{k}" for k in self.recurrent_drives]
        named += [f"{self.prefix}.neuron_weights.{k}" for k in self.parameters]
        return dict(zip(named, [neurons] * len(named), strict=True))

    def deltas(self, step: int, arrived: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The derivative by what each weight is added to."""
        found = {}
        for k, place in self.heard_drives.items():
            found[f"{self.prefix}.input_weights.{k}"] = found[f"{self.prefix}.biases.{k}"] = self.delta(
                place, step, arrived
            )
        for k, place in self.recurrent_drives.items():
            found[f"{self.prefix}.recurrent_weights.{k}"] = self.delta(place, step, arrived)
        for k, place in self.parameters.items():
            found[f"{self.prefix}.neuron_weights.{k}"] = self.delta(place, step, arrived)
        return found

    def heard(self) -> dict[str, NDArray[np.float64]]:
        """What each matrix is multiplied with at every step."""
        found = {f"{self.prefix}.input_weights.{k}": self.inputs.numpy() for k in self.heard_drives}
        return found | {f"{self.prefix}.recurrent_weights.{k}": self.before.numpy() for k in self.recurrent_drives}

    def back(self, step: int, arrived: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """From what arrives at the states of a step to the layer's inputs, and to the states one step earlier."""
        below = arrived["h"].new_zeros(len(arrived["h"]), self.inputs.shape[1])
        for k, place in enumerate(self.heard_drives.values()):
            below += self.delta(place, step, arrived) @ self.weights["input_weights"][k]
        earlier = {state: torch.zeros_like(value) for state, value in arrived.items()}
        for place in self.uses:
            earlier[place.label] += self.delta(place, step, arrived)
        for k, place in enumerate(self.recurrent_drives.values()):
            earlier["h"] += self.delta(place, step, arrived) @ self.weights["recurrent_weights"][k]
        return below, earlier

    def signal_gradients(self, step: int, arrived: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The derivative by each state's value at this step, through everything at this step that uses it as well."""
        return {
            state: self.delta(Place("signal", state, state), step, arrived) if state in self.cell.states else value
            for state, value in arrived.items()
        }


class _Head:
    """The readout and its hidden layers, from the highest recurrent layer upwards.

    Attributes:
        names: the names of the weights and of the biases of each.
        inputs: what each reads at every step, (T, I).
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
        """Return what each computes before its activation; the last are the logits."""
        found: list[Tensor] = []
        for k, (weights, biases) in enumerate(self.weights):
            found.append(values @ weights.t() + biases)
            values = ACTIVATIONS[self.layers[k].activation](found[-1]) if k < len(self.layers) else values
        return found


class _Pass:
    """One pass forward, and as many back as there are losses."""

    def __init__(
        self, network: Network, ids: Reading, places: Sequence[int] | None, targets: Reading | None = None
    ) -> None:
        self.network = copy = exact(network)
        configuration = copy.configuration
        self.both_ways = configuration.both_ways
        (self.ids,) = sequences_of(copy, [ids])
        trace = record(copy, [self.ids])
        wanted = targets_for(copy, self.ids, targets)
        self.places = _places(copy, wanted, places)
        self.inputs = below = self._read()
        self.layers: list[_Layer] = []
        for level in configuration.levels:
            hidden = []
            for k in level:
                name = configuration.names[k]
                slopes, _, cell = slopes_of(trace, name, 0)
                slopes = {to: {place: _as_read(name, v) for place, v in row.items()} for to, row in slopes.items()}
                h = torch.from_numpy(np.asarray(trace[name]["h"][0]))
                start = trace.initial[name].get("h")  # a feedforward layer carries no state
                before = torch.zeros_like(h[0]) if start is None else torch.from_numpy(start[0]).to(h)
                arrays = {"h": h, "initial h": before, "cell": cell}
                weights = {key: value.detach() for key, value in copy.parameters_of(k).by_name().items()}
                self.layers.append(_Layer(name, k, slopes, weights, below, arrays))
                hidden.append(h)
            below = torch.cat(hidden, 1)
        self.once = configuration.readout.reads == "last step" and self.layers[-1].reverse
        if self.once:  # the readout hears each direction where it has read everything
            size = self.layers[-1].arrays["h"].shape[1]
            below = torch.cat([below[:, :-size], below[:1, -size:].expand(len(below), -1)], 1)
        self.hidden = below
        self.head = _Head(copy, below)
        heard = below[self.places].requires_grad_()
        drives = self.head.drives(heard)
        losses = loss_of(configuration.readout, drives[-1], torch.from_numpy(wanted[self.places]))
        self.arriving, *self.errors = torch.autograd.grad(losses.sum(), [heard, *drives])
        self.losses = losses.detach()

    def one_hot(self) -> Float[Tensor, "T V"]:
        """The symbols that were read; an unknown one is 0."""
        count = self.network.configuration.vocabulary.size
        found = torch.zeros(len(self.ids), count, dtype=torch.float64)
        known = np.flatnonzero((self.ids >= 0) & (self.ids < count))
        found[known, self.ids[known].astype(np.int64)] = 1.0
        return found

    def _read(self) -> Float[Tensor, "T I"]:
        if self.ids.ndim == 2:
            return torch.from_numpy(self.ids).double()
        table = self.network.embedding
        return self.one_hot() if table is None else self.one_hot() @ table.detach()

    def all_back(self, together: bool, furthest: int | None = None) -> Iterator[_Found]:
        """What arrives at every step that any loss depends on, as far as that was asked for or further.

        Args: as of `back`.
        """
        if not self.both_ways:
            yield from self.back(together, furthest)
            return
        widest = max(self.inputs.shape[1], *(layer.arrays["h"].shape[1] for layer in self.layers))
        size = max(1, AT_ONCE // (len(self.ids) * widest))
        count = 1 if together else len(self.places)
        for start in range(0, count, size):
            yield from self._level_by_level(np.arange(start, min(start + size, count)), together)

    def _level_by_level(self, rows: NDArray[np.int64], together: bool) -> Iterator[_Found]:
        """From the highest layers down, each through all steps against the order in which it reads."""
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
            yield _Found(step, rows, [found[step] for found in arrived], above[step])

    @staticmethod
    def _through(layer: _Layer, above: Tensor, below: Tensor) -> list[dict[str, Tensor]]:
        """What arrives at a layer's states at every step, from above (T, R, N); what goes on below is added to it."""
        found: list[dict[str, Tensor]] = [{} for _ in above]
        carried = {state: torch.zeros_like(above[0]) for state in layer.states}
        for step in range(len(above)) if layer.reverse else reversed(range(len(above))):
            arrived = {**carried, "h": carried["h"] + above[step]}
            found[step] = arrived
            further, carried = layer.back(step, arrived)
            below[step] += further
        return found

    def back(self, together: bool, furthest: int | None = None) -> Iterator[_Found]:
        """Every step from the last to the first, of a network that reads in one direction.

        Args:
            together: whether the losses are summed and go back as one row; otherwise each has a row of its own.
            furthest: how many steps back each row goes; all when not given, or when they go together.
        """
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
            yield _Found(step, rows, arrived, below)


def _as_read(name: str, values: Tensor) -> Tensor:
    """Derivatives in the order in which a layer reads, in that of the text; and back."""
    return torch.from_numpy(np.ascontiguousarray(in_order(name, values.numpy())))


def _places(network: Network, wanted: Reading, places: Sequence[int] | None) -> NDArray[np.int64]:
    """The steps at which a loss is taken.

    Raises:
        StudyError: one has no target, or nothing is predicted there.
    """
    configuration = network.configuration
    told = asked(configuration, wanted)
    found = np.flatnonzero(told) if places is None else np.asarray(places, dtype=np.int64)
    if not configuration.both_ways and configuration.readout.reads == "last step":
        # What it would say if the sequence ended there can be asked of any step.
        told = asked(replace(configuration, readout=replace(configuration.readout, reads="every step")), wanted)
    if not all(0 <= place < len(told) and told[place] for place in found):
        known = np.flatnonzero(told)
        if not len(known):
            raise StudyError("BACKPROPAGATION_NO_TARGETS")
        raise StudyError("BACKPROPAGATION_STEP_WITHOUT_TARGET", first=known[0], last=known[-1])
    return np.unique(found)
