"""The losses of a network with each of its neurons held in turn, in batches, and their bootstrap intervals.

`T` step, `G` sequence of a group, `K` neuron of a chunk, `P` place (a step of any sequence), `U` unit of resampling,
`F` feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatescope.engine import Intervention
from gatescope.network import Network, padded, passes
from gatescope.studies.common.losses import loss_of, target_mask
from gatescope.studies.common.resampling import interval, resampled
from gatescope.vocabulary import Reading

BATCH_ROWS = 256  # larger batches were not faster
CHUNK_VALUES = 1 << 24  # sums that are held for a chunk of neurons: bounds memory
MAX_BATCH_STEPS = 1 << 17  # steps of all rows together, for a network that reads each sequence in one pass
GROUP_SEQUENCES = 64
NO_TARGET = -1


@dataclass(frozen=True)
class _Group:
    """Sequences of similar length, which are run side by side.

    Attributes:
        tokens: ids (T, G), or numbers (T, G, I).
        targets: ids (T, G), or numbers (T, G, O); -1 or NaN without a target.
        places: the place of each step, (T, G); -1 for padding.
        lengths: the lengths of the sequences, (G,).
    """

    tokens: Tensor
    targets: Tensor
    places: NDArray[np.int64]
    lengths: Tensor


class TextBatches:
    """The sequences of a text in groups, and the unit of resampling of each place.

    Args:
        network: the network that reads the text.
        sequences: the sequences, ids (T,) or numbers (T, I).
        targets: the targets of their steps.
        block: the steps of a unit if there is one sequence; several sequences are units themselves.

    Attributes:
        groups: the sequences in groups of similar length.
        longest: the length of the longest sequence.
        target_mask: true for each place with a target, (P,).
        unit: the unit of each place, (P,), ascending.
        units: the number of units.
    """

    def __init__(self, network: Network, sequences: Sequence[Reading], targets: Sequence[Reading], block: int) -> None:
        lengths = np.array([len(ids) for ids in sequences])
        starts = np.concatenate([[0], np.cumsum(lengths)])
        self.longest = int(lengths.max())
        if len(sequences) == 1:
            self.unit = np.arange(starts[-1]) // block
        else:
            self.unit = np.repeat(np.arange(len(sequences)), lengths)
        self.units = int(self.unit[-1]) + 1
        masks = [target_mask(network.configuration, row) for row in targets]
        self.target_mask = np.concatenate(masks)
        missing = np.nan if network.configuration.readout.kind == "numbers" else NO_TARGET
        masked_targets = [row.copy() for row in targets]
        for row, mask in zip(masked_targets, masks, strict=True):
            row[~mask] = missing
        precision = network.readout_biases.dtype
        order = np.argsort(lengths, kind="stable")
        self.groups = []
        for members in (order[k : k + GROUP_SEQUENCES] for k in range(0, len(order), GROUP_SEQUENCES)):
            tokens, sizes = padded([sequences[k] for k in members])
            step = np.arange(tokens.shape[1])[:, None]
            places = np.where(step < sizes, step + starts[members], -1)
            group_targets = torch.from_numpy(padded([masked_targets[k] for k in members])[0]).transpose(0, 1)
            inputs = torch.from_numpy(np.where(np.isnan(tokens), 0, tokens)).transpose(0, 1)
            inputs = inputs.to(precision) if tokens.ndim == 3 else inputs.long()
            self.groups.append(_Group(inputs, group_targets, places, torch.from_numpy(sizes)))


def unchanged_losses(
    network: Network, text: TextBatches, layers: Sequence[int], signal: str, report_steps: Callable[[int], None]
) -> tuple[NDArray[np.float64], dict[int, NDArray[np.float64]]]:
    """Return the loss of the unchanged network at every place, (P,), and each layer's means over all places, (N,).

    Args:
        network: the network.
        text: the text.
        layers: the numbers of the layers whose means are taken.
        signal: the signal whose means are taken.
        report_steps: called with the number of steps of each piece that was run.
    """
    losses = np.zeros(len(text.target_mask))
    sums = {layer: np.zeros(network.configuration.layers[layer].neurons) for layer in layers}
    keep = [(signal,) if k in sums else () for k in range(len(network.configuration.layers))]
    for group in text.groups:
        for places, loss, signals in _pieces(network, group, [], 1, text.longest, keep):
            inside = places >= 0
            losses[places[inside]] = loss[:, 0][inside]
            for layer in layers:
                sums[layer] += signals[layer][signal].numpy()[inside].sum(0, dtype=np.float64)
            report_steps(int(inside.sum()))
    return losses, {layer: total / len(text.target_mask) for layer, total in sums.items()}


def _pieces(
    network: Network,
    group: _Group,
    changes: Sequence[Intervention],
    copies: int,
    longest: int,
    keep: Sequence[Sequence[str]] | None = None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64], Any]]:
    """Run copies of a group side by side, in pieces of steps.

    A network that also reads from the end reads the group in one piece.

    Yields:
        The places (T, G), the losses (T, copies, G), and the kept signals.
    """
    readout, size = network.configuration.readout, group.tokens.shape[1]
    for run in passes(
        network,
        group.tokens,
        group.lengths,
        copies=copies,
        total=longest,
        keep=keep,
        interventions=changes,
        reads="every step",
    ):
        targets, logits = _copied(group.targets[run.steps], copies), run.output.logits
        if logits.ndim == 2:  # read out at the last step only
            last, columns = run.mask.sum(0) - 1, torch.arange(size * copies)
            losses = torch.zeros(run.mask.shape, dtype=torch.float64)
            losses[last, columns] = loss_of(readout, logits, targets[last, columns]).double()
        else:
            losses = loss_of(readout, logits, targets).double()
        yield group.places[run.steps], losses.view(-1, copies, size).numpy(), run.output.signals


def _copied(values: Tensor, copies: int) -> Tensor:
    """Repeat the columns of (T, G, ...) side by side."""
    return values.repeat(1, copies, *[1] * (values.ndim - 2))


def changes_of_loss(
    network: Network,
    text: TextBatches,
    before: NDArray[np.float64],
    on: NDArray[np.bool_],
    changes: Sequence[Intervention],
    draws: int,
    seed: int,
    report_steps: Callable[[int], None],
) -> dict[str, NDArray[np.float64]]:
    """Return the means of "on", "off" and "difference" and their intervals, each (1 + F, number of changes).

    Args:
        network: the network.
        text: the text.
        before: the losses of the unchanged network, (P,).
        on: the places at which each feature is on, after a row for all places with a target, (1 + F, P).
        changes: the interventions, one for each neuron.
        draws: the number of bootstrap draws; there are no intervals for a single unit.
        seed: the seed of the draws.
        report_steps: called with the number of steps of each piece that was run.
    """
    counts = np.stack([np.bincount(text.unit[row], minlength=text.units) for row in on], 1).astype(np.float64)
    weights = resampled(text.units, draws if text.units > 1 else 0, seed).reshape(-1, text.units)
    size = max(1, CHUNK_VALUES // (text.units * len(on)))
    parts = []
    for start in range(0, len(changes), size):
        sums = _sums(network, text, before, on, changes[start : start + size], report_steps)
        parts.append(means_and_intervals(sums, counts, weights))
    return {name: np.concatenate([part[name] for part in parts], 1) for name in parts[0]} if parts else {}


def _sums(
    network: Network,
    text: TextBatches,
    before: NDArray[np.float64],
    on: NDArray[np.bool_],
    changes: Sequence[Intervention],
    report_steps: Callable[[int], None],
) -> NDArray[np.float64]:
    """Sum the changes of the loss in each unit where each feature is on, for each intervention, (U, 1 + F, K)."""
    sums = np.zeros((text.units, len(on), len(changes)))
    for group in text.groups:
        size = group.tokens.shape[1]
        copies = max(1, BATCH_ROWS // size)
        if network.configuration.both_ways:
            copies = max(1, min(copies, MAX_BATCH_STEPS // (size * len(group.tokens))))
        for start in range(0, len(changes), copies):
            columns = slice(start, min(start + copies, len(changes)))
            rows = [replace(change, row=slice(k * size, (k + 1) * size)) for k, change in enumerate(changes[columns])]
            for places, losses, _ in _pieces(network, group, rows, len(rows), text.longest):
                # In the order of the sequences, so that the places of a unit are neighbours.
                flat, changed = places.T.ravel(), losses.transpose(2, 0, 1).reshape(-1, len(rows))
                inside = flat >= 0
                flat = flat[inside]
                changed = changed[inside] - before[flat, None]
                report_steps(len(flat) * len(rows))
                units, mask = text.unit[flat], on[:, flat].astype(np.float64)
                bounds = [0, *(np.flatnonzero(np.diff(units)) + 1).tolist(), len(units)]
                for first, last in pairwise(bounds):
                    if last > first:
                        sums[units[first], :, columns] += mask[:, first:last] @ changed[first:last]
    return sums


def means_and_intervals(
    sums: NDArray[np.float64], counts: NDArray[np.float64], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Compute means and intervals, (1 + F, K) each.

    Args:
        sums: the sums of the changes in every unit, (U, 1 + F, K).
        counts: the numbers of steps in every unit, (U, 1 + F).
        weights: how often each unit occurs in each draw, (D, U).
    """
    columns: dict[str, list[NDArray[np.float64]]] = {}
    once = np.ones((1, len(sums)))
    all_changes, all_steps = weights @ sums[:, 0], weights @ counts[:, 0]
    for k in range(sums.shape[1]):
        means = _ratios(once @ sums[:, k], once @ counts[:, k], once @ sums[:, 0], once @ counts[:, 0])
        drawn = _ratios(weights @ sums[:, k], weights @ counts[:, k], all_changes, all_steps)
        for name, value in means.items():
            # Whether a draw has a step depends on the units alone, so all neurons use the same draws.
            used = ~np.isnan(drawn[name]).any(1)
            low, high = interval(drawn[name][used])
            for column, values in ((name, value[0]), (f"{name}_low", low), (f"{name}_high", high)):
                columns.setdefault(column, []).append(values)
    return {name: np.stack(rows) for name, rows in columns.items()}


def _ratios(
    on: NDArray[np.float64], steps_on: NDArray[np.float64], total: NDArray[np.float64], steps: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Divide sums of changes, (D, K), by numbers of steps, (D,); NaN without a step."""
    with np.errstate(invalid="ignore", divide="ignore"):
        where_on = on / steps_on[:, None]
        left = (steps - steps_on)[:, None]
        where_off = np.where(left > 0, (total - on) / left, np.nan)
    return {"on": where_on, "off": where_off, "difference": where_on - where_off}
