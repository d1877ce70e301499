"""What does the network lose without a neuron? Every neuron of a layer is held still, and the loss is compared.

`T` step, `G` sequence of a group, `K` neuron of a chunk, `P` step of any sequence (a place), `U` unit of resampling,
`F` feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatescope.configuration import Configuration
from gatescope.engine import Intervention
from gatescope.features import Feature
from gatescope.network import Network, padded, passes
from gatescope.readout import SYMBOLS
from gatescope.sources import Answers, Recordable
from gatescope.studies.common.layers import Given, number_of
from gatescope.studies.common.losses import loss_of, read_with_targets, target_mask, unit
from gatescope.studies.common.resampling import BLOCK_STEPS, LEVEL, interval, resampled
from gatescope.studies.common.table import StudyError, Table
from gatescope.vocabulary import Reading

Held = Literal["zero", "mean"] | float
Progress = Callable[[int, int], None]
EVERY = slice(None)

ROWS = 256  # of a batch; more were not faster
SUMS = 1 << 24  # numbers that are held for a chunk of neurons: bounds memory
WHOLE = 1 << 17  # steps of all rows together, of a network that has to read each sequence in one go

_OF = {
    "on": "where the feature is on",
    "off": "where it is off",
    "difference": "on minus off",
}
TITLES = {
    "layer": "layer",
    "neuron": "neuron",
    "feature": "feature; empty: every step counts as on",
    "held": "value at which the neuron was held",
    "steps_on": "steps with a target where the feature is on",
    "steps_off": "steps with a target where it is off",
    "loss_on": "loss of the unchanged network where the feature is on (nats per symbol)",
    "loss_off": "loss of the unchanged network where it is off (nats per symbol)",
    **{
        f"{name}{end}": f"{bound}change of the loss {where} (nats per symbol)"
        for name, where in _OF.items()
        for end, bound in (
            ("", ""),
            ("_low", f"lower end of the {LEVEL:.0%} interval: "),
            ("_high", f"upper end of the {LEVEL:.0%} interval: "),
        )
    },
}


def ablation(
    network: Network,
    source: Recordable,
    layers: Given | Sequence[Given] | None = None,
    signal: str = "h",
    *,
    answers: Answers | None = None,
    neurons: Sequence[int] | None = None,
    to: Held = "mean",
    features: Sequence[Feature] = (),
    neuron_features: Mapping[tuple[str, int], Feature] | None = None,
    steps: slice = EVERY,
    draws: int = 1000,
    block: int = BLOCK_STEPS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Table:
    """Hold the neurons of some layers still, one at a time, and compare the loss with that of the unchanged network.

    The loss of a step is -log p(target); for numbers it is the squared error or the pinball loss. Only steps with a
    target count. When the next symbol is predicted, the last step of a sequence has no target, and neither has a step
    before a symbol outside the vocabulary. A many-to-one network has a target at the last step only. The neurons are
    run side by side, as rows of one batch.

    Args:
        network: any network; it is not changed.
        source: a text, or sequences, as `gatescope.recording.record` takes them.
        layers: one layer or several, by name, or by number if the network reads in one direction; None: all layers.
        signal: the signal that is held: "h", "c", a gate, or any other signal of the cell.
        answers: a function from the text of a sequence to the targets of its steps; None: the next symbol.
        neurons: the neurons of each layer; None: all neurons.
        to: "zero"; "mean": the mean of each neuron over all steps of the unchanged run; or one value for all neurons.
        features: binary and category features, values (P,) along the steps of all sequences. A category counts as one
            binary feature for each of its names. Count features are skipped, because they have no on/off state;
            `about["left_out"]` names them.
        neuron_features: (layer name, neuron) -> a binary feature of this neuron alone.
        steps: the steps at which a neuron is held, counted as in a run of all sequences side by side.
        draws: the number of bootstrap draws for the intervals.
        block: the steps of a resampling unit when the text is one sequence; several sequences are units themselves.
        seed: the seed of the resampling.
        progress: called with the number of steps run so far and the number of all steps.

    Returns:
        For every neuron a row with the feature "", whose columns "on" cover all steps, and a row for each feature. The
        intervals are percentile bootstrap intervals. All neurons and features use the same draws; a draw in which a
        mean has no step is left out. The intervals are NaN for fewer than two units.

    Raises:
        StudyError: the network, a layer, the signal, a neuron, a feature or a number does not fit.
        RecordingError: the source is empty.
    """
    configuration = network.configuration
    numbers = _layer_numbers(configuration, layers)
    chosen = {number: _chosen(configuration, number, neurons) for number in numbers}
    for number in numbers:
        _check(network, number, signal, to, draws, block)
    sequences, targets = read_with_targets(network, source, answers)
    text = _Text(network, sequences, targets, block)
    if configuration.readout != SYMBOLS and not text.asked.any():
        raise StudyError("ABLATION_TARGETS_UNKNOWN")
    shared = [binary for feature in features if feature.kind != "count" for binary in feature.binaries()]
    own = neuron_features or {}
    done, total = 0, len(text.asked) * (1 + sum(map(len, chosen.values())))

    def tell(steps_run: int) -> None:
        nonlocal done
        done += steps_run
        if progress is not None:
            progress(done, total)

    before, means = _unchanged(network, text, numbers, signal, tell)
    parts = []
    for number, held_neurons in chosen.items():
        name = configuration.names[number]
        values = means[number][held_neurons] if to == "mean" else _constant(to, len(held_neurons))
        own_of_layer = [own.get((name, neuron)) for neuron in held_neurons.tolist()]
        binaries = [*shared, *_unshared(own_of_layer, shared)]
        on = _on(binaries, text)
        changes = [
            Intervention(name, signal, int(neuron), steps, 0.0, float(value))
            for neuron, value in zip(held_neurons, values, strict=True)
        ]
        results = _results(network, text, before, on, changes, draws, seed, tell)
        columns = _columns(before, text, on, held_neurons, values, ["", *(one.name for one in binaries)], results)
        rows = np.flatnonzero(_rows_shown(binaries, len(shared), own_of_layer))
        layer_column = np.full(len(columns["neuron"]), name, dtype=object)
        parts.append({title: column[rows] for title, column in {"layer": layer_column, **columns}.items()})
    about = {
        "study": "ablation",
        "layers": [configuration.names[number] for number in numbers],
        "signal": signal,
        "loss": unit(configuration.readout),
        "to": to,
        "steps": [steps.start, steps.stop, steps.step],
        "sequences": len(sequences),
        "units": f"blocks of {block} steps" if len(sequences) == 1 else "sequences",
        "unit_count": text.units,
        "level": LEVEL,
        "draws": draws,
        "seed": seed,
        "features": {feature.name: feature.title for feature in [*shared, *own.values()]},
        "left_out": [feature.name for feature in features if feature.kind == "count"],
    }
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Table(joined, titles_of(about["loss"]), about)


def titles_of(loss: str) -> dict[str, str]:
    """What the columns say, where the loss is measured in something else than nats per symbol."""
    return {name: title.replace("nats per symbol", loss) for name, title in TITLES.items()}


@dataclass(frozen=True)
class _Group:
    """Sequences of similar length, run side by side."""

    tokens: Tensor  # (T, G), or (T, G, I) numbers
    targets: Tensor  # (T, G), -1 where there is none; or (T, G, O) numbers, NaN where there is none
    places: NDArray[np.int64]  # (T, G), -1 behind the end of a sequence
    lengths: Tensor  # (G,)


class _Text:
    """The sequences of a text, their places on one axis (P,), and in which unit each place lies.

    Attributes:
        groups: the sequences in groups.
        longest: steps of the longest sequence.
        asked: of each place, whether it has a target, (P,).
        unit: of each place, (P,), in ascending order.
        units: how many there are.
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
        there = [target_mask(network.configuration, told) for told in targets]
        self.asked = np.concatenate(there)
        nothing = np.nan if network.configuration.readout.kind == "numbers" else _NO_TARGET
        wanted = []
        for told, known in zip(targets, there, strict=True):
            wanted.append(told.copy())
            wanted[-1][~known] = nothing
        precision = network.readout_biases.dtype
        order = np.argsort(lengths, kind="stable")
        self.groups = []
        for members in (order[k : k + _GROUP] for k in range(0, len(order), _GROUP)):
            tokens, sizes = padded([sequences[k] for k in members])
            step = np.arange(tokens.shape[1])[:, None]
            places = np.where(step < sizes, step + starts[members], -1)
            told = torch.from_numpy(padded([wanted[k] for k in members])[0]).transpose(0, 1)
            read = torch.from_numpy(np.where(np.isnan(tokens), 0, tokens)).transpose(0, 1)
            read = read.to(precision) if tokens.ndim == 3 else read.long()
            self.groups.append(_Group(read, told, places, torch.from_numpy(sizes)))


