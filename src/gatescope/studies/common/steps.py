"""The places of a trace: the steps of all sequences, one after the other.

`P` step of any sequence (a place), `N` neuron.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gatescope.features import Family, Feature, annotate
from gatescope.studies.common.arrays import at_places
from gatescope.studies.common.table import StudyError
from gatescope.trace import Trace
from gatescope.vocabulary import PADDING, Vocabulary


class Steps:
    """The P places of a trace.

    Attributes:
        starts: the place of the first step of each sequence, and P at the end, (S + 1,).
        sequence: the sequence of each place, (P,).
        step: the step of each place within its sequence, (P,).
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        lengths = np.asarray(trace.lengths, dtype=np.int64)
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        self.sequence = np.repeat(np.arange(len(lengths)), lengths)
        self.step = np.arange(self.starts[-1]) - np.repeat(self.starts[:-1], lengths)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def values(self, layer: str, signal: str, neurons: slice | Sequence[int] = slice(None)) -> NDArray[np.float32]:
        """Read a signal of some neurons at every place, (P, N).

        Raises:
            TraceError: the trace has no such layer.
            StudyError: the layer has no such signal.
        """
        return at_places(self._trace, layer, signal, neurons)

    def of_step(self, name: str) -> NDArray[np.generic]:
        """Read an array of steps, such as "token" or "log_probability", at every place, (P,) or (P, K).

        Raises:
            StudyError: the trace has no such array.
        """
        if name not in self._trace.steps:
            raise StudyError("STEPS_ARRAY_UNKNOWN", name=name, names=", ".join(self._trace.steps))
        array = self._trace.steps[name]
        parts = [np.asarray(array[sequence, : int(length)]) for sequence, length in enumerate(self._trace.lengths)]
        return np.concatenate(parts) if parts else np.empty((0, *array.shape[2:]), array.dtype)

    def same(self) -> NDArray[np.int64]:
        """Return a number for each sequence, (S,), that only equal sequences share, in the order of their first places.

        Sequences are equal if they have the same input and the same initial states. The recorded list of repeats is
        used if the trace has one, otherwise the input. Sequences whose input the trace does not hold count as
        different.
        """
        repeats = self._trace.attributes.get("repeats")
        if repeats is not None:
            earlier = np.arange(len(self.starts) - 1)
            for row, first in repeats:
                earlier[row] = first
            return np.unique(earlier, return_inverse=True)[1].astype(np.int64)
        read = self.of_step("input" if "input" in self._trace.steps else "token")
        states = [np.asarray(array) for layer in self._trace.initial.values() for array in layer.values()]
        numbers: dict[tuple[bytes, ...] | int, int] = {}
        result = []
        for row, (start, end) in enumerate(pairwise(self.starts)):
            part = read[start:end]
            known = part.ndim > 1 or bool((part != PADDING).all())
            key = (part.tobytes(), *(array[row].tobytes() for array in states)) if known else row
            result.append(numbers.setdefault(key, len(numbers)))
        return np.array(result, dtype=np.int64)

    def repeated(self) -> NDArray[np.bool_]:
        """Test whether each place is in a sequence that equals an earlier one, (P,)."""
        equal = self.same()
        _, first = np.unique(equal, return_index=True)
        return ~np.isin(self.sequence, first)

    def texts(self) -> list[str]:
        """Return the text of each sequence."""
        return [self._trace.text(sequence) for sequence in range(len(self._trace.lengths))]

    def features(self, families: Iterable[Family], texts: Sequence[str] | None = None) -> list[Feature]:
        """Compute the features of the trace's text at every place, (P,).

        If the network reads bytes, each byte has the features of its character; a word has those of its last
        character. Some families read the trace itself.

        Args:
            families: the families of the features.
            texts: the text of each sequence, if known. A trace does not hold the spelling of words outside the
                vocabulary, nor capitals if the vocabulary has none.

        Raises:
            StudyError: the steps are not those of a text.
            TraceError: the trace has no vocabulary.
        """
        families = list(families)
        of_trace = [feature for family in families if family.of_trace for feature in family.of_trace(self._trace)]
        families = [family for family in families if family.of_trace is None]
        if not families:
            return of_trace
        texts = self.texts() if texts is None else list(texts)
        return of_trace + at_steps(self._trace.vocabulary, texts, families, np.diff(self.starts).tolist())


def at_steps(
    vocabulary: Vocabulary, texts: Sequence[str], families: Iterable[Family], counts: Sequence[int] | None = None
) -> list[Feature]:
    """Compute the features of texts at each step of a vocabulary, one text after the other.

    Args:
        vocabulary: the vocabulary that divides a text into steps.
        texts: one text for each sequence.
        families: the families of the features; none of them may read a trace.
        counts: the number of steps of each text; counted if None.

    Raises:
        StudyError: the steps are not those of a text.
    """
    families = list(families)
    counts = [len(vocabulary.encode(text)) for text in texts] if counts is None else counts
    of_steps = annotate(texts, [family for family in families if family.per == "step"], counts)
    of_characters = annotate(texts, [family for family in families if family.per == "character"])
    if vocabulary.unit == "character" or not of_characters:
        return of_steps + of_characters
    begins = np.cumsum([0, *map(len, texts)])[:-1].tolist()
    last = [begin + vocabulary.spans(text)[:, 1] - 1 for begin, text in zip(begins, texts, strict=True)]
    places = np.concatenate(last)
    if len(places) != sum(counts):
        raise StudyError("STEPS_TEXT_DAMAGED")
    return of_steps + [replace(feature, values=feature.values[places]) for feature in of_characters]
