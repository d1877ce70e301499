"""How far back does a network remember? One number for it, with a definition, from gradients and from interventions.

A measure of influence is taken over all distances from 0 on, its median over many places is a curve, and the *memory
horizon* is the distance at which the curve has first fallen to a share (1/e, 1 %) of what it is at distance 0. Between
two distances the curve is taken to fall exponentially. The measures:

- gradient: the norm of d loss_t / d input_{t-d}, or by a state of a layer, or by one neuron of it (absolute value);
- change: the character d steps back is replaced by another one, and the prediction changes by so many nats
  (Kullback-Leibler divergence from what was predicted). For small changes the divergence is the square of a distance,
  so its root falls as gradients do: compare the horizons of these two.

`P` place, `D` distance, `T` step, `N` neuron, `V` symbol.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatescope.network import Network
from gatescope.recording import Recordable, RecordingError, symbols_of
from gatescope.studies.backpropagation import saliency
from gatescope.studies.jacobians import exact
from gatescope.studies.table import StudyError, Table
from gatescope.text import Ids

SHARES = {"1/e": 1 / math.e, "1 %": 0.01}
PIECE = 1 << 24  # predicted probabilities that are held at a time


@dataclass(frozen=True)
class Horizon:
    """How influence falls with distance.

    Attributes:
        gradient: the median norm of the gradient by the input, (D,).
        change: the median change of the prediction when a character is replaced, in nats, (D,).
        states: (layer, state) -> the median norm of the gradient by it, (D,).
        neurons: (layer, state) -> the median absolute gradient by each neuron, (D, N).
        places: at how many steps the loss was taken.
        changed: how many characters were replaced, one at a time.
    """

    gradient: NDArray[np.float64]
    change: NDArray[np.float64]
    states: Mapping[tuple[str, str], NDArray[np.float64]]
    neurons: Mapping[tuple[str, str], NDArray[np.float64]]
    places: int
    changed: int

    def table(self) -> Table:
        """The horizons of the network and of every layer's states, in steps; infinite where it was not reached."""
        rows = [
            {"of": "input", "layer": "", "state": "", "measure": "gradient", **_horizons(self.gradient)},
            {"of": "input", "layer": "", "state": "", "measure": "change", **_horizons(self.change)},
            {"of": "input", "layer": "", "state": "", "measure": "root of change", **_horizons(np.sqrt(self.change))},
        ]
        for (layer, state), curve in self.states.items():
            about = {"of": "layer", "layer": layer, "state": state}
            rows.append({**about, "measure": "gradient", **_horizons(curve)})
            each = {name: crossing(self.neurons[layer, state], share) for name, share in SHARES.items()}
            rows.append({**about, "measure": "median neuron", **{name: _middle(found) for name, found in each.items()}})
        titles = {"of": "of what", "layer": "layer", "state": "state", "measure": "measure"}
        titles |= {name: f"steps until {name} is left" for name in SHARES}
        return Table.of(rows, titles, places=self.places, changed=self.changed, furthest=len(self.gradient) - 1)

    def by_neuron(self) -> Table:
        """The horizon of every neuron and state, in steps; NaN where the loss never depends on it."""
        columns: dict[str, list[NDArray[Any]]] = {name: [] for name in ("layer", "state", "neuron", *SHARES)}
        for (layer, state), curves in self.neurons.items():
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
        columns = {"distance": np.arange(len(self.gradient)), "gradient": self.gradient, "change": self.change}
        titles = {
            "distance": "steps back",
            "gradient": "norm of the gradient by the input, median",
            "change": "change of the prediction in nats, median",
        }
        for (layer, state), curve in self.states.items():
            columns[f"{layer} {state}"] = curve
            titles[f"{layer} {state}"] = f"norm of the gradient by {state} of {layer}, median"
        return Table(columns, titles, {"places": self.places, "changed": self.changed})


def horizon(
    network: Network, source: Recordable, *, furthest: int = 100, samples: int = 200, longest: int = 5000, seed: int = 0
) -> Horizon:
    """The memory horizon of a network on a text.

    Places are drawn at random among those that have at least `furthest` steps before them (behind them, for
    characters that are replaced), so that all distances are about the same places; where a text has fewer of these than
    `samples`, among all places, and a distance is about those that reach so far.

    Args:
        network: one that reads out at every step. It runs in float64.
        source: a text, which is cut behind each end mark, or sequences of ids.
        furthest: the largest distance.
        samples: at how many places the loss is taken, and how many characters are replaced.
        longest: the steps of each sequence that are used.
        seed: of what is drawn.

    Raises:
        StudyError: no sequence has a target, or there is no other symbol to put in place of one.
        RecordingError: the text is empty, or the network reads out once, after the last step.
    """
    if furthest < 1 or samples < 1:
        raise StudyError(f"a horizon needs a distance and a place at least; {furthest} and {samples} were asked for.")
    random = np.random.default_rng(seed)
    sequences = [ids[:longest] for ids in symbols_of(network, source)]
    sequences = [ids for ids in sequences if len(ids) > 1]
    if not sequences:
        raise StudyError("every sequence of the text has one step only; a horizon needs one that has two.")
    width = min(furthest, max(map(len, sequences)) - 2) + 1
    gradients: dict[Any, list[NDArray[Any]]] = {}
    changes: list[NDArray[np.float64]] = []
    losses = [_asked(network, ids) for ids in sequences]
    counts = [0, 0]
    for ids, places in zip(sequences, _drawn(losses, width - 1, samples, random, behind=False), strict=True):
        if len(places):
            found = saliency(network, ids, places.tolist(), furthest=width - 1, neurons=True)
            counts[0] += len(places)
            parts = {"input": found.inputs, **found.states, **{(*key, "each"): v for key, v in found.neurons.items()}}
            for key, values in parts.items():
                gradients.setdefault(key, []).append(_wide(values, width))
    steps = [np.arange(len(ids)) for ids in sequences]
    for ids, places in zip(sequences, _drawn(steps, width - 1, samples, random, behind=True), strict=True):
        if len(places):
            changed = influence(network, ids, places.tolist(), furthest=width - 1, seed=int(random.integers(1 << 31)))
            counts[1] += len(places)
            changes.append(_wide(changed.divergence, width))
    if not gradients:
        raise StudyError("no step of the text has a symbol of the network behind it, so there is no loss.")
    medians = {key: _median(np.concatenate(parts)) for key, parts in gradients.items()}
    change = _median(np.concatenate(changes))
    width = min(len(medians["input"]), len(change))
    medians = {key: values[:width] for key, values in medians.items()}
    states = [key for key in medians if len(key) == 2]
    return Horizon(
        gradient=medians["input"],
        change=change[:width],
        states={key: medians[key] for key in states},
        neurons={key: medians[(*key, "each")] for key in states},
        places=counts[0],
        changed=counts[1],
    )