_GROUP = 64  # sequences
_NO_TARGET = -1


def _check(network: Network, layer: int, signal: str, to: Held, draws: int, block: int) -> None:
    configuration = network.configuration
    cell = configuration.layers[layer].cell
    if signal not in cell.signals:
        raise StudyError(
            "STUDY_SIGNAL_UNKNOWN", layer=configuration.names[layer], signals=", ".join(cell.signals), signal=signal
        )
    if to not in ("zero", "mean") and (isinstance(to, str) or not isfinite(to)):
        raise StudyError("ABLATION_HELD_VALUE_INVALID", to=to)
    for things, number in (("draws", draws), ("steps of a block", block)):
        if number < 1:
            raise StudyError("STUDY_NUMBER_TOO_SMALL", things=things, least=1, number=number)


def _layer_numbers(configuration: Configuration, layers: Given | Sequence[Given] | None) -> list[int]:
    """Return the positions of the chosen layers, each once."""
    if layers is None:
        return list(range(len(configuration.layers)))
    chosen = [layers] if isinstance(layers, int | str) else layers
    if not chosen:
        raise StudyError("ABLATION_LAYERS_EMPTY")
    return list(dict.fromkeys(number_of(configuration, layer) for layer in chosen))


def _constant(to: Held, count: int) -> NDArray[np.float64]:
    return np.full(count, 0.0 if to == "zero" else float(to))


