"""How far back does a network remember?

A recurrent network has no window: in principle everything that it ever read may matter. In practice influence fades,
and the distance at which it has faded decides which dependencies a network can use, whether a longer training sequence
would help, and how two cells differ. The memory horizon puts one number on it, from gradients and from interventions.

Influence is measured at all distances from 0 on. Its median over many places is a curve, and the *memory horizon* is
the distance at which the curve has first fallen to a share (1/e, 1 %) of its value at distance 0. Between two distances
the curve is assumed to be exponential. The measures:

- gradient: the norm of d loss_t / d input_{t-d}, or by a state of a layer, or by one neuron of it (absolute value);
- change: the symbol d steps back is replaced by another one, and the prediction changes by this many nats
  (Kullback-Leibler divergence from the original prediction). For small changes the divergence is the square of a
  distance, so its square root falls as gradients do: compare the horizons of these two. For predicted numbers the
  change is the squared difference.

Many-to-one networks are evaluated at the last step of each sequence. Networks that read in both directions have a
horizon on either side of the place; if they predict once, the two are counted from the ends of the two directions.

`P` place, `D` distance, `T` step, `N` neuron, `V` symbol.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.configuration import Configuration
from gatescope.network import Network
from gatescope.sources import Answers, Recordable
from gatescope.studies.common.losses import read_with_targets, target_mask
from gatescope.studies.common.table import StudyError, Table
from gatescope.studies.gradients.backpropagation import Saliency, saliency
from gatescope.studies.gradients.influence import Influence, influence
from gatescope.vocabulary import Reading

SHARES = {"1/e": 1 / math.e, "1 %": 0.01}
MAX_STEPS = 5000  # steps of a sequence that are used
MAX_WHOLE_STEPS = 1000  # the same for a network that has to read a sequence again as a whole
MAX_STEPS_AGAIN = 3_000_000  # steps that a many-to-one network reads again with replaced symbols


@dataclass(frozen=True)
class Horizon:
    """The influence of inputs and states by distance.

    Attributes:
        gradient: the median norm of the gradient by the input, (D,).
        change: the median change of the prediction when the symbol at one step is replaced, (D,).
        states: (layer, state) -> the median norm of the gradient by the state, (D,).
        neurons: (layer, state) -> the median absolute gradient by each neuron, (D, N).
        places: the number of steps at which the loss was taken.
        changed: the number of steps whose symbol was replaced, one at a time.
        after: for networks that read in both directions, the influence of later steps (counted from the beginning if
            the network predicts once), and of the layers that read from the end.
    """

    gradient: NDArray[np.float64]
    change: NDArray[np.float64]
    states: Mapping[tuple[str, str], NDArray[np.float64]]
    neurons: Mapping[tuple[str, str], NDArray[np.float64]]
    places: int
    changed: int
    after: Horizon | None = None

    def table(self) -> Table:
        """Return the horizons of the network and of the states of every layer, in steps; infinite if not reached."""
        rows = self._rows("before") + ([] if self.after is None else self.after._rows("after"))
        titles = {"of": "input or layer", "side": "steps before or after the place", "layer": "layer", "state": "state"}
        titles |= {"measure": "measure", **{name: f"steps until {name} is left" for name in SHARES}}
        return Table.of(rows, titles, places=self.places, changed=self.changed, furthest=len(self.gradient) - 1)

    def _rows(self, side: str) -> list[dict[str, Any]]:
        of = {"of": "input", "side": side, "layer": "", "state": ""}
        rows = [
            {**of, "measure": "gradient", **_horizons(self.gradient)},
            {**of, "measure": "change", **_horizons(self.change)},
            {**of, "measure": "root of change", **_horizons(np.sqrt(self.change))},
        ]
        for (layer, state), curve in self.states.items():
            about = {"of": "layer", "side": side, "layer": layer, "state": state}
            rows.append({**about, "measure": "gradient", **_horizons(curve)})
            horizons = {name: crossing(self.neurons[layer, state], share) for name, share in SHARES.items()}
            medians = {name: _middle(values) for name, values in horizons.items()}
            rows.append({**about, "measure": "median neuron", **medians})
        return rows

    def by_neuron(self) -> Table:
        """Return the horizon of every neuron and state, in steps; NaN if the loss does not depend on the neuron."""
        columns: dict[str, list[NDArray[Any]]] = {name: [] for name in ("layer", "state", "neuron", *SHARES)}
        for (layer, state), curves in {**self.neurons, **(self.after.neurons if self.after else {})}.items():
            count = curves.shape[1]
            columns["layer"].append(np.full(count, layer, dtype=object))
            columns["state"].append(np.full(count, state, dtype=object))
            columns["neuron"].append(np.arange(count))
            for name, share in SHARES.items():
                columns[name].append(crossing(curves, share))
        titles = {"layer": "layer", "state": "state", "neuron": "neuron"}
        titles |= {name: f"steps until {name} is left" for name in SHARES}
        joined = {name: np.concatenate(parts) for name, parts in columns.items()}
        return Table(joined, titles, {"places": self.places, "furthest": len(self.gradient) - 1})

    def curves(self) -> Table:
        """Return all curves by distance, except those of single neurons."""
        columns = {"gradient": self.gradient, "change": self.change}
        titles = {
            "distance": "steps back",
            "gradient": "norm of the gradient by the input, median",
            "change": "change of the prediction, median",
        }
        states = dict(self.states)
        if self.after is not None:
            columns |= {"gradient after": self.after.gradient, "change after": self.after.change}
            titles |= {name: f"{titles[name.split()[0]]}, of later steps" for name in list(columns)[2:]}
            titles["distance"] = "steps away"
            states |= self.after.states
        for (layer, state), curve in states.items():
            columns[f"{layer} {state}"] = curve
            titles[f"{layer} {state}"] = f"norm of the gradient by {state} of {layer}, median"
        width = max(map(len, columns.values()))
        columns = {name: _wide(curve[None], width)[0] for name, curve in columns.items()}
        return Table(
            {"distance": np.arange(width), **columns}, titles, {"places": self.places, "changed": self.changed}
        )


def horizon(
    network: Network,
    source: Recordable,
    *,
    answers: Answers | None = None,
    furthest: int = 100,
    samples: int = 200,
    longest: int | None = None,
    seed: int = 0,
) -> Horizon:
    """Measure the memory horizon of a network on a text.

    Places are drawn at random among those with at least `furthest` steps before them (after them, for replaced
    symbols), so that all distances are about the same places. If there are fewer such places than `samples`, they are
    drawn among all places, and each distance is about the places that reach that far.

    Args:
        network: any network. It runs in float64.
        source: a text, which is cut into its sequences, or sequences.
        answers: a function from the text of a sequence to the targets of its steps; None: the next symbol, or the most
            probable class of the network itself.
        furthest: the largest distance in steps.
        samples: the number of places of the loss, and the number of replaced symbols (more for many-to-one networks).
        longest: the number of steps of each sequence that are used (the last ones for many-to-one networks); None:
            5,000, or 1,000 for networks that have to read a sequence as a whole.
        seed: the seed of the drawn places and replacements.

    Raises:
        StudyError: no sequence has a target, or no other symbol can replace the one that is read.
        RecordingError: the text is empty.
    """
    if furthest < 1 or samples < 1:
        things, number = ("steps of the largest distance", furthest) if furthest < 1 else ("samples", samples)
        raise StudyError("STUDY_NUMBER_TOO_SMALL", things=things, least=1, number=number)
    configuration, random = network.configuration, np.random.default_rng(seed)
    once = configuration.readout.reads == "last step"
    if longest is None:
        longest = MAX_WHOLE_STEPS if once or configuration.both_ways else MAX_STEPS
    sequences, targets = read_with_targets(network, source, answers)
    used = slice(-longest, None) if once else slice(longest)
    sequences, targets = ([part[used] for part in parts if len(part) > 1] for parts in (sequences, targets))
    if not sequences:
        raise StudyError("HORIZON_SEQUENCES_TOO_SHORT")
    own = configuration.readout.kind == "classes" and not any(target_mask(configuration, row).any() for row in targets)
    if own:  # the predictions of the network itself stand in for the answers
        targets = [np.zeros_like(row) for row in targets]
    width = min(furthest, max(map(len, sequences)) - (1 if once else 2)) + 1
    sides = ("before", "after") if configuration.both_ways else ("before",)
    measured = {side: _Side() for side in sides}
    with_target = [np.flatnonzero(target_mask(configuration, row)) for row in targets]
    if not any(map(len, with_target)):
        raise StudyError("HORIZON_NO_TARGETS")
    chosen = _draw_places(with_target, width - 1, samples, random, ("before",) if once else sides)
    for ids, row, places in zip(sequences, targets, chosen, strict=True):
        if len(places):
            far = None if once and configuration.both_ways else width - 1
            gradients = saliency(
                network, ids, places.tolist(), targets=None if own else row, furthest=far, neurons=True
            )
            for side, part in measured.items():
                part.add_gradients(gradients, side, width, once=once)
    chosen = _to_replace(sequences, width, samples, random, configuration)
    for ids, places in zip(sequences, chosen, strict=True):
        if len(places):
            number = int(random.integers(1 << 31))
            far = len(ids) - 1 if once else width - 1
            changed = influence(network, ids, places.tolist(), furthest=far, seed=number)
            for side, part in measured.items():
                part.add_changes(changed, side, width, once=once)
    first, *others = (part.horizon(side) for side, part in measured.items())
    return replace(first, after=others[0]) if others else first


class _Side:
    """The measurements on one side of the places.

    Attributes:
        gradients: input, (layer, state) or (layer, state, "each") -> the gradients of each sequence by distance.
        changes: the changes of the predictions of each sequence by distance.
        places: the number of losses.
        changed: the number of replaced symbols.
    """

    def __init__(self) -> None:
        self.gradients: dict[Any, list[NDArray[Any]]] = {}
        self.changes: list[NDArray[np.float64]] = []
        self.places, self.changed = 0, 0

    def add_gradients(self, gradients: Saliency, side: str, width: int, *, once: bool) -> None:
        """Add the gradients of the losses of one sequence."""
        self.places += len(gradients.places)
        # Each layer carries its state in one direction only.
        layers = [key for key in gradients.states if key[0].endswith("_reverse") == (side == "after")]
        parts: dict[Any, NDArray[Any]] = {"input": gradients.inputs, **{key: gradients.states[key] for key in layers}}
        parts |= {(*key, "each"): gradients.neurons[key] for key in layers}
        for key, values in parts.items():
            by_distance = _side(values, gradients.distances, side, width, once=once)
            self.gradients.setdefault(key, []).append(by_distance)

    def add_changes(self, changes: Influence, side: str, width: int, *, once: bool) -> None:
        """Add the changes of the predictions of one sequence."""
        self.changed += len(changes.places)
        self.changes.append(_side(changes.divergence, changes.distances, side, width, once=once))

    def horizon(self, side: str) -> Horizon:
        """Return the medians over all places.

        Raises:
            StudyError: no place has a step on this side.
        """
        medians = {key: _median(np.concatenate(parts)) for key, parts in self.gradients.items()}
        change = _median(np.concatenate(self.changes))
        width = min(len(medians["input"]), len(change))
        if not width:
            raise StudyError("HORIZON_NO_STEPS_BEFORE" if side == "before" else "HORIZON_NO_STEPS_AFTER")
        medians = {key: values[:width] for key, values in medians.items()}
        states = [key for key in medians if len(key) == 2]
        return Horizon(
            gradient=medians["input"],
            change=change[:width],
            states={key: medians[key] for key in states},
            neurons={key: medians[(*key, "each")] for key in states},
            places=self.places,
            changed=self.changed,
        )


def _side(values: NDArray[Any], distances: NDArray[np.int64], side: str, width: int, *, once: bool) -> NDArray[Any]:
    """Return the values (P, D, ...) on one side of the places, by distance, (P, width, ...).

    If a network predicts once, "after" is counted from the beginning of the sequence.
    """
    if side == "before":
        columns = np.flatnonzero(distances >= 0)
    elif once:
        columns = np.flatnonzero(distances >= 0)[::-1]
    else:
        columns = np.flatnonzero(distances <= 0)[::-1]
    return _wide(values[:, columns[:width]], width)


def _to_replace(
    sequences: Sequence[Reading], width: int, samples: int, random: np.random.Generator, configuration: Configuration
) -> list[NDArray[np.int64]]:
    """Return the steps of each sequence whose symbol is replaced: with predictions after them, and before them."""
    if configuration.readout.reads == "last step":
        return _all_near(sequences, width, random, configuration)
    every_step = [np.arange(len(ids)) for ids in sequences]
    sides = ("before", "after") if configuration.both_ways else ("after",)
    return _draw_places(every_step, width - 1, samples, random, sides)


def _all_near(
    sequences: Sequence[Reading], width: int, random: np.random.Generator, configuration: Configuration
) -> list[NDArray[np.int64]]:
    """Return all steps near the end of some sequences, and near the beginning if the network reads towards it."""
    longest = max(map(len, sequences))
    count = max(1, min(20, MAX_STEPS_AGAIN // (width * longest)))
    picked = random.choice(len(sequences), size=min(count, len(sequences)), replace=False)
    chosen = [np.empty(0, np.int64) for _ in sequences]
    for k in picked:
        steps = np.arange(len(sequences[k]))
        near = steps >= len(steps) - width
        chosen[k] = steps[near | (steps < width)] if configuration.both_ways else steps[near]
    return chosen


def crossing(curve: NDArray[np.floating[Any]], share: float) -> Any:
    """Return the distance at which curves have first fallen to a share of their first value, with a fraction.

    Args:
        curve: (D,), or (D, N) for N curves; not negative.
        share: above 0 and below 1.

    Returns:
        A number, or (N,). Infinite if the curve never falls that far, NaN if its first value is 0 or NaN. Between two
        distances the curve is assumed to be exponential; a curve that falls to 0 reaches it at the second distance.
    """
    values = np.asarray(curve, dtype=np.float64)
    single, values = values.ndim == 1, values.reshape(len(values), -1)
    start = values[0]
    level = share * start
    below = values <= level
    first = below.argmax(0)
    columns = np.arange(values.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        left, right = np.log(values[first - 1, columns]), np.log(values[first, columns])
        part = (left - np.log(level)) / (left - right)
    part = np.where(values[first, columns] == 0.0, 1.0, part)
    distances = np.where(below.any(0), first - 1 + part, np.inf)
    distances = np.where(start > 0, distances, np.nan)
    return float(distances[0]) if single else distances


def _horizons(curve: NDArray[np.float64]) -> dict[str, float]:
    return {name: crossing(curve, share) for name, share in SHARES.items()}


def _middle(values: NDArray[np.float64]) -> float:
    """Return the median without NaN, the upper one of two in the middle; some values may be infinite."""
    known = np.sort(values[~np.isnan(values)])
    return float(known[len(known) // 2]) if len(known) else math.nan


def _draw_places(
    places: Sequence[NDArray[np.int64]], furthest: int, samples: int, random: np.random.Generator, sides: Sequence[str]
) -> list[NDArray[np.int64]]:
    """Draw some places of each sequence, among those with `furthest` steps on these sides if there are enough."""
    ends = [int(steps[-1]) if len(steps) else 0 for steps in places]
    far = [
        steps[(steps <= (end - furthest if "after" in sides else end)) & (steps >= furthest * ("before" in sides))]
        for steps, end in zip(places, ends, strict=True)
    ]
    chosen = far if sum(map(len, far)) >= samples else list(places)
    owners = np.repeat(np.arange(len(chosen)), [len(steps) for steps in chosen])
    flat = np.concatenate([np.empty(0, np.int64), *chosen])
    picked = np.sort(random.choice(len(flat), size=min(samples, len(flat)), replace=False))
    return [flat[picked[owners[picked] == k]] for k in range(len(chosen))]


def _wide(values: NDArray[Any], width: int) -> NDArray[Any]:
    """Extend (P, d, ...) with NaN to `width` distances."""
    missing = np.full((len(values), width - values.shape[1], *values.shape[2:]), np.nan, values.dtype)
    return np.concatenate([values, missing], axis=1)


def _median(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the median over the places that reach each distance, (D, ...), up to the first that none reaches."""
    flat = values.reshape(*values.shape[:2], -1)
    known: NDArray[np.bool_] = np.logical_not(np.isnan(flat).any(axis=2))
    reached = np.flatnonzero(~known.any(axis=0))
    width = int(reached[0]) if len(reached) else values.shape[1]
    rows = [np.median(values[known[:, d], d], axis=0) for d in range(width)]
    return np.array(rows, dtype=np.float64)