@dataclass(frozen=True)
class Influence:
    """What replacing a character does to the predictions after it.

    Attributes:
        places: the steps whose character was replaced, (P,).
        replaced: the id that was read instead, (P,).
        divergence: entry [k, d]: sum of p log(p / q) after step places[k] + d, where p was predicted without and q with
            the change, in nats, (P, D); NaN behind the end of the sequence.
    """

    places: NDArray[np.int64]
    replaced: NDArray[np.int64]
    divergence: NDArray[np.float64]


@torch.inference_mode()
def influence(
    network: Network, ids: Ids, places: Sequence[int] | None = None, *, furthest: int = 100, seed: int = 0
) -> Influence:
    """Replace one character at a time, and see how the predictions after it change.

    Args:
        network: one that reads out at every step. It is copied in float64.
        ids: one sequence, from the initial state.
        places: the steps whose character is replaced; all when not given.
        furthest: D - 1: how many steps after it are looked at.
        seed: of the characters that are put in place, drawn from the other ones of the sequence, the frequent ones more
            often; where all are the same, from the vocabulary.

    Raises:
        StudyError: a step is not there, or there is no other symbol.
        RecordingError: the sequence is empty, or the network reads out once, after the last step.
    """
    (ids,) = symbols_of(network, [ids])
    if network.configuration.readout.reads != "every step":
        raise RecordingError("this network predicts once, after the last step; this needs one that always does.")
    where = np.arange(len(ids)) if places is None else np.asarray(places, dtype=np.int64)
    if len(where) and not 0 <= where.min() <= where.max() < len(ids):
        raise StudyError(f"a character was to be replaced that is not there; the steps are 0 to {len(ids) - 1}.")
    replaced = _others(ids, where, network.configuration.vocabulary.size, np.random.default_rng(seed))
    copy = exact(network)
    tokens = torch.from_numpy(ids.astype(np.int64))[:, None]
    names = [layer.cell.states for layer in copy.configuration.layers]
    whole = copy(tokens, keep=names)
    before = whole.logits[:, 0].log_softmax(1)
    width = min(furthest, len(ids) - 1) + 1
    found = np.full((len(where), width), np.nan)
    size = max(1, PIECE // (width * max(before.shape[1], *(layer.neurons for layer in copy.configuration.layers))))
    for start in range(0, len(where), size):
        rows = torch.from_numpy(where[start : start + size])
        reach = rows + torch.arange(width)[:, None]  # (D, rows)
        inside = reach < len(ids)
        reach = reach.clamp(max=len(ids) - 1)
        read = tokens[:, 0][reach]
        read[0] = torch.from_numpy(replaced[start : start + size])
        state = [
            {
                name: torch.where((rows > 0)[:, None], values[(rows - 1).clamp(min=0), 0], 0.0)
                for name, values in s.items()
            }
            for s in whole.signals
        ]
        after = copy(read, state).logits.log_softmax(2)
        told = before[reach]
        divergence = (told.exp() * (told - after)).sum(2).clamp(min=0)
        found[start : start + size] = divergence.where(inside, torch.nan).t().numpy()
    return Influence(where, replaced, found)


def _others(ids: Ids, places: NDArray[np.int64], size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Another id for each place."""
    symbols, counts = np.unique(ids, return_counts=True)
    if len(symbols) == 1:
        symbols = np.setdiff1d(np.arange(size), symbols)
        counts = np.ones(len(symbols), dtype=np.int64)
    if not len(symbols):
        raise StudyError("the network knows one symbol only, so there is none to put in its place.")
    found = np.empty(len(places), dtype=np.int64)
    for old in np.unique(ids[places]):
        here, others = ids[places] == old, symbols != old
        chances = counts[others] / counts[others].sum()
        found[here] = random.choice(symbols[others], size=int(here.sum()), p=chances)
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


def _asked(network: Network, ids: Ids) -> NDArray[np.int64]:
    """The steps of a sequence whose next symbol is one that the network can predict."""
    return np.flatnonzero((ids[1:] >= 0) & (ids[1:] < network.configuration.predicted))


def _drawn(
    places: Sequence[NDArray[np.int64]], furthest: int, samples: int, random: np.random.Generator, *, behind: bool
) -> list[NDArray[np.int64]]:
    """Some of the places of each sequence; of those with `furthest` steps before or behind them if they are enough."""
    ends = [int(there[-1]) if len(there) else 0 for there in places]
    far = [
        there[there <= end - furthest] if behind else there[there >= furthest]
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