def _unshared(own: Sequence[Feature | None], shared: Sequence[Feature]) -> list[Feature]:
    """Return the features of single neurons that are not shared, each name once."""
    names = {feature.name for feature in shared}
    return list({one.name: one for one in own if one is not None and one.name not in names}.values())


def _rows_shown(binaries: Sequence[Feature], shared: int, own: Sequence[Feature | None]) -> NDArray[np.bool_]:
    """Select the rows of the table: for each neuron all steps, the shared features and its own feature.

    Args:
        binaries: the F features of the layer, the shared ones first.
        shared: the number of shared features.
        own: the feature of each of the N neurons.

    Returns:
        (N * (1 + F),), neuron by neuron.
    """
    shown = np.zeros((len(own), 1 + len(binaries)), np.bool_)
    shown[:, : 1 + shared] = True
    columns = {feature.name: column for column, feature in enumerate(binaries, 1)}
    for row, feature in enumerate(own):
        if feature is not None:
            shown[row, columns[feature.name]] = True
    return shown.ravel()


def _chosen(configuration: Configuration, layer: int, neurons: Sequence[int] | None) -> NDArray[np.int64]:
    """Return the neurons of a layer that are held, each once."""
    count = configuration.layers[layer].neurons
    if neurons is None:
        return np.arange(count)
    if wrong := [neuron for neuron in neurons if not 0 <= neuron < count]:
        raise StudyError("STUDY_NEURON_UNKNOWN", layer=configuration.names[layer], last=count - 1, neuron=wrong[0])
    return np.array(list(dict.fromkeys(neurons)), np.int64)


