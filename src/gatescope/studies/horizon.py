"""How far back does a network remember? One number for it, with a definition, from gradients and from interventions.

A measure of influence is taken over all distances from 0 on, its median over many places is a curve, and the *memory
horizon* is the distance at which the curve has first fallen to a share (1/e, 1 %) of what it is at distance 0. Between
two distances the curve is taken to fall exponentially. The measures:

- gradient: the norm of d loss_t / d input_{t-d}, or by a state of a layer, or by one neuron of it (absolute value);
- change: the character d steps back is replaced by another one, and the prediction changes by so many nats
  (Kullback-Leibler divergence from what was predicted). For small changes the divergence is the square of a distance,
  so its root falls as gradients do: compare the horizons of these two. Of numbers that are estimated it is the squared
  difference.

A network that predicts once is asked at the last step of each sequence. One that reads in both directions has a horizon
on either side of the place; where it predicts once, the two are counted from where each direction ends.

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
from gatescope.studies.common.losses import asked, read_with_targets
from gatescope.studies.common.table import StudyError, Table
from gatescope.studies.gradients.backpropagation import Saliency, saliency
from gatescope.studies.gradients.influence import Influence, influence
from gatescope.vocabulary import Reading

SHARES = {"1/e": 1 / math.e, "1 %": 0.01}
LONGEST, WHOLE = 5000, 1000  # steps of a sequence that are used; of a network that has to read it again as a whole
AGAIN = 3_000_000  # steps that a network that predicts once reads again at most, with something replaced


@dataclass(frozen=True)
class Horizon:
    """How influence falls with distance.

    Attributes:
        gradient: the median norm of the gradient by the input, (D,).
        change: the median change of the prediction when what was read at one step is replaced, (D,).
        states: (layer, state) -> the median norm of the gradient by it, (D,).
        neurons: (layer, state) -> the median absolute gradient by each neuron, (D, N).
        places: at how many steps the loss was taken.
        changed: at how many steps something else was read, one at a time.
        behind: of a network that reads in both directions, the same of what stands behind the place (or, where it
            predicts once, counted from the beginning), and of the layers that read from the end.
    """

    gradient: NDArray[np.float64]
    change: NDArray[np.float64]
    states: Mapping[tuple[str, str], NDArray[np.float64]]
    neurons: Mapping[tuple[str, str], NDArray[np.float64]]
    places: int
    changed: int
    behind: Horizon | None = None

    def table(self) -> Table:
        """The horizons of the network and of every layer's states, in steps; infinite where it was not reached."""
        rows = self._rows("before") + ([] if self.behind is None else self.behind._rows("behind"))
        titles = {"of": "of what", "side": "on which side of the place", "layer": "layer", "state": "state"}
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
            each = {name: crossing(self.neurons[layer, state], share) for name, share in SHARES.items()}
            rows.append({**about, "measure": "median neuron", **{name: _middle(found) for name, found in each.items()}})
        return rows

    def by_neuron(self) -> Table:
        """The horizon of every neuron and state, in steps; NaN where the loss never depends on it."""
        columns: dict[str, list[NDArray[Any]]] = {name: [] for name in ("layer", "state", "neuron", *SHARES)}
        for (layer, state), curves in {**self.neurons, **(self.behind.neurons if self.behind else {})}.items():
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
        """All curves by distance, but for those of single neurons."""
        columns = {"gradient": self.gradient, "change": self.change}
        titles = {
            "distance": "steps back",
            "gradient": "norm of the gradient by the input, median",
            "change": "change of the prediction, median",
        }
        states = dict(self.states)
        if self.behind is not None:
            columns |= {"gradient behind": self.behind.gradient, "change behind": self.behind.change}
            titles |= {name: f"{titles[name.split()[0]]}, of what stands behind" for name in list(columns)[2:]}
            titles["distance"] = "steps away"
            states |= self.behind.states
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
    """The memory horizon of a network on a text.

    Places are drawn at random among those that have at least `furthest` steps before them (behind them, for what is
    replaced), so that all distances are about the same places; where a text has fewer of these than `samples`, among
    all places, and a distance is about those that reach so far.

    Args:
        network: any. It runs in float64.
        source: a text, which is cut into its sequences, or sequences.
        answers: of the text of each sequence what should be said after each step; when not given the next symbol, or
            the class that the network itself holds most probable.
        furthest: the largest distance.
        samples: at how many places the loss is taken, and how often something is replaced (more often in a network
            that predicts once).
        longest: the steps of each sequence that are used, its last ones where the network predicts once; 5,000 when not
            given, and 1,000 of a network that has to read a sequence as a whole.
        seed: of what is drawn.

    Raises:
        StudyError: no sequence has a target, or there is nothing else to put in place of what is read.
        RecordingError: the text is empty.
    """
    if furthest < 1 or samples < 1:
        things, number = ("steps of the largest distance", furthest) if furthest < 1 else ("samples", samples)
        raise StudyError("STUDY_NUMBER_TOO_SMALL", things=things, least=1, number=number)
    configuration, random = network.configuration, np.random.default_rng(seed)
    once = configuration.readout.reads == "last step"
    if longest is None:
        longest = WHOLE if once or configuration.both_ways else LONGEST
    sequences, wanted = read_with_targets(network, source, answers)
    used = slice(-longest, None) if once else slice(longest)
    sequences, wanted = ([part[used] for part in parts if len(part) > 1] for parts in (sequences, wanted))
    if not sequences:
        raise StudyError("HORIZON_SEQUENCES_TOO_SHORT")
    own = configuration.readout.kind == "classes" and not any(asked(configuration, told).any() for told in wanted)
    if own:  # what the network itself says stands in for the answers
        wanted = [np.zeros_like(told) for told in wanted]
    width = min(furthest, max(map(len, sequences)) - (1 if once else 2)) + 1
    sides = ("before", "behind") if configuration.both_ways else ("before",)
    found = {side: _Side() for side in sides}
    there = [np.flatnonzero(asked(configuration, told)) for told in wanted]
    if not any(map(len, there)):
        raise StudyError("HORIZON_NO_TARGETS")
    chosen = _drawn(there, width - 1, samples, random, ("before",) if once else sides)
    for ids, told, places in zip(sequences, wanted, chosen, strict=True):
        if len(places):
            targets = None if own else told
            far = None if once and configuration.both_ways else width - 1
            gradients = saliency(network, ids, places.tolist(), targets=targets, furthest=far, neurons=True)
            for side, part in found.items():
                part.take(gradients, side, width, once=once)
    chosen = _to_replace(sequences, width, samples, random, configuration)
    for ids, places in zip(sequences, chosen, strict=True):
        if len(places):
            number = int(random.integers(1 << 31))
            far = len(ids) - 1 if once else width - 1
            changed = influence(network, ids, places.tolist(), furthest=far, seed=number)
            for side, part in found.items():
                part.change(changed, side, width, once=once)
    first, *others = (part.horizon(side) for side, part in found.items())
    return replace(first, behind=others[0]) if others else first


