"""Sources of a recording: the sequences and targets in a text or in arrays.

`S` sequence, `T` step, `I` number of a step, `O` predicted number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gatescope.configuration import Configuration
from gatescope.errors import GatescopeError
from gatescope.network import Network, padded
from gatescope.readings import readings, texts_in
from gatescope.readout import Readout
from gatescope.vocabulary import PADDING, Ids, Reading, next_symbols

Recordable = str | Sequence[Any] | NDArray[Any] | Tensor
"""A text, several texts, or sequences of ids or numbers in arrays, tensors or lists; `readings` checks them."""
Answers = Callable[[str], NDArray[Any] | None]
"""A function from the text of a sequence to its targets after each step: (T,) ids of symbols or classes, -1 for no
target; or (T, O) numbers, NaN for no target. None if the targets of the text are unknown."""


class RecordingError(GatescopeError):
    """A source that cannot be recorded; the message says what to change."""


def parts_of(network: Network, text: str) -> list[str]:
    """Cut a text into its sequences, after each end mark.

    A network that predicts once, at the end mark, gets one at the end of a text that has none.
    """
    return parts_for(network.configuration, text)


def parts_for(configuration: Configuration, text: str) -> list[str]:
    """Cut a text into its sequences as `parts_of` does, without a network's weights."""
    vocabulary = configuration.vocabulary
    end = vocabulary.end
    if end is not None and configuration.readout.reads == "last step" and text.strip() and not text.endswith(end):
        text += end
    return vocabulary.split(text)


def sequences_of(network: Network, source: Recordable) -> list[Reading]:
    """Return the sequences of a text, of several texts, or of arrays, as the network reads them.

    Raises:
        RecordingError: the text is empty, does not hold the numbers that the network reads, or an id does not exist.
    """
    checked: object = network
    if not isinstance(checked, Network):
        raise RecordingError("RECORDING_NETWORK_TYPE", type=type(checked).__name__)
    vocabulary = network.configuration.vocabulary
    try:
        parts = _parts(network, source)
        sequences = readings(vocabulary, source) if parts is None else [vocabulary.encode(part) for part in parts]
    except RecordingError:
        raise
    except GatescopeError as error:
        raise RecordingError(error.message) from error
    if not sequences or not all(len(sequence) for sequence in sequences):
        raise RecordingError("RECORDING_SOURCE_EMPTY")
    return sequences


def _parts(network: Network, source: Recordable) -> list[str] | None:
    """Return the sequences of one or several texts; None if the source is not made of texts.

    Raises:
        RecordingError: one of several texts is empty.
        ReadingError: only some of several things are texts.
    """
    texts = texts_in(source)
    if texts is None:
        return None
    parts = [parts_of(network, text) for text in texts]
    if len(parts) > 1 and not all(parts):
        raise RecordingError("RECORDING_TEXT_EMPTY", index=next(k for k, part in enumerate(parts) if not part))
    return [sequence for part in parts for sequence in part]


def symbols_of(network: Network, source: Recordable) -> list[Ids]:
    """Return the sequences of a source as ids: `sequences_of` for studies that need symbols.

    Raises:
        RecordingError: as `sequences_of`; or the network reads numbers.
    """
    if network.configuration.vocabulary.unit == "number":
        raise RecordingError("RECORDING_READS_NUMBERS")
    return sequences_of(network, source)  # type: ignore[return-value]


def targets_of(network: Network, source: Recordable, sequences: Sequence[Reading], answers: Answers | None) -> Reading:
    """Return the targets after each step of the sequences of a source.

    Args:
        network: the network.
        source: what it reads.
        sequences: the sequences of the source.
        answers: the targets of a text; the next symbol if None. Classes and numbers then have no targets.

    Returns:
        (S, T) ids, padded with -1, or (S, T, O) numbers, padded with NaN.

    Raises:
        RecordingError: there is not one target for each step.
    """
    readout = network.configuration.readout
    parts = None if answers is None else _parts(network, source)
    targets: list[Reading] = []
    for k, sequence in enumerate(sequences):
        answer = None if answers is None or parts is None else answers(parts[k])
        if answer is not None and len(answer) != len(sequence):
            raise RecordingError("RECORDING_TARGET_COUNT", count=len(answer), steps=len(sequence))
        targets.append(default_targets(readout, sequence) if answer is None else answer)
    return padded(targets)[0]


def default_targets(readout: Readout, sequence: Reading) -> Reading:
    """Return the targets of a sequence if no others are known: the next symbol; none for classes and numbers."""
    if readout.kind == "symbols":
        return next_symbols(sequence)  # type: ignore[arg-type]  symbols are only predicted by networks that read them
    if readout.kind == "numbers":
        return np.full((len(sequence), len(readout.names)), np.nan, np.float32)
    return np.full(len(sequence), PADDING, np.int32)