def _on(features: Sequence[Feature], text: _Text) -> NDArray[np.bool_]:
    """Where each feature is on and there is a target, (1 + F, P); the first is on everywhere."""
    rows = [text.asked]
    for feature in features:
        if len(feature.values) != len(text.asked):
            raise StudyError(
                "STUDY_FEATURE_LENGTH_MISMATCH",
                name=feature.name,
                steps=len(text.asked),
                values=len(feature.values),
            )
        rows.append(text.asked & feature.values)
    return np.stack(rows)


def _unchanged(
    network: Network, text: _Text, layers: Sequence[int], signal: str, tell: Callable[[int], None]
) -> tuple[NDArray[np.float64], dict[int, NDArray[np.float64]]]:
    """Return the loss of the unchanged network at every place, (P,), and each layer's means over all places, (N,)."""
    losses = np.zeros(len(text.asked))
    sums = {layer: np.zeros(network.configuration.layers[layer].neurons) for layer in layers}
    keep = [(signal,) if k in sums else () for k in range(len(network.configuration.layers))]
    for group in text.groups:
        for places, loss, signals in _pieces(network, group, [], 1, text.longest, keep):
            there = places >= 0
            losses[places[there]] = loss[:, 0][there]
            for layer in layers:
                sums[layer] += signals[layer][signal].numpy()[there].sum(0, dtype=np.float64)
            tell(int(there.sum()))
    return losses, {layer: total / len(text.asked) for layer, total in sums.items()}


def _pieces(
    network: Network,
    group: _Group,
    changes: Sequence[Intervention],
    copies: int,
    longest: int,
    keep: Sequence[Sequence[str]] | None = None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64], Any]]:
    """Run copies of a group side by side, in pieces of steps: places (T, G), losses (T, copies, G), what is kept.

    A network that reads from the end, too, reads the group in one piece.
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
    """Columns (T, G, ...) so many times side by side."""
    return values.repeat(1, copies, *[1] * (values.ndim - 2))


def _results(
    network: Network,
    text: _Text,
    before: NDArray[np.float64],
    on: NDArray[np.bool_],
    changes: Sequence[Intervention],
    draws: int,
    seed: int,
    tell: Callable[[int], None],
) -> dict[str, NDArray[np.float64]]:
    """Return the means of "on", "off" and "difference" and their intervals, each (1 + F, neurons)."""
    counts = np.stack([np.bincount(text.unit[row], minlength=text.units) for row in on], 1).astype(np.float64)
    weights = resampled(text.units, draws if text.units > 1 else 0, seed).reshape(-1, text.units)
    size = max(1, SUMS // (text.units * len(on)))
    parts = []
    for start in range(0, len(changes), size):
        sums = _sums(network, text, before, on, changes[start : start + size], tell)
        parts.append(_means(sums, counts, weights))
    return {name: np.concatenate([part[name] for part in parts], 1) for name in parts[0]} if parts else {}


def _sums(
    network: Network,
    text: _Text,
    before: NDArray[np.float64],
    on: NDArray[np.bool_],
    changes: Sequence[Intervention],
    tell: Callable[[int], None],
) -> NDArray[np.float64]:
    """The change of the loss in each unit, summed where each feature is on, for each intervention, (U, 1 + F, K)."""
    sums = np.zeros((text.units, len(on), len(changes)))
    for group in text.groups:
        size = group.tokens.shape[1]
        copies = max(1, ROWS // size)
        if network.configuration.both_ways:
            copies = max(1, min(copies, WHOLE // (size * len(group.tokens))))
        for start in range(0, len(changes), copies):
            columns = slice(start, min(start + copies, len(changes)))
            rows = [replace(one, row=slice(k * size, (k + 1) * size)) for k, one in enumerate(changes[columns])]
            for places, losses, _ in _pieces(network, group, rows, len(rows), text.longest):
                # Sequence after sequence, so that the places of a unit stand together.
                flat, changed = places.T.ravel(), losses.transpose(2, 0, 1).reshape(-1, len(rows))
                there = flat >= 0
                flat = flat[there]
                changed = changed[there] - before[flat, None]
                tell(len(flat) * len(rows))
                units, mask = text.unit[flat], on[:, flat].astype(np.float64)
                bounds = [0, *(np.flatnonzero(np.diff(units)) + 1).tolist(), len(units)]
                for first, last in pairwise(bounds):
                    if last > first:
                        sums[units[first], :, columns] += mask[:, first:last] @ changed[first:last]
    return sums


def _means(
    sums: NDArray[np.float64], counts: NDArray[np.float64], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Means and intervals from the sums (U, 1 + F, K) and the numbers of steps (U, 1 + F) of every unit."""
    found: dict[str, list[NDArray[np.float64]]] = {}
    once = np.ones((1, len(sums)))
    all_changes, all_steps = weights @ sums[:, 0], weights @ counts[:, 0]
    for k in range(sums.shape[1]):
        means = _ratios(once @ sums[:, k], once @ counts[:, k], once @ sums[:, 0], once @ counts[:, 0])
        drawn = _ratios(weights @ sums[:, k], weights @ counts[:, k], all_changes, all_steps)
        for name, value in means.items():
            # Whether a draw has a step depends on the units alone, so all neurons lose the same draws.
            used = ~np.isnan(drawn[name]).any(1)
            low, high = interval(drawn[name][used])
            for column, values in ((name, value[0]), (f"{name}_low", low), (f"{name}_high", high)):
                found.setdefault(column, []).append(values)
    return {name: np.stack(rows) for name, rows in found.items()}


