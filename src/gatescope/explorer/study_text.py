"""The held-out text on which the studies of a run are made, with its trace and features."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from gatescope.configuration import Configuration
from gatescope.explorer.costs import (
    megabytes,
    most_steps,
    recording_bytes,
    size_of,
    trace_bytes,
    weight_bytes,
    with_network,
)
from gatescope.explorer.memory import STUDY_BYTES
from gatescope.explorer.recorder import weights_stamp
from gatescope.explorer.requests import RequestError
from gatescope.explorer.tracks import FEATURE_BYTES
from gatescope.features import Feature
from gatescope.runs import Run
from gatescope.studies.common.subjects import Subject, features_of, subject
from gatescope.studies.common.table import Table
from gatescope.studies.health import health
from gatescope.tasks.base.strings import StringTask
from gatescope.trace import Trace

TEXT_CHARACTERS = 20_000
STRING_CHARACTERS = 4_000  # for tasks of strings, which repeat themselves
MIN_STEPS = 50  # a shorter text shows nothing about a neuron
COPIES_OF_TRACE = 2  # that the studies make of the trace, piece by piece


class StudyText:
    """A network and a text that it was not trained on.

    Attributes:
        subject: the network and the text.
        trace: every signal on the text.
        stamp: a value that changes with the weights file.
        mark: the mark of the weights in saved tables.
    """

    def __init__(self, run: Run) -> None:
        self.stamp = weights_stamp(run)
        self.mark = run.weights_mark() if self.stamp else ""
        max_characters = STRING_CHARACTERS if isinstance(run.task(), StringTask) else TEXT_CHARACTERS
        characters = characters_within(run.configuration(), max_characters)
        self.subject: Subject = subject(run, characters=characters)
        with self.subject.trace() as trace:
            self.trace: Trace = trace

    @property
    def nbytes(self) -> int:
        """The bytes of the network, the trace and the features."""
        configuration = self.subject.network.configuration
        steps = int(np.prod(self.trace.steps["token"].shape))
        return weight_bytes(configuration) + trace_bytes(configuration, steps) + FEATURE_BYTES * steps

    @cached_property
    def features(self) -> list[Feature]:
        """Return the features at every step of the text."""
        return features_of(self.subject, self.trace)

    @cached_property
    def health(self) -> Table:
        """Return the health of every neuron."""
        return health(self.trace)

    def beginning(self, max_steps: int) -> tuple[str, int]:
        """Return the beginning of the text, and its number of steps.

        Args:
            max_steps: the number of steps, which the last string of a task of strings may exceed.
        """
        vocabulary = self.subject.network.configuration.vocabulary
        text = self.subject.text
        if vocabulary.unit == "number":
            part = "".join(text.splitlines(keepends=True)[:max_steps])
        elif vocabulary.end is None and vocabulary.in_words:
            spans = vocabulary.spans(text)[:max_steps]
            part = text[: int(spans[-1, 1])] if len(spans) else ""
        elif vocabulary.end is None:
            part = text[:max_steps]
        else:
            strings = [string + vocabulary.end for string in text.split(vocabulary.end) if string]
            ends = np.cumsum([len(string) for string in strings])
            part = "".join(strings[: int(np.searchsorted(ends, max_steps)) + 1])
        return part, len(vocabulary.labels(part))


def characters_within(configuration: Configuration, max_characters: int) -> int:
    """Return the number of characters that can be studied within STUDY_BYTES, at most `max_characters`.

    Raises:
        RequestError: the network is too large for a study.
    """

    def cost(steps: int) -> int:
        recorded = recording_bytes(configuration, 1, steps) + COPIES_OF_TRACE * trace_bytes(configuration, steps)
        return with_network(configuration, recorded + FEATURE_BYTES * steps)

    characters = most_steps(cost, STUDY_BYTES, max_characters)
    if characters < MIN_STEPS:
        raise RequestError(
            "STUDY_NETWORK_TOO_LARGE", status=413, network=size_of(configuration), limit=megabytes(STUDY_BYTES)
        )
    return characters