class _Side:
    """What was measured on one side of the places."""

    def __init__(self) -> None:
        self.gradients: dict[Any, list[NDArray[Any]]] = {}
        self.changes: list[NDArray[np.float64]] = []
        self.places, self.changed = 0, 0

    def take(self, found: Saliency, side: str, width: int, *, once: bool) -> None:
        """Gradients of the places of one sequence."""
        self.places += len(found.places)
        # Each layer carries in one direction.
        layers = [key for key in found.states if key[0].endswith("_reverse") == (side == "behind")]
        parts: dict[Any, NDArray[Any]] = {"input": found.inputs, **{key: found.states[key] for key in layers}}
        parts |= {(*key, "each"): found.neurons[key] for key in layers}
        for key, values in parts.items():
            cut = _side(values, found.distances, side, width, once=once)
            self.gradients.setdefault(key, []).append(cut)

    def change(self, found: Influence, side: str, width: int, *, once: bool) -> None:
        """Changes of the predictions of one sequence."""
        self.changed += len(found.places)
        self.changes.append(_side(found.divergence, found.distances, side, width, once=once))

    def horizon(self, side: str) -> Horizon:
        """The medians."""
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

    Where a network predicts once, "behind" is counted from the beginning of the sequence.
    """
    if side == "before":
        kept = np.flatnonzero(distances >= 0)
    elif once:
        kept = np.flatnonzero(distances >= 0)[::-1]
    else:
        kept = np.flatnonzero(distances <= 0)[::-1]
    return _wide(values[:, kept[:width]], width)


def _to_replace(
    sequences: Sequence[Reading], width: int, samples: int, random: np.random.Generator, configuration: Configuration
) -> list[NDArray[np.int64]]:
    """At which steps of each sequence something else is read: with predictions behind it, and before it."""
    if configuration.readout.reads == "last step":
        return _all_near(sequences, width, random, configuration)
    every = [np.arange(len(ids)) for ids in sequences]
    sides = ("before", "behind") if configuration.both_ways else ("behind",)
    return _drawn(every, width - 1, samples, random, sides)


def _all_near(
    sequences: Sequence[Reading], width: int, random: np.random.Generator, configuration: Configuration
) -> list[NDArray[np.int64]]:
    """All steps near the end (and near the beginning, where it is read towards that) of some of the sequences."""
    longest = max(map(len, sequences))
    count = max(1, min(20, AGAIN // (width * longest)))
    picked = random.choice(len(sequences), size=min(count, len(sequences)), replace=False)
    found = [np.empty(0, np.int64) for _ in sequences]
    for k in picked:
        steps = np.arange(len(sequences[k]))
        near = steps >= len(steps) - width
        found[k] = steps[near | (steps < width)] if configuration.both_ways else steps[near]
    return found


def crossing(curve: NDArray[np.floating[Any]], share: float) -> Any:
    """Where curves have first fallen to a share of their first value, as a distance with a fraction.

    Args:
        curve: (D,), or (D, N) for N curves; not negative.
        share: above 0 and below 1.

    Returns:
        A number, or (N,). Infinite where the curve never falls so far, NaN where its first value is 0 or NaN. Between
        two distances the curve is taken to be exponential; one that falls to 0 at once gets there at the second.
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
    found = np.where(below.any(0), first - 1 + part, np.inf)
    found = np.where(start > 0, found, np.nan)
    return float(found[0]) if single else found


