"""How do the predictions change when the network reads something else at one step?

A gradient tells how a prediction reacts to an infinitesimal change, but a text changes by whole symbols. Replacing one
symbol and comparing the predictions measures its influence without any linearisation. It is the intervention that the
gradient is an approximation of.

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
from gatescope.generator import Generator
from gatescope.network import Network, predictions_of
from gatescope.sources import sequences_of
from gatescope.studies.common.table import StudyError
from gatescope.studies.gradients.jacobians import exact
from gatescope.vocabulary import Reading

PIECE_VALUES = 1 << 22  # predicted probabilities that are held at a time
MAX_BATCH_STEPS = 1 << 17  # steps of all rows together, for a network that reads a whole sequence again


@dataclass(frozen=True)
class Influence:
    """The changes of the predictions by replacing one symbol (or word, or vector of numbers) at a time.

    Attributes:
        places: the replaced steps, (P,).
        replaced: the id that was read instead, (P,); for a network that reads numbers, the step whose numbers were.
        divergence: (P, D). Entry [k, j] is the sum of p log(p / q) after step places[k] + distances[j], in nats, where
            p is the original and q the changed prediction; for predicted numbers, the mean squared difference. NaN if
            there is no such step or no prediction.
        distances: the distances in steps, (D,), ascending: 0, 1, 2, ...; or from a negative one on, if the network also
            reads from the end.
    """

    places: NDArray[np.int64]
    replaced: NDArray[np.int64]
    divergence: NDArray[np.float64]
    distances: NDArray[np.int64]


@torch.inference_mode()
def influence(
    network: Network, ids: Reading, places: Sequence[int] | None = None, *, furthest: int = 100, seed: int = 0
) -> Influence:
    """Replace the input of one step at a time, and measure how the predictions change.

    Replacements are drawn from the other symbols (or numbers) of the sequence, by their frequency; or from the
    vocabulary, if all symbols of the sequence are equal.

    Args:
        network: any network. It is copied in float64. Many-to-one networks predict after the last step.
        ids: one sequence, of ids (T,) or of vectors of numbers (T, I), from the initial state.
        places: the replaced steps; None: all steps.
        furthest: the number of steps after a replaced step (and before it, if the network also reads from the end)
            whose predictions are compared.
        seed: the seed of the replacements.

    Raises:
        StudyError: there is no such step, or nothing can replace it.
        RecordingError: the sequence is empty.
    """
    (ids,) = sequences_of(network, [ids])
    where = np.arange(len(ids)) if places is None else np.asarray(places, dtype=np.int64)
    if len(where) and not 0 <= where.min() <= where.max() < len(ids):
        raise StudyError("INFLUENCE_STEP_UNKNOWN", last=len(ids) - 1)
    generator = Generator(seed, "replacements")
    copy = exact(network)
    if ids.ndim == 2:
        _, first, same = np.unique(ids, axis=0, return_index=True, return_inverse=True)
        replaced = first[_draw_others(same.reshape(-1).astype(np.int32), where, 0, generator)]
        tokens = torch.from_numpy(ids).double()[:, None]
        instead = tokens[torch.from_numpy(replaced), 0]
    else:
        replaced = _draw_others(ids, where, network.configuration.vocabulary.size, generator)
        tokens = torch.from_numpy(ids.astype(np.int64))[:, None]
        instead = torch.from_numpy(replaced)
    width = min(furthest, len(ids) - 1) + 1
    configuration = network.configuration
    if configuration.both_ways or configuration.readout.reads == "last step":
        distances = np.arange(1 - width if configuration.both_ways else 0, width)
        divergence = _from_the_beginning(copy, tokens, where, instead, distances)
    else:
        distances = np.arange(width)
        divergence = _from_the_step(copy, tokens, where, instead, width)
    return Influence(where, replaced, divergence, distances)


def _from_the_step(
    network: Network, tokens: Tensor, where: NDArray[np.int64], instead: Tensor, width: int
) -> NDArray[np.float64]:
    """Compute the changes, (P, D), from the recorded state before each step; for networks in one direction."""
    names = [layer.cell.states for layer in network.configuration.layers]
    whole = network(tokens, keep=names)
    before = predictions_of(network.configuration, whole.logits[:, 0])
    changes = np.full((len(where), width), np.nan)
    neurons = (layer.neurons for layer in network.configuration.layers)
    size = max(1, PIECE_VALUES // (width * max(before.shape[1], *neurons)))
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
        changes[start : start + size] = divergence.where(inside, torch.nan).t().numpy()
    return changes


def _from_the_beginning(
    network: Network, tokens: Tensor, where: NDArray[np.int64], instead: Tensor, distances: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute the changes, (P, D), by reading the whole sequence again for every place."""
    steps, changes = len(tokens), np.full((len(where), len(distances)), np.nan)
    once = network.configuration.readout.reads == "last step"
    before = predictions_of(network.configuration, network(tokens).logits)
    size = max(1, min(MAX_BATCH_STEPS // steps, PIECE_VALUES // (steps * before.shape[-1])))
    for start in range(0, len(where), size):
        rows = where[start : start + size]
        read = tokens.repeat(1, len(rows), *[1] * (tokens.ndim - 2))
        read[torch.from_numpy(rows), torch.arange(len(rows))] = instead[start : start + size]
        after = predictions_of(network.configuration, network(read).logits)
        changed = _difference(network.configuration, before.expand_as(after), after).numpy()
        at = rows[:, None] + distances
        if once:
            changes[start : start + size] = np.where(at == steps - 1, changed[:, None], np.nan)
            continue
        inside = (at >= 0) & (at < steps)
        nearest = changed[np.clip(at, 0, steps - 1), np.arange(len(rows))[:, None]]
        changes[start : start + size] = np.where(inside, nearest, np.nan)
    return changes


def _difference(configuration: Configuration, before: Tensor, after: Tensor) -> Tensor:
    """Compute the divergence of predictions (..., V) from others, (...,)."""
    if configuration.readout.kind == "numbers":
        return ((before - after) ** 2).mean(-1)
    return (before.exp() * (before - after)).sum(-1).clamp(min=0)


def _draw_others(ids: Reading, places: NDArray[np.int64], size: int, generator: Generator) -> NDArray[np.int64]:
    """Draw another id for each place, by one uniform number each. The page draws the same (web/engine/influence.ts)."""
    symbols, counts = np.unique(ids, return_counts=True)
    if len(symbols) == 1:
        symbols = np.setdiff1d(np.arange(size), symbols)
        counts = np.ones(len(symbols), dtype=np.int64)
    if not len(symbols):
        raise StudyError("INFLUENCE_NOTHING_ELSE_IN_VOCABULARY" if size else "INFLUENCE_NOTHING_ELSE_IN_SEQUENCE")
    drawn, uniforms = np.empty(len(places), dtype=np.int64), generator.uniforms(len(places))
    for old in np.unique(ids[places]):
        same, others = ids[places] == old, symbols != old
        ends = counts[others].cumsum()
        drawn[same] = symbols[others][np.searchsorted(ends, uniforms[same] * ends[-1], side="right")]
    return drawn
