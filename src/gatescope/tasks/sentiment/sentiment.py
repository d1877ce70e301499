"""The task sentiment: predict the class of a text after its last word."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from gatescope.messages import Message
from gatescope.readout import Readout, classes
from gatescope.splitting import LATEST, words_of
from gatescope.tasks.base.saved_task import FileTask, column, string, strings
from gatescope.tasks.base.task import Batch, Predict, Quantity, Recommended, Score, TaskError, predictions
from gatescope.tasks.data.corpus import absolute
from gatescope.tasks.data.tables import MAX_FILE_BYTES
from gatescope.tasks.measures.baselines import BagOfWords
from gatescope.tasks.sentiment import claims, evidence
from gatescope.tasks.sentiment.encoded import END, Encoded, Units, vocabulary_of, with_word_dropout
from gatescope.tasks.sentiment.examples import Example, choose_examples
from gatescope.tasks.sentiment.sentiment_parts import LabelledPart, Parts, normalised, read_parts
from gatescope.tasks.sentiment.sentiment_score import score_classes
from gatescope.tasks.sentiment.sentiment_settings import (
    TOY_SETTINGS,
    WORD_DROPOUT,
    check_settings,
    recommended_settings,
)
from gatescope.vocabulary import PADDING, Ids, Vocabulary

READING_OF_0_1 = {"encoding": None, "merge_labels": False, "rule": 1}  # for a task.json of version 0.1, which lacks it


@dataclass(frozen=True)
class SentimentData:
    """The texts, as they are in the files and as the network reads them.

    Attributes:
        parts: the texts of the training, validation and test part.
        training: the encoded training part.
        validation: the encoded validation part.
        test: the encoded test part.
        baseline: naive Bayes, fitted to the training part.
        labels: text in its normal form -> its class, -1 for a text with several labels.
    """

    parts: Parts
    training: Encoded
    validation: Encoded
    test: Encoded
    baseline: BagOfWords
    labels: dict[str, int]


class Sentiment(FileTask[Parts, SentimentData]):
    """Texts with classes such as good and bad. The network predicts the class at the end mark of a text.

    A batch has texts of similar length. Each epoch reads every text of the training part once, except the few that do
    not fill a batch. In training, some words are read as unknown, so that the network learns to do without them and to
    read unknown words.

    Args:
        paths: tables (CSV, TSV) or JSON lines with a text and a label in each row; None: the 864 sentences of
            `gatescope.tasks.sentiment.claims`, made of 18 words.
        validation: a file to choose the best weights by; None: a tenth of the texts.
        test: a file to test on; None: a tenth of the texts.
        text: the column of the texts, by name or by number (from 1); None: found by its name.
        label: the column of the labels, likewise.
        unit: the unit of a step. "word": words and punctuation marks, in lower case; "token": anything between white
            space, for texts that are already tokenised; "character".
        least: how often a word must occur in the training part to be a symbol.
        most: the most words that are symbols; the most frequent ones are.
        word_dropout: the share of words that is read as unknown in training; None: as recommended.
        longest: the most steps of a text in training, the last ones; None: 400 words, or 2,000 characters. Validation
            and test read whole texts.
        skip_bad: leave wrong lines out instead of refusing a file.
        batch: texts in a batch; None: the recommended number.
        largest: the most bytes of a file.
        encoding: the encoding of the files; None: UTF-8, or that of their byte order marks.
        merge_labels: take spellings of one class, such as 1 and 1.0 or Positive and positive, for the same class.

    Raises:
        TaskError: a setting is out of its range, a file has too few texts, or a file cannot be used; the message lists
            every wrong line.
    """

    name: ClassVar[str] = "sentiment"
    title: ClassVar[str] = "Sentiment"
    question: ClassVar[str] = (
        "It reads a text word by word, then judges it good or bad: "
        'which neurons sum up the evidence, and which reverse it after a "not"?'
    )
    settings: ClassVar[Recommended] = TOY_SETTINGS
    quantity_titles: ClassVar[dict[str, str]] = {
        "so_far": "words so far",
        "log_odds": "log-odds of the last class, by the words so far in any order",
        "word": "log-odds of the last class, by this word alone",
        "unknown": "a word that is not in the vocabulary",
        "negated": "after a negation, up to where it ends",
        "claimed": "the claim so far: 1 good, -1 bad",
    }

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] | None = None,
        *,
        validation: str | os.PathLike[str] | None = None,
        test: str | os.PathLike[str] | None = None,
        text: str | int | None = None,
        label: str | int | None = None,
        unit: Units = "word",
        least: int = 1,
        most: int = 20_000,
        word_dropout: float | None = None,
        longest: int | None = None,
        skip_bad: bool = False,
        batch: int | None = None,
        largest: int = MAX_FILE_BYTES,
        encoding: str | None = None,
        merge_labels: bool = False,
    ) -> None:
        if isinstance(paths, str | os.PathLike):
            paths = [paths]
        if paths is None and any(value is not None for value in (validation, test, text, label)):
            raise TaskError("SENTIMENT_PATHS_MISSING")
        self.paths = None if paths is None else tuple(str(absolute(path)) for path in paths)
        self.files = {
            name: None if path is None else str(absolute(path))
            for name, path in (("validation", validation), ("test", test))
        }
        self.text, self.label = text, label
        self.least, self.most, self.skip_bad, self.largest = least, most, skip_bad, largest
        self.unit: Units = unit
        self.reading: dict[str, Any] = {"encoding": encoding, "merge_labels": merge_labels, "rule": LATEST}
        self.longest = longest if longest is not None else 2_000 if unit == "character" else 400
        check_settings(unit, least, most, word_dropout, self.longest, batch)
        parts, self.sha256 = self._read_files()
        self.vocabulary: Vocabulary = vocabulary_of(parts.training.texts, unit, least, most)
        self.class_names = parts.classes
        self.sizes = parts.sizes
        self.recommended: Recommended = recommended_settings(paths is None, self.vocabulary, parts.sizes[0], batch)
        default = 0.0 if unit == "character" or self.recommended.embedding is None else WORD_DROPOUT
        self.word_dropout = default if word_dropout is None else word_dropout
        self._notes = list(parts.notes)
        self._examples = choose_examples(parts, self.vocabulary)
        data = self._prepare(parts)
        self._data = data
        self._files_gone = False
        self._epoch: tuple[tuple[int, int], list[NDArray[np.int64]]] | None = None
        if len(data.training.labels) < self.recommended.batch:
            raise TaskError("SENTIMENT_BATCH_TOO_LARGE", batch=self.recommended.batch, texts=parts.sizes[0])

    @property
    def readout(self) -> Readout:
        """The class, after the end mark."""
        return classes(self.class_names, "last step")

    # --- data --------------------------------------------------------------------------------------------------------

    def _read_files(self) -> tuple[Parts, str]:
        if self.paths is None:
            sentences = claims.sentences()
            part = np.array([claims.part_of(text) for text in sentences])
            toy = LabelledPart(tuple(sentences), np.array(list(sentences.values())))
            parts = Parts(toy.where(part == 0), toy.where(part == 1), toy.where(part == 2), claims.CLASSES)
        else:
            parts = read_parts(
                self.paths,
                **self.files,
                text=self.text,
                label=self.label,
                skip_bad=self.skip_bad,
                largest=self.largest,
                **self.reading,
            )
        return parts, parts.sha256

    def _prepare(self, contents: Parts) -> SentimentData:
        """Encode the texts, and index their labels by their normal form."""
        parts = (contents.training, contents.validation, contents.test)
        split = str.split if self.unit == "token" else words_of  # as the network reads them
        labels: dict[str, int] = {}
        for text, label in chain.from_iterable(zip(part.texts, part.labels.tolist(), strict=True) for part in parts):
            key = normalised(text)
            labels[key] = label if labels.get(key, label) == label else PADDING
        return SentimentData(
            contents,
            Encoded.of(self.vocabulary, contents.training),
            Encoded.of(self.vocabulary, contents.validation),
            Encoded.of(self.vocabulary, contents.test),
            BagOfWords.fit(contents.training.texts, contents.training.labels, len(contents.classes), split),
            labels,
        )

    def _title_of_files(self) -> str | Message:
        return claims.__name__ if self.paths is None else ", ".join(self.paths)

    def _amount(self, contents: Parts | None) -> Message:
        return Message("TASK_AMOUNT_TEXTS", count=sum(self.sizes if contents is None else contents.sizes))

    def _data_if_available(self) -> SentimentData | None:
        """Return the data; None if the files are gone or changed. After one failure they are not read again."""
        if not self._files_gone:
            try:
                return self.data()
            except TaskError:
                self._files_gone = True
        return None

    # --- training ----------------------------------------------------------------------------------------------------

    def batch(self, seed: int, step: int) -> Batch:
        """Return texts of similar length, (batch, steps of the longest text); the target is at the end mark."""
        texts, size = self.data().training, self.recommended.batch
        epoch, place = divmod(step, len(texts.labels) // size)
        if self._epoch is None or self._epoch[0] != (seed, epoch):
            self._epoch = ((seed, epoch), texts.epoch(size, seed, epoch))
        batch = texts.batch(self._epoch[1][place], self.longest)
        return with_word_dropout(batch, self.vocabulary, self.word_dropout, seed, step) if self.word_dropout else batch

    def validation(self, predict: Predict) -> float:
        """Return the mean loss on the validation part, in nats per text."""
        texts = self.data().validation
        log_probs = self._log_probs(predict, texts)
        return float(-log_probs[np.arange(len(log_probs)), texts.labels].mean(dtype=np.float64))

    def _log_probs(self, predict: Predict, texts: Encoded) -> Float[np.ndarray, "N K"]:
        """Return the log-probabilities of the classes at the end of each text."""
        return np.concatenate(predictions(predict, texts.sequences(), len(self.class_names), once=True))

    def score(self, predict: Predict) -> Score:
        """Return the share of test texts whose class is predicted.

        Chance always predicts the most frequent class of the training part. The baseline is naive Bayes on the words of
        the training part, in any order.
        """
        data = self.data()
        return score_classes(
            self._log_probs(predict, data.test),
            data.parts,
            data.baseline.predict(data.parts.test.texts),
            can_be_solved=self.paths is None,
        )

    # --- texts to look at --------------------------------------------------------------------------------------------

    def examples(self) -> list[str]:
        """Return a few groups of test texts, one text a line; each group has texts of every class."""
        return ["".join(text + END for text, _ in group) for group in self._examples]

    def held_out(self, characters: int) -> str:
        """Return the first test texts, one a line, with at least this many characters if there are enough texts."""
        texts = self.data().parts.test.texts
        sizes = np.cumsum([len(text) + 1 for text in texts])
        return "".join(text + END for text in texts[: int(np.searchsorted(sizes, characters)) + 1])

    def answers(self, text: str) -> Ids | None:
        """Return the target of a text of the task, the class at its end mark.

        Returns:
            (T,) the class at the last step, -1 elsewhere. None for a text that is not in the data, or has several
            labels. If the files are gone, only the examples are known.
        """
        data = self._data_if_available()
        if data is None:
            labels = {normalised(example): label for group in self._examples for example, label in group}
        else:
            labels = data.labels
        label = labels.get(normalised(text), PADDING)
        if label == PADDING:
            return None
        targets = np.full(len(self.vocabulary.encode(text)), PADDING, dtype=np.int32)
        targets[-1:] = label
        return targets

    def quantities(self, text: str) -> dict[str, Quantity]:
        """Return the number of words, their log-odds in the baseline, and whether a negation is open.

        See `evidence.quantities`. If the files are gone, the log-odds are left out.
        """
        data = self._data_if_available()
        quantities = evidence.quantities(self.vocabulary, text, None if data is None else data.baseline)
        if set(self.vocabulary.symbols) <= {*claims.WORDS, END}:
            negated, claimed = evidence.at_steps(self.vocabulary, text, claims.memory)
            quantities |= {"negated": negated, "claimed": claimed}
        return quantities

    # --- task.json ---------------------------------------------------------------------------------------------------

    def _to_fields(self) -> dict[str, Any]:
        return {
            "paths": None if self.paths is None else list(self.paths),
            **self.files,
            "text": self.text,
            "label": self.label,
            "unit": self.unit,
            "reading": self.reading,
            "least": self.least,
            "most": self.most,
            "word_dropout": self.word_dropout,
            "longest": self.longest,
            "skip_bad": self.skip_bad,
            "batch": self.recommended.batch,
            "largest": self.largest,
            "classes": list(self.class_names),
            "sizes": list(self.sizes),
            "sha256": self.sha256,
            "notes": self.notes,
            "vocabulary": self.vocabulary.to_json(),
            "examples": [[[text, label] for text, label in group] for group in self._examples],
        }

    def _restore(self, fields: dict[str, Any]) -> None:
        self.paths = None if fields["paths"] is None else tuple(strings(fields["paths"]))
        self.files = {key: None if fields[key] is None else string(fields[key]) for key in ("validation", "test")}
        self.text, self.label = (None if fields[key] is None else column(fields[key]) for key in ("text", "label"))
        self.unit = fields["unit"]
        self.reading = {**READING_OF_0_1, **fields.get("reading", {})}
        self.least, self.most, self.largest = (int(fields[key]) for key in ("least", "most", "largest"))
        self.word_dropout, self.longest = float(fields["word_dropout"]), int(fields["longest"])
        self.skip_bad = bool(fields["skip_bad"])
        self.class_names = tuple(strings(fields["classes"]))
        training, validation, test = (int(size) for size in fields["sizes"])
        self.sizes = (training, validation, test)
        self.sha256 = string(fields["sha256"])
        self._notes = strings(fields["notes"])
        self.vocabulary = Vocabulary.from_json(fields["vocabulary"])
        self._examples: list[list[Example]] = [
            [(string(text), int(label)) for text, label in group] for group in fields["examples"]
        ]
        self.recommended = recommended_settings(self.paths is None, self.vocabulary, training, int(fields["batch"]))
        check_settings(self.unit, self.least, self.most, self.word_dropout, self.longest, self.recommended.batch)
        self._epoch = None
        self._files_gone = False