def _ratios(
    on: NDArray[np.float64], steps_on: NDArray[np.float64], every: NDArray[np.float64], steps: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Mean changes (D, K) of sums (D, K) over numbers of steps (D,); NaN where there is no step."""
    with np.errstate(invalid="ignore", divide="ignore"):
        where_on = on / steps_on[:, None]
        left = (steps - steps_on)[:, None]
        where_off = np.where(left > 0, (every - on) / left, np.nan)
    return {"on": where_on, "off": where_off, "difference": where_on - where_off}


def _columns(
    before: NDArray[np.float64],
    text: _Text,
    on: NDArray[np.bool_],
    chosen: NDArray[np.int64],
    held: NDArray[np.float64],
    names: Sequence[str],
    results: dict[str, NDArray[np.float64]],
) -> dict[str, NDArray[Any]]:
    """The columns of the table, neuron by neuron, from what is known of features (1 + F,) and of both (1 + F, N)."""
    steps, sums = on.sum(1), on @ before
    with np.errstate(invalid="ignore", divide="ignore"):
        loss_on = sums / steps
        loss_off = np.where(steps[0] > steps, (sums[0] - sums) / (steps[0] - steps), np.nan)
    columns: dict[str, NDArray[Any]] = {
        "neuron": np.repeat(chosen, len(names)),
        "feature": np.array(list(names) * len(chosen), dtype=object),
        "held": np.repeat(held, len(names)),
        "steps_on": np.tile(steps, len(chosen)),
        "steps_off": np.tile(steps[0] - steps, len(chosen)),
        "loss_on": np.tile(loss_on, len(chosen)),
        "loss_off": np.tile(loss_off, len(chosen)),
    }
    missing = np.empty((len(names), 0))
    return columns | {name: results.get(name, missing).T.ravel() for name in TITLES if name not in ("layer", *columns)}
