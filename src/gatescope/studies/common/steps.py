"""The steps of all sequences of a trace, one after the other: the axis along which studies count.

`P` step of any sequence (a place), `N` neuron.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gatescope.features import Family, Feature, annotate
from gatescope.studies.common.arrays import of_neurons
from gatescope.studies.common.table import StudyError
from gatescope.trace import Trace
from gatescope.vocabulary import PADDING, Vocabulary


class Steps:
    """Where the steps of a trace lie on one axis of P places.

    Attributes:
        starts: the place of the first step of each sequence, and P at the end, (S + 1,).
        sequence: of each place, (P,).
        step: of each place within its sequence, (P,).
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
        """A signal of some neurons at every place, (P, N); only these are read from a trace on disk.

        Raises:
            TraceError: the trace has no such layer.
            StudyError: the layer has no such signal.
        """
        return of_neurons(self._trace, layer, signal, neurons).T.astype(np.float32, order="C")

    def of_step(self, name: str) -> NDArray[np.generic]:
        """An array of steps ("token", "log_probability") at every place, (P,) or (P, K).

        Raises:
            StudyError: the trace has no such array.
        """
        if name not in self._trace.steps:
            raise StudyError("STEPS_ARRAY_UNKNOWN", name=name, names=", ".join(self._trace.steps))
        array = self._trace.steps[name]
        parts = [np.asarray(array[sequence, : int(length)]) for sequence, length in enumerate(self._trace.lengths)]
        return np.concatenate(parts) if parts else np.empty((0, *array.shape[2:]), array.dtype)

    def same(self) -> NDArray[np.int64]:
        """Return for each sequence a number that equal sequences share, (S,), in the order of their first places.

        Sequences are equal if they read the same from the same initial states. A recorded list of equal sequences
        counts, otherwise the numbers or symbols that were read. Sequences that cannot be compared are different.
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
        found = []
        for row, (start, end) in enumerate(pairwise(self.starts)):
            part = read[start:end]
            known = part.ndim > 1 or bool((part != PADDING).all())
            key = (part.tobytes(), *(array[row].tobytes() for array in states)) if known else row
            found.append(numbers.setdefault(key, len(numbers)))
        return np.array(found, dtype=np.int64)

    def repeated(self) -> NDArray[np.bool_]:
        """Whether each place is in a sequence that equals an earlier one, (P,)."""
        equal = self.same()
        _, first = np.unique(equal, return_index=True)
        return ~np.isin(self.sequence, first)

    def texts(self) -> list[str]:
        """The text of each sequence."""
        return [self._trace.text(sequence) for sequence in range(len(self._trace.lengths))]

    def features(self, families: Iterable[Family], texts: Sequence[str] | None = None) -> list[Feature]:
        """The features of the trace's text at every place, (P,).

        Args:
            families: whose features.
            texts: of each sequence, where they are still known: a trace does not hold how a word is spelled that the
                network does not know, nor its capitals if it was looked up in small letters.

        Where the network reads bytes, each byte has the features of the character that it is a part of; a word has
        those of its last character. Some families are read from the trace itself.

        Raises:
            StudyError: the steps are not those of a text.
            TraceError: the trace does not say what its vectors stand for.
        """
        families = list(families)
        of_trace = [feature for each in families if each.of_trace for feature in each.of_trace(self._trace)]
        families = [each for each in families if each.of_trace is None]
        if not families:
            return of_trace
        texts = self.texts() if texts is None else list(texts)
        return of_trace + at_steps(self._trace.vocabulary, texts, families, np.diff(self.starts).tolist())


def at_steps(
    vocabulary: Vocabulary, texts: Sequence[str], families: Iterable[Family], counts: Sequence[int] | None = None
) -> list[Feature]:
    """The features of texts at each step that a network of this vocabulary reads of them, one text after the other.

    Args:
        vocabulary: what a step is.
        texts: of one sequence each.
        families: none of them read from a trace.
        counts: how many steps each text has; counted when not given.

    Raises:
        StudyError: the steps are not those of a text.
    """
    families = list(families)
    counts = [len(vocabulary.encode(text)) for text in texts] if counts is None else counts
    found = annotate(texts, [family for family in families if family.per == "step"], counts)
    of_characters = annotate(texts, [family for family in families if family.per == "character"])
    if vocabulary.unit == "character" or not of_characters:
        return found + of_characters
    begins = np.cumsum([0, *map(len, texts)])[:-1].tolist()
    last = [begin + vocabulary.spans(text)[:, 1] - 1 for begin, text in zip(begins, texts, strict=True)]
    places = np.concatenate(last)
    if len(places) != sum(counts):
        raise StudyError("STEPS_TEXT_DAMAGED")
    return found + [replace(feature, values=feature.values[places]) for feature in of_characters]
