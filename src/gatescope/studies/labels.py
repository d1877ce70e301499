"""Which feature does each neuron follow?

A trained network does not say what its neurons are for. If a neuron is high exactly inside quotation marks, that is a
first hypothesis about its role, and the first step from a picture of activity to an explanation. Ablation is then the
test of the hypothesis.

Every signal of every neuron is compared with every feature of a text. The feature, the lag, the direction, the line and
the threshold are chosen on one half of the text, and every score is evaluated on the other half. A score alone means
little, because one of hundreds of features always fits a little; see `gatescope.studies.common.chance.Chance` for the
scores that chance reaches.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gatescope.features import Feature, binary_features_named
from gatescope.studies.common.chance import chance_of
from gatescope.studies.common.label_search import MEASURES, LabelScores, LabelSearch, Progress, Search
from gatescope.studies.common.scores import Columns, default_least, halves
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError, Table
from gatescope.trace import Trace

__all__ = ["TITLES", "Search", "best_binary_features", "binary_labels", "labels"]

TITLES = {
    "layer": "layer",
    "signal": "signal",
    "neuron": "neuron",
    "place": "place among the neuron's labels, from 0",
    "feature": "feature",
    "title": "meaning of the feature",
    "measure": "AUROC of a binary feature, R2 of a count",
    "score": "score on the text held out",
    "fit_score": "score on the text it was chosen on",
    "explained": "share of the feature's variance that a line from the neuron explains, on the text held out",
    "lag": "steps by which the neuron follows the feature; negative: it is ahead of the feature",
    "direction": "1: the neuron is higher where the feature is on or larger; -1: lower",
    "threshold": "threshold that separates on from off best",
    "matthews": "Matthews correlation at this threshold, on the text held out",
    "slope": "change of the count per unit of the signal",
    "intercept": "count at which the signal is 0",
}


def labels(
    trace: Trace,
    features: Sequence[Feature],
    *,
    layers: Sequence[str] | None = None,
    signals: Sequence[str] | None = None,
    search: Search | None = None,
    progress: Progress | None = None,
) -> Table:
    """Find the features that each neuron and signal follows best.

    The best feature is the one of which a line from the neuron explains most. Scores are AUROC for binary features and
    R2 for counts.

    Args:
        trace: a trace in memory or on disk; a block of neurons is read at a time.
        features: the features of the trace's text at every place, from `Steps.features`.
        layers: the layers; None: all layers.
        signals: the signals; None: all signals of the layers.
        search: the settings of the search.
        progress: called with the number of parts done and the number of all parts.

    Returns:
        A row for each label, the best label of a neuron first. `about` has the scores that chance reaches and the
        sizes of the search.

    Raises:
        StudyError: the trace is too short or has no such signal, or no feature varies in it.
    """
    search = search or Search()
    steps = Steps(trace)
    divided = halves(steps)
    least = search.least or default_least(divided)
    columns = Columns(features, steps, least, divided)
    if not columns.binaries and not columns.counts:
        raise StudyError("LABELS_FEATURES_CONSTANT", features=len(features), least=least)
    chosen = _chosen_signals(trace, layers, signals)
    study = LabelSearch(trace, steps, divided, columns, search, least)
    done = 0
    scored: list[tuple[str, str, Columns, LabelScores]] = []
    shifted: dict[str, list[NDArray[np.float64]]] = {measure: [] for measure in MEASURES}
    draws = -(-search.chances // sum(len(study.sampled_neurons(layer)) for layer, _ in chosen))
    parts = sum(study.blocks(layer) for layer, _ in chosen) + len(chosen) * draws

    def report_part() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, parts)

    for number, (layer, signal) in enumerate(chosen):
        with_pairs = study.with_pairs(layer, signal)
        pieces = []
        for piece in study.scores(layer, signal, with_pairs):
            pieces.append(piece)
            report_part()
        scored.append((layer, signal, with_pairs, LabelScores.stack(pieces)))
        for best in study.by_chance(layer, signal, with_pairs, draws, number):
            for measure, scores in best.items():
                shifted[measure].append(scores)
            report_part()
    chance = chance_of([scores.best(search.lags) for *_, scores in scored], shifted, search.rate)
    rows = [row for layer, signal, used, scores in scored for row in study.rows(layer, signal, used, scores, chance)]
    about = {
        "chance": {"least": chance.least, "false_discovery_rate": chance.rate, "searches": chance.searches},
        "steps": {"fit": len(divided.fit), "held_out": len(divided.held_out)},
        "features": {"binary": len(columns.binaries), "count": len(columns.counts), "given": len(features)},
        "neurons": sum(len(scores.fit) for *_, scores in scored),
        "lags": list(search.lags),
    }
    return Table.of(rows, TITLES, **about)


def binary_labels(table: Table, layer: str, neuron: int, signal: str) -> list[str]:
    """Return the names of the binary features that a neuron follows, the best first.

    Args:
        table: the labels.
        layer: the name of the neuron's layer.
        neuron: its number.
        signal: labels of this signal come before those of the neuron's other signals.
    """
    rows = [row for row in table.where(layer=layer, neuron=neuron) if row["measure"] == "AUROC"]
    rows.sort(key=lambda row: (row["signal"] != signal, -row["explained"]))
    return list(dict.fromkeys(row["feature"] for row in rows))


def best_binary_features(
    table: Table, features: Sequence[Feature], signal: str, mask: NDArray[np.bool_]
) -> dict[tuple[str, int], Feature]:
    """Return the best binary feature of each neuron that is both on and off in a text.

    Args:
        table: the labels, of this text or another one.
        features: the features of the text at every place.
        signal: labels of this signal come before those of a neuron's other signals.
        mask: (P,), the places that count.

    Returns:
        (layer name, neuron) -> the feature. Neurons without such a feature are left out.
    """
    best = {}
    for layer, neuron in dict.fromkeys(zip(table["layer"].tolist(), table["neuron"].tolist(), strict=True)):
        for feature in binary_features_named(features, binary_labels(table, layer, neuron, signal)):
            if feature is not None and len(set(feature.values[mask].tolist())) == 2:
                best[layer, neuron] = feature
                break
    return best


def _chosen_signals(trace: Trace, layers: Sequence[str] | None, signals: Sequence[str] | None) -> list[tuple[str, str]]:
    """Return (layer, signal) for the chosen signals of the chosen layers, without drives."""
    pairs = []
    for layer in layers if layers is not None else trace.layers:
        names = [name for name in trace[layer] if "." not in name]
        if missing := [name for name in signals or () if name not in names]:
            raise StudyError("STUDY_SIGNAL_UNKNOWN", layer=layer, signals=", ".join(names), signal=missing[0])
        pairs += [(layer, name) for name in (signals if signals is not None else names)]
    if not pairs:
        raise StudyError("LABELS_SIGNALS_EMPTY")
    return pairs
