"""Which neuron, at which step, carries the difference between two texts?

A neuron that follows a feature need not be used for the prediction. Take a clean text and a corrupted one of the same
length that differ in one place and lead to different predictions. Run the network on the corrupted text, but give one
neuron at one step the value that it has in the clean run. If that alone restores the clean prediction, this neuron
carries the difference at this step. Repeated for every neuron at every step, this maps the path of the information from
the place where the texts differ to the prediction.

Source: Vig, Gehrmann, Belinkov, Qian, Nevo, Singer and Shieber 2020, Investigating gender bias in language models using
causal mediation analysis; Meng, Bau, Andonian and Belinkov 2022, Locating and editing factual associations in GPT,
section 2.1 ("causal tracing").

`T` step, `B` patched run (a batch row), `N` neuron, `V` predicted value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatescope.engine import Intervention
from gatescope.network import Network, evaluating
from gatescope.sources import Recordable, sequences_of
from gatescope.studies.common.layers import LayerId, number_of
from gatescope.studies.common.table import StudyError, Table
from gatescope.vocabulary import Reading

ALL_NEURONS = -1
MAX_BATCH_STEPS = 1 << 18  # steps of all patched runs that are computed side by side: bounds memory
MAX_RUNS = 1_000_000
SMALLEST_DIFFERENCE = 1e-4  # of the metric between both texts, below which a share of it is rounding

TITLES = {
    "step": "step that was patched",
    "clean_symbol": "symbol of the clean text at the step",
    "corrupted_symbol": "symbol of the corrupted text at the step",
    "neuron": f"neuron that was patched; {ALL_NEURONS}: all neurons of the layer at once",
    "metric": "metric of the patched run",
    "effect": "change of the metric by the patch",
    "recovered": "share of the difference between both texts that the patch restores (0: none, 1: all)",
}

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Metric:
    """The value that is read from a run: one prediction after one step."""

    step: int
    place: int
    name: str
    numbers: bool

    def of(self, logits: Tensor) -> NDArray[np.float64]:
        """Return the metric of each run, (B,), from logits (B, V)."""
        values = logits.double()
        values = values if self.numbers else values.log_softmax(-1)
        return values[:, self.place].numpy()


def patching(
    network: Network,
    clean: Recordable,
    corrupted: Recordable,
    *,
    layer: LayerId = "layer0",
    signal: str = "h",
    neurons: Sequence[int] | None = None,
    at: int = -1,
    answer: str | int | None = None,
    progress: Progress | None = None,
) -> Table:
    """Patch every neuron of a layer at every step of a corrupted text with its value in a clean text, one at a time.

    Args:
        network: any network; it is not changed.
        clean: a text (or ids) of one sequence.
        corrupted: another text with the same number of steps.
        layer: the layer, by name ("layer0") or number.
        signal: the signal that is patched, as in "h", "c" or a gate.
        neurons: the neurons; None: all neurons of the layer.
        at: the step after which the prediction is read, counted from 0, or from the end if negative.
        answer: the predicted symbol, class or number whose log-probability (or estimate) is the metric, by name or
            number; None: the most probable one after the clean text.
        progress: called with the number of patched runs done and the number of all runs.

    Returns:
        For every step one row with all neurons patched at once (neuron -1), then one per neuron. `about` has the metric
        of both texts, the answer, and the step that was read.

    Raises:
        StudyError: the texts have different numbers of steps or give the same metric, or the layer, signal, neuron,
            step or answer does not exist.
        RecordingError: a text is empty.
    """
    layer = number_of(network.configuration, layer)
    spec, name = network.configuration.layers[layer], network.configuration.names[layer]
    if signal not in spec.cell.signals:
        raise StudyError("STUDY_SIGNAL_UNKNOWN", layer=name, signals=", ".join(spec.cell.signals), signal=signal)
    chosen = list(range(spec.neurons)) if neurons is None else list(dict.fromkeys(neurons))
    if wrong := [neuron for neuron in chosen if not 0 <= neuron < spec.neurons]:
        raise StudyError("STUDY_NEURON_UNKNOWN", layer=name, last=spec.neurons - 1, neuron=wrong[0])
    good, bad = _one_sequence(network, clean, "clean"), _one_sequence(network, corrupted, "corrupted")
    if len(good) != len(bad):
        raise StudyError("PATCHING_LENGTHS_DIFFER", clean=len(good), corrupted=len(bad))
    runs = len(good) * (len(chosen) + 1)
    if runs > MAX_RUNS:
        raise StudyError("PATCHING_TOO_MANY_RUNS", max_runs=MAX_RUNS, runs=runs)
    step = _step(network, at, len(good))
    clean_logits, values = _run(network, good, step, layer, signal)
    corrupted_logits, _ = _run(network, bad, step, layer, signal)
    metric = _metric(network, answer, step, clean_logits)
    best, base = float(metric.of(clean_logits)[0]), float(metric.of(corrupted_logits)[0])
    if abs(best - base) < SMALLEST_DIFFERENCE:
        raise StudyError("PATCHING_PREDICTIONS_EQUAL", answer=metric.name, value=best, step=step)
    targets: list[int | slice] = [slice(None), *chosen]
    pairs = [(t, target) for t in range(len(good)) for target in targets]
    metrics = np.empty(len(pairs))
    size = max(1, MAX_BATCH_STEPS // len(good))
    for start in range(0, len(pairs), size):
        part = pairs[start : start + size]
        metrics[start : start + len(part)] = metric.of(_patched(network, bad, step, layer, signal, values, part))
        if progress is not None:
            progress(start + len(part), len(pairs))
    about = {
        "study": "patching",
        "layer": layer,
        "layer_name": network.configuration.names[layer],
        "signal": signal,
        "at": step,
        "answer": metric.name,
        "metric": "estimate" if metric.numbers else "log-probability of the answer (nats)",
        "clean": best,
        "corrupted": base,
    }
    return Table(_columns(network, good, bad, chosen, metrics, base, best), TITLES, about)


def _one_sequence(network: Network, source: Recordable, which: str) -> Reading:
    sequences = sequences_of(network, source)
    if len(sequences) != 1:
        raise StudyError("PATCHING_TEXT_NOT_ONE_SEQUENCE", sequences=len(sequences), text=which)
    return sequences[0]


def _step(network: Network, at: int, length: int) -> int:
    if not -length <= at < length:
        raise StudyError("PATCHING_STEP_UNKNOWN", last=length - 1, step=at)
    if network.configuration.readout.reads == "last step" and at % length != length - 1:
        raise StudyError("PATCHING_STEP_NOT_LAST", step=at)
    return at % length


def _run(
    network: Network, sequence: Reading, step: int, layer: int, signal: str
) -> tuple[Tensor, NDArray[np.floating[Any]]]:
    """Return the logits after a step, (1, V), and the values of the signal, (T, N), of the unchanged network."""
    keep = [(signal,) if k == layer else () for k in range(len(network.configuration.layers))]
    with torch.inference_mode(), evaluating(network):
        output = network(_batch(network, sequence, 1), keep=keep)
    return _at(network, output.logits, step), output.signals[layer][signal][:, 0].numpy()


def _patched(
    network: Network,
    sequence: Reading,
    step: int,
    layer: int,
    signal: str,
    values: NDArray[np.floating[Any]],
    pairs: Sequence[tuple[int, int | slice]],
) -> Tensor:
    """Return the logits (B, V) of runs with one step (and neuron) each patched with the clean values (T, N)."""
    clean = torch.from_numpy(values)
    name = network.configuration.names[layer]
    patches = [
        Intervention(name, signal, target, slice(t, t + 1), 0.0, clean[:, target], row)
        for row, (t, target) in enumerate(pairs)
    ]
    with torch.inference_mode(), evaluating(network):
        logits = network(_batch(network, sequence, len(pairs)), interventions=patches).logits
    return _at(network, logits, step)


def _batch(network: Network, sequence: Reading, rows: int) -> Tensor:
    """Return one sequence as (T, B), or (T, B, I) numbers, the same in every row."""
    steps = torch.from_numpy(np.ascontiguousarray(sequence))
    steps = steps.to(network.readout_biases.dtype) if steps.is_floating_point() else steps.long()
    return steps[:, None].expand(-1, rows, *[-1] * (steps.ndim - 1))


def _at(network: Network, logits: Tensor, step: int) -> Tensor:
    return logits if network.configuration.readout.reads == "last step" else logits[step]


def _metric(network: Network, answer: str | int | None, step: int, clean: Tensor) -> _Metric:
    """Resolve the answer; None: the most probable one after the clean text."""
    readout, vocabulary = network.configuration.readout, network.configuration.vocabulary
    if readout.kind == "symbols":
        names: Sequence[str] = vocabulary.labels(np.arange(vocabulary.size))
    else:
        names = readout.value_names
    place = int(clean[0].argmax()) if answer is None and readout.kind != "numbers" else answer
    place = 0 if place is None else place
    if isinstance(place, str):
        places = [k for k, name in enumerate(names) if name == place]
        if not places:
            shown = ", ".join(map(repr, names[:12])) + (", ..." if len(names) > 12 else "")
            raise StudyError("PATCHING_ANSWER_UNKNOWN", names=shown, answer=answer)
        place = places[0]
    if not 0 <= place < len(names):
        raise StudyError("PATCHING_ANSWER_NUMBER_UNKNOWN", last=len(names) - 1, answer=place)
    return _Metric(step, place, names[place], readout.kind == "numbers")


def _columns(
    network: Network,
    good: Reading,
    bad: Reading,
    chosen: Sequence[int],
    metrics: NDArray[np.float64],
    base: float,
    best: float,
) -> dict[str, NDArray[Any]]:
    rows_per_step, vocabulary = len(chosen) + 1, network.configuration.vocabulary
    symbols = [np.repeat(np.array(vocabulary.labels(read), dtype=object), rows_per_step) for read in (good, bad)]
    return {
        "step": np.repeat(np.arange(len(good)), rows_per_step),
        "clean_symbol": symbols[0],
        "corrupted_symbol": symbols[1],
        "neuron": np.tile([ALL_NEURONS, *chosen], len(good)),
        "metric": metrics,
        "effect": metrics - base,
        "recovered": (metrics - base) / (best - base),
    }
