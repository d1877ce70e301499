"""What a study takes as the loss of a network, whatever it predicts: symbols, classes or numbers.

`T` step, `O` number that is predicted, `Q` quantile.
"""

from __future__ import annotations

from itertools import pairwise

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
    """What the loss of one step is measured in."""
    if readout.kind == "numbers":
        return "pinball loss" if readout.quantiles else "squared error"
    return "nats per symbol" if readout.kind == "symbols" else "nats per class"


def loss_of(readout: Readout, logits: Tensor, targets: Tensor) -> Tensor:
    """The loss of every prediction; 0 where there is no target.

    Of symbols and classes -log p(target), in nats. Of numbers the squared error, or at quantiles the mean pinball loss
    (Koenker and Bassett 1978), the mean of those that are asked for: what training makes small.

    Args:
        readout: what is predicted.
        logits: (..., V), or estimates (..., O · Q).
        targets: (...,) ids, -1 or above the last one where there is none; or (..., O) numbers, NaN where there is none.
    """
    if readout.kind == "numbers":
        asked = ~targets.isnan()
        wanted = targets.nan_to_num(0.0).to(logits.dtype)
        if readout.quantiles:
            off = wanted.unsqueeze(-1) - logits.unflatten(-1, (-1, len(readout.quantiles)))
            told = pinball(off, torch.tensor(readout.quantiles, dtype=logits.dtype)).mean(-1)
        else:
            told = (logits - wanted) ** 2
        return (told * asked).sum(-1) / asked.sum(-1).clamp(min=1)
    asked = is_symbol(targets, logits.shape[-1])
    chosen = targets.where(asked, 0).long().unsqueeze(-1)
    return -logits.log_softmax(-1).gather(-1, chosen).squeeze(-1) * asked


def asked(configuration: Configuration, targets: Reading) -> NDArray[np.bool_]:
    """At which steps of a sequence a loss is taken, (T,): where there is a target, and something is predicted at all.

    A network that predicts once says nothing before the last step.
    """
    readout = configuration.readout
    there = np.zeros(len(targets), np.bool_)
    said = slice(-1, None) if readout.reads == "last step" else slice(None)
    here = targets[said]
    if readout.kind == "numbers":
        there[said] = np.logical_not(np.isnan(here).all(1))
    else:
        there[said] = is_symbol(here, configuration.predicted)
    return there


def target_mask(configuration: Configuration, trace: Trace) -> NDArray[np.bool_]:
    """Select the places of a trace at which a loss is taken, (P,).

    Raises:
        StudyError: the trace does not hold its targets.
    """
    steps = Steps(trace)
    targets = steps.of_step("value" if configuration.readout.kind == "numbers" else "target")
    parts = [asked(configuration, targets[start:end]) for start, end in pairwise(steps.starts)]
    return np.concatenate(parts) if parts else np.zeros(0, np.bool_)


def read_with_targets(
    network: Network, source: Recordable, answers: Answers | None
) -> tuple[list[Reading], list[Reading]]:
    """The sequences of a source, and what should be said after each of their steps: (T,) ids or (T, O) numbers.

    Raises:
        RecordingError: there is nothing to read, or the answers are not one for each step.
    """
    sequences = sequences_of(network, source)
    told = targets_of(network, source, sequences, answers)
    return sequences, [row[: len(sequence)] for row, sequence in zip(told, sequences, strict=True)]


def targets_for(network: Network, sequence: Reading, targets: Reading | None) -> Reading:
    """What should be said after each step of one sequence: as given; else what can be known without being told.

    Of symbols that is the next one. Of classes it is what the network itself says: then a gradient tells what that
    rests on.

    Raises:
        StudyError: numbers are predicted, and it was not given which are right; or it is not one for each step.
    """
    configuration = network.configuration
    if targets is not None:
        given = np.asarray(targets)
        if len(given) != len(sequence):
            raise StudyError("LOSSES_TARGETS_LENGTH_MISMATCH", steps=len(sequence), targets=len(given))
        return given.astype(np.float32) if configuration.readout.kind == "numbers" else given.astype(np.int32)
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
