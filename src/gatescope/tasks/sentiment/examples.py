"""The examples of the task sentiment: test texts that are easy to read."""

from __future__ import annotations

from itertools import chain

import numpy as np

from gatescope.splitting import words_of
from gatescope.tasks.sentiment.sentiment_parts import Parts
from gatescope.vocabulary import Vocabulary

EXAMPLES = 3  # groups of texts
CANDIDATES = 500  # texts of each class among which the examples are chosen
EXAMPLE_WORDS = (6, 14)  # the preferred length of a text

Example = tuple[str, int]
"""A text and its class."""


def choose_examples(parts: Parts, vocabulary: Vocabulary) -> list[list[Example]]:
    """Choose groups of test texts, each with one or two texts of every class.

    Texts of 6 to 14 words are preferred, then texts with few unknown words.
    """

    def difficulty(text: str) -> tuple[bool, int]:
        return not EXAMPLE_WORDS[0] <= len(words_of(text)) <= EXAMPLE_WORDS[1], len(vocabulary.unknown_in(text))

    per_class = 2 if len(parts.classes) < 4 else 1
    columns: list[list[Example]] = []
    for label in range(len(parts.classes)):
        texts = [parts.test.texts[k] for k in np.flatnonzero(parts.test.labels == label)[:CANDIDATES].tolist()]
        columns.append([(text, label) for text in sorted(texts, key=difficulty)[: per_class * EXAMPLES]])
    rows = [[column[k] for column in columns if k < len(column)] for k in range(per_class * EXAMPLES)]
    groups = [list(chain.from_iterable(rows[k : k + per_class])) for k in range(0, len(rows), per_class)]
    return [group for group in groups if group]
