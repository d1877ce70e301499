"""The loss of a network in the studies, for predicted symbols, classes and numbers.

`T` step, `O` predicted number, `Q` quantile.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatescope.configuration import Configuration
from gatescope.messages import Message
from gatescope.network import Network, passes
from gatescope.readout import Readout, pinball
from gatescope.sources import Answers, Recordable, default_targets, sequences_of, targets_of
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError
from gatescope.trace import Trace
from gatescope.vocabulary import Reading, is_symbol


def unit(readout: Readout) -> str:
    """Return the unit of the loss of one step."""
    if readout.kind == "numbers":
        return "pinball loss" if readout.quantiles else "squared error"
    return "nats per symbol" if readout.kind == "symbols" else "nats per class"


def loss_of(readout: Readout, logits: Tensor, targets: Tensor) -> Tensor:
    """Compute the loss of every prediction, as in training; 0 without a target.

    For symbols and classes: -log p(target), in nats. For numbers: the mean squared error, or the mean pinball loss of
    the quantiles (Koenker and Bassett 1978), over the numbers with a target.

    Args:
        readout: the predicted values.
        logits: logits (..., V), or estimates (..., O · Q).
        targets: ids (...,), where a negative id or one from V on is no target; or numbers (..., O), where NaN is none.

    Returns:
        (...,).
    """
    if readout.kind == "numbers":
        mask = ~targets.isnan()
        values = targets.nan_to_num(0.0).to(logits.dtype)
        if readout.quantiles:
            residuals = values.unsqueeze(-1) - logits.unflatten(-1, (-1, len(readout.quantiles)))
            levels = torch.tensor(readout.quantiles, dtype=logits.dtype)
            losses = pinball(residuals, levels).mean(-1)
        else:
            losses = (logits - values) ** 2
        return (losses * mask).sum(-1) / mask.sum(-1).clamp(min=1)
    mask = is_symbol(targets, logits.shape[-1])
    ids = targets.where(mask, 0).long().unsqueeze(-1)
    return -logits.log_softmax(-1).gather(-1, ids).squeeze(-1) * mask


def target_mask(configuration: Configuration, targets: Reading) -> NDArray[np.bool_]:
    """Select the steps of a sequence at which a loss is taken, (T,): those with a target and a prediction.

    A many-to-one network has a prediction at the last step only.
    """
    readout = configuration.readout
    mask = np.zeros(len(targets), np.bool_)
    predicted = slice(-1, None) if readout.reads == "last step" else slice(None)
    some = targets[predicted]
    if readout.kind == "numbers":
        mask[predicted] = np.logical_not(np.isnan(some).all(1))
    else:
        mask[predicted] = is_symbol(some, configuration.predicted)
    return mask


def trace_target_mask(configuration: Configuration, trace: Trace) -> NDArray[np.bool_]:
    """Select the places of a trace at which a loss is taken, (P,); see `target_mask`.

    Raises:
        StudyError: the trace does not hold its targets.
    """
    steps = Steps(trace)
    targets: NDArray[Any] = steps.of_step("value" if configuration.readout.kind == "numbers" else "target")
    parts = [target_mask(configuration, targets[start:end]) for start, end in pairwise(steps.starts)]
    return np.concatenate(parts) if parts else np.zeros(0, np.bool_)


def read_with_targets(
    network: Network, source: Recordable, answers: Answers | None
) -> tuple[list[Reading], list[Reading]]:
    """Return the sequences of a source, and for each the targets of its steps: ids (T,) or numbers (T, O).

    Raises:
        RecordingError: the source is empty, or there is not one answer for each step.
    """
    sequences = sequences_of(network, source)
    padded_targets = targets_of(network, source, sequences, answers)
    return sequences, [row[: len(sequence)] for row, sequence in zip(padded_targets, sequences, strict=True)]


def targets_for(network: Network, sequence: Reading, targets: Reading | None) -> Reading:
    """Return the targets of one sequence, ids (T,) or numbers (T, O).

    Without explicit targets, the target of symbols is the next symbol. The target of classes is the network's own
    prediction, so that a gradient shows what the prediction rests on.

    Raises:
        StudyError: there is not one target for each step, or the network predicts numbers and no targets are given.
    """
    configuration = network.configuration
    if targets is not None:
        values = np.asarray(targets)
        if len(values) != len(sequence):
            raise StudyError("LOSSES_TARGETS_LENGTH_MISMATCH", steps=len(sequence), targets=len(values))
        return values.astype(np.float32) if configuration.readout.kind == "numbers" else values.astype(np.int32)
    if configuration.readout.kind == "symbols":
        return default_targets(configuration.readout, sequence)
    if configuration.readout.kind == "numbers":
        raise StudyError("LOSSES_TARGETS_MISSING")
    runs = passes(network, torch.from_numpy(sequence).unsqueeze(1), reads="every step")
    classes = [run.output.logits.argmax(-1).expand(run.mask.shape)[:, 0] for run in runs]
    return torch.cat(classes).numpy().astype(np.int32)


def check_predicts_next(configuration: Configuration, study: Message) -> None:
    """Refuse a network that does not predict the next symbol at every step.

    Args:
        configuration: the configuration of the network.
        study: the name of the study, for the error.

    Raises:
        StudyError: the network predicts something else, or reads the next symbol before it predicts it.
    """
    readout = configuration.readout
    if readout.kind != "symbols" or readout.reads != "every step":
        once = readout.reads == "last step"
        code = "LOSSES_NETWORK_WITHOUT_NEXT_SYMBOL_ONCE" if once else "LOSSES_NETWORK_WITHOUT_NEXT_SYMBOL"
        raise StudyError(code, study=study, kind=readout.kind)
    if configuration.both_ways:
        raise StudyError("LOSSES_NETWORK_READS_BOTH_WAYS", study=study)