def _horizons(curve: NDArray[np.float64]) -> dict[str, float]:
    return {name: crossing(curve, share) for name, share in SHARES.items()}


def _middle(values: NDArray[np.float64]) -> float:
    """The median of numbers of which some may be infinite or NaN: the upper one of two in the middle."""
    known = np.sort(values[~np.isnan(values)])
    return float(known[len(known) // 2]) if len(known) else math.nan


def _drawn(
    places: Sequence[NDArray[np.int64]], furthest: int, samples: int, random: np.random.Generator, sides: Sequence[str]
) -> list[NDArray[np.int64]]:
    """Some of the places of each sequence; of those with `furthest` steps on these sides of them if they are enough."""
    ends = [int(there[-1]) if len(there) else 0 for there in places]
    far = [
        there[(there <= (end - furthest if "behind" in sides else end)) & (there >= furthest * ("before" in sides))]
        for there, end in zip(places, ends, strict=True)
    ]
    chosen = far if sum(map(len, far)) >= samples else list(places)
    owners = np.repeat(np.arange(len(chosen)), [len(there) for there in chosen])
    flat = np.concatenate([np.empty(0, np.int64), *chosen])
    picked = np.sort(random.choice(len(flat), size=min(samples, len(flat)), replace=False))
    return [flat[picked[owners[picked] == k]] for k in range(len(chosen))]


def _wide(values: NDArray[Any], width: int) -> NDArray[Any]:
    """(P, d, ...) with NaN behind, up to `width` distances."""
    missing = np.full((len(values), width - values.shape[1], *values.shape[2:]), np.nan, values.dtype)
    return np.concatenate([values, missing], axis=1)


def _median(values: NDArray[Any]) -> NDArray[np.float64]:
    """Over places, of those that reach so far; (D, ...), cut where none does."""
    flat = values.reshape(*values.shape[:2], -1)
    known: NDArray[np.bool_] = np.logical_not(np.isnan(flat).any(axis=2))
    reached = np.flatnonzero(~known.any(axis=0))
    width = int(reached[0]) if len(reached) else values.shape[1]
    rows = [np.median(values[known[:, d], d], axis=0) for d in range(width)]
    return np.array(rows, dtype=np.float64)
