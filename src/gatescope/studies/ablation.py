"""What does the network lose without a neuron?

A neuron that follows a feature need not matter for the predictions: a copy of it may be used instead, or none. Holding
the neuron still and comparing the loss shows what the network really loses without it. If the loss rises where the
feature is on and nowhere else, the neuron is the one that carries the feature.

Every neuron of the chosen layers is held in turn, at zero, at its mean or at another value, and the loss is compared
with that of the unchanged network.

`P` place (a step of any sequence), `F` feature, `N` held neuron.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gatescope.configuration import Configuration
from gatescope.engine import Intervention
from gatescope.features import Feature
from gatescope.network import Network
from gatescope.readout import SYMBOLS
from gatescope.sources import Answers, Recordable
from gatescope.studies.common.ablated_losses import TextBatches, changes_of_loss, unchanged_losses
from gatescope.studies.common.layers import LayerId, number_of
from gatescope.studies.common.losses import read_with_targets, unit
from gatescope.studies.common.resampling import BLOCK_STEPS, LEVEL
from gatescope.studies.common.table import StudyError, Table

Held = Literal["zero", "mean"] | float
Progress = Callable[[int, int], None]
EVERY = slice(None)

_CONDITIONS = {
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
        for name, where in _CONDITIONS.items()
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
    layers: LayerId | Sequence[LayerId] | None = None,
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
    text = TextBatches(network, sequences, targets, block)
    if configuration.readout != SYMBOLS and not text.target_mask.any():
        raise StudyError("ABLATION_TARGETS_UNKNOWN")
    shared = [binary for feature in features if feature.kind != "count" for binary in feature.binaries()]
    own = neuron_features or {}
    done, total = 0, len(text.target_mask) * (1 + sum(map(len, chosen.values())))

    def report_steps(steps_run: int) -> None:
        nonlocal done
        done += steps_run
        if progress is not None:
            progress(done, total)

    before, means = unchanged_losses(network, text, numbers, signal, report_steps)
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
        results = changes_of_loss(network, text, before, on, changes, draws, seed, report_steps)
        columns = _columns(
            before, text, on, held_neurons, values, ["", *(feature.name for feature in binaries)], results
        )
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
    """Return the titles of the columns for a unit of the loss."""
    return {name: title.replace("nats per symbol", loss) for name, title in TITLES.items()}


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


def _layer_numbers(configuration: Configuration, layers: LayerId | Sequence[LayerId] | None) -> list[int]:
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
    return list(
        {feature.name: feature for feature in own if feature is not None and feature.name not in names}.values()
    )


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


def _on(features: Sequence[Feature], text: TextBatches) -> NDArray[np.bool_]:
    """Mark the places with a target at which each feature is on, (1 + F, P); the first row is on everywhere."""
    rows = [text.target_mask]
    for feature in features:
        if len(feature.values) != len(text.target_mask):
            raise StudyError(
                "STUDY_FEATURE_LENGTH_MISMATCH",
                name=feature.name,
                steps=len(text.target_mask),
                values=len(feature.values),
            )
        rows.append(text.target_mask & feature.values)
    return np.stack(rows)


def _columns(
    before: NDArray[np.float64],
    text: TextBatches,
    on: NDArray[np.bool_],
    chosen: NDArray[np.int64],
    held: NDArray[np.float64],
    names: Sequence[str],
    results: dict[str, NDArray[np.float64]],
) -> dict[str, NDArray[Any]]:
    """Return the columns of the table, neuron by neuron, from the results (1 + F, N)."""
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
