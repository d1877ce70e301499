"""What does a network say otherwise, when it reads something else at one step?

`P` place, `D` distance, `T` step, `V` symbol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatescope.configuration import Configuration
from gatescope.network import Network, predictions_of
from gatescope.sources import sequences_of
from gatescope.studies.common.table import StudyError
from gatescope.studies.gradients.jacobians import exact
from gatescope.vocabulary import Reading

PIECE = 1 << 22  # predicted probabilities that are held at a time
AT_ONCE = 1 << 17  # steps of all rows together, of a network that reads a whole sequence again


@dataclass(frozen=True)
class Influence:
    """What replacing a character (or word, or vector of numbers) does to the predictions.

    Attributes:
        places: the steps at which something else was read, (P,).
        replaced: the id that was read instead, (P,); where numbers are read, the step whose numbers were.
        divergence: entry [k, j]: sum of p log(p / q) after step places[k] + distances[j], where p was predicted without
            and q with the change, in nats, (P, D); of numbers, the mean squared difference of the estimates. NaN where
            there is no such step, or nothing is predicted.
        distances: (D,), rising: 0, 1, 2, ...; from a negative one on, if the network reads from the end, too.
    """

    places: NDArray[np.int64]
    replaced: NDArray[np.int64]
    divergence: NDArray[np.float64]
    distances: NDArray[np.int64]


@torch.inference_mode()
def influence(
    network: Network, ids: Reading, places: Sequence[int] | None = None, *, furthest: int = 100, seed: int = 0
) -> Influence:
    """Replace what is read at one step at a time, and see how the predictions change.

    Args:
        network: any. It is copied in float64. One that predicts once does so after the last step.
        ids: one sequence, of ids or of vectors of numbers, from the initial state.
        places: the steps at which something else is read; all when not given.
        furthest: how many steps after it (and before it, if the network reads from the end, too) are looked at.
        seed: of what is put in place, drawn from the other symbols (or numbers) of the sequence, the frequent ones more
            often; where all symbols are the same, from the vocabulary.

    Raises:
        StudyError: a step is not there, or there is nothing else to put in its place.
        RecordingError: the sequence is empty.
    """
    (ids,) = sequences_of(network, [ids])
    where = np.arange(len(ids)) if places is None else np.asarray(places, dtype=np.int64)
    if len(where) and not 0 <= where.min() <= where.max() < len(ids):
        raise StudyError("INFLUENCE_STEP_UNKNOWN", last=len(ids) - 1)
    random = np.random.default_rng(seed)
    copy = exact(network)
    if ids.ndim == 2:
        _, first, same = np.unique(ids, axis=0, return_index=True, return_inverse=True)
        replaced = first[_others(same.reshape(-1).astype(np.int32), where, 0, random)]
        tokens = torch.from_numpy(ids).double()[:, None]
        instead = tokens[torch.from_numpy(replaced), 0]
    else:
        replaced = _others(ids, where, network.configuration.vocabulary.size, random)
        tokens = torch.from_numpy(ids.astype(np.int64))[:, None]
        instead = torch.from_numpy(replaced)
    width = min(furthest, len(ids) - 1) + 1
    configuration = network.configuration
    if configuration.both_ways or configuration.readout.reads == "last step":
        distances = np.arange(1 - width if configuration.both_ways else 0, width)
        found = _as_wholes(copy, tokens, where, instead, distances)
    else:
        distances = np.arange(width)
        found = _from_there_on(copy, tokens, where, instead, width)
    return Influence(where, replaced, found, distances)


def _from_there_on(
    network: Network, tokens: Tensor, where: NDArray[np.int64], instead: Tensor, width: int
) -> NDArray[np.float64]:
    """The change of each prediction, (P, D): of a network in one direction, which goes on from the state before."""
    names = [layer.cell.states for layer in network.configuration.layers]
    whole = network(tokens, keep=names)
    before = predictions_of(network.configuration, whole.logits[:, 0])
    found = np.full((len(where), width), np.nan)
    neurons = (layer.neurons for layer in network.configuration.layers)
    size = max(1, PIECE // (width * max(before.shape[1], *neurons)))
    for start in range(0, len(where), size):
        rows = torch.from_numpy(where[start : start + size])
        reach = rows + torch.arange(width)[:, None]  # (D, rows)
        inside = reach < len(tokens)
        reach = reach.clamp(max=len(tokens) - 1)
        read = tokens[:, 0][reach]
        read[0] = instead[start : start + size]
        state = [
            {
                name: torch.where((rows > 0)[:, None], values[(rows - 1).clamp(min=0), 0], start[name])
                for name, values in signals.items()
            }
            for signals, start in zip(whole.signals, network.initial_states(1), strict=True)
        ]
        after = predictions_of(network.configuration, network(read, state).logits)
        divergence = _difference(network.configuration, before[reach], after)
        found[start : start + size] = divergence.where(inside, torch.nan).t().numpy()
    return found


def _as_wholes(
    network: Network, tokens: Tensor, where: NDArray[np.int64], instead: Tensor, distances: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The change of each prediction, (P, D): the sequence is read again from its beginning for every place."""
    steps, found = len(tokens), np.full((len(where), len(distances)), np.nan)
    once = network.configuration.readout.reads == "last step"
    before = predictions_of(network.configuration, network(tokens).logits)
    size = max(1, min(AT_ONCE // steps, PIECE // (steps * before.shape[-1])))
    for start in range(0, len(where), size):
        rows = where[start : start + size]
        read = tokens.repeat(1, len(rows), *[1] * (tokens.ndim - 2))
        read[torch.from_numpy(rows), torch.arange(len(rows))] = instead[start : start + size]
        after = predictions_of(network.configuration, network(read).logits)
        changed = _difference(network.configuration, before.expand_as(after), after).numpy()
        at = rows[:, None] + distances
        if once:
            found[start : start + size] = np.where(at == steps - 1, changed[:, None], np.nan)
            continue
        inside = (at >= 0) & (at < steps)
        told = changed[np.clip(at, 0, steps - 1), np.arange(len(rows))[:, None]]
        found[start : start + size] = np.where(inside, told, np.nan)
    return found


def _difference(configuration: Configuration, before: Tensor, after: Tensor) -> Tensor:
    """How far predictions (..., V) are from each other."""
    if configuration.readout.kind == "numbers":
        return ((before - after) ** 2).mean(-1)
    return (before.exp() * (before - after)).sum(-1).clamp(min=0)


def _others(ids: Reading, places: NDArray[np.int64], size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Another id for each place."""
    symbols, counts = np.unique(ids, return_counts=True)
    if len(symbols) == 1:
        symbols = np.setdiff1d(np.arange(size), symbols)
        counts = np.ones(len(symbols), dtype=np.int64)
    if not len(symbols):
        raise StudyError("INFLUENCE_NOTHING_ELSE_IN_VOCABULARY" if size else "INFLUENCE_NOTHING_ELSE_IN_SEQUENCE")
    found = np.empty(len(places), dtype=np.int64)
    for old in np.unique(ids[places]):
        here, others = ids[places] == old, symbols != old
        chances = counts[others] / counts[others].sum()
        found[here] = random.choice(symbols[others], size=int(here.sum()), p=chances)
    return found
