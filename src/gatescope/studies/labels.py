"""Which feature does each neuron follow?

A trained network does not say what its neurons are for. If a neuron is high exactly inside quotation marks, that is a
first hypothesis about its role, and the first step from a picture of activity to an explanation. Ablation is then the
test of the hypothesis.

Every signal of every neuron is compared with every feature of a text. The feature, the lag, the direction, the line and
the threshold are chosen on one half of the text, and every score is evaluated on the other half. A score alone means
little, because one of hundreds of features always fits a little; see `gatescope.studies.common.chance.Chance` for the
scores that chance reaches. Sequences that are equal to an earlier one are left out: they would count the same twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gatescope.features import Feature, above, features_named, of_symbols
from gatescope.studies.common.label_search import LabelSearch, Progress, Search
from gatescope.studies.common.label_tables import label_rows
from gatescope.studies.common.scores import default_least, halves, without_places
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
    "short": "short name of the feature",
    "rank": "place of the neuron among those of the signal with the same first label, from 1; 0 for other labels",
    "measure": "AUROC of a binary feature, R2 of a count",
    "score": "score on the text held out",
    "fit_score": "score on the text it was chosen on",
    "explained": "share of the feature's variance that a line from the neuron explains, on the text held out",
    "within": "correlation at the same position of different sequences, the lower of both halves; none for a function "
    "of the position, and in a text of one sequence",
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
        features: the features of the trace's text at every place, from `Steps.features`. In a text of few symbols,
            features of letters, words and sentences are left out.
        layers: the layers; None: all layers.
        signals: the signals; None: all signals of the layers.
        search: the settings of the search.
        progress: called with the number of neurons scored, those moved to other places included, and the number of all.

    Returns:
        A row for each label, the best label of a neuron first. `about` has the scores that chance reaches, how the
        signals were moved to find them, the neurons that change too slowly for the text (`too_slow`), and the sizes of
        the search.

    Raises:
        StudyError: the trace is too short or has no such signal, or no feature varies in it.
    """
    search = search or Search()
    steps = Steps(trace)
    divided = without_places(halves(steps), steps.repeated())
    least = search.least or default_least(divided)
    study = LabelSearch(trace, steps, divided, of_symbols(features), search, least)
    if not study.features.binaries and not study.features.counts:
        raise StudyError("LABELS_FEATURES_CONSTANT", features=len(features), least=least)
    rows, about = label_rows(study, _chosen_signals(trace, layers, signals), progress)
    about["features"]["given"] = len(features)
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
    """Return the feature of the best label of each neuron that is both on and off in a text.

    A count is on where it is above 0, or above its mean if it never is 0.

    Args:
        table: the labels, of this text or another one.
        features: the features of the text at every place.
        signal: labels of this signal come before those of a neuron's other signals.
        mask: (P,), the places that count.

    Returns:
        (layer name, neuron) -> the feature. Neurons without such a feature are left out.
    """
    best: dict[tuple[str, int], Feature] = {}
    rows = sorted(table, key=lambda row: (row["signal"] != signal, row.get("place", 0), -row["explained"]))
    names = list(dict.fromkeys(row["feature"] for row in rows))
    named = dict(zip(names, features_named(features, names), strict=True))
    for row in rows:
        feature, neuron = named[row["feature"]], (row["layer"], row["neuron"])
        if feature is None or neuron in best or feature.kind == "category":
            continue
        binary = above(feature) if feature.kind == "count" else feature
        if len(set(binary.values[mask].tolist())) == 2:
            best[neuron] = binary
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
