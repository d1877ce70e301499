"""The task sentiment: a text in, a class out, once it was read to its end.

Over 400 lines: a task of files says of each of its settings what it means, and how it is kept.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from gatescope.messages import Message
from gatescope.readout import Readout, classes
from gatescope.splitting import LATEST, words_of
from gatescope.tasks.base.saved_task import FileTask, column, string, strings
from gatescope.tasks.base.task import (
    Batch,
    Predict,
    Quantity,
    Recommended,
    Score,
    TaskError,
    predictions,
)
from gatescope.tasks.data.corpus import absolute
from gatescope.tasks.data.tables import LARGEST
from gatescope.tasks.measures.baselines import BagOfWords
from gatescope.tasks.measures.measures import confusion
from gatescope.tasks.sentiment import claims, evidence
from gatescope.tasks.sentiment.dividing import Divided, Labelled, divided, normal
from gatescope.tasks.sentiment.encoded import END, Encoded, Units, vocabulary_of, with_words_lost
from gatescope.vocabulary import PADDING, Ids, Vocabulary

FEW_SYMBOLS = 100  # up to which they are read one-hot
FEW_TEXTS = 2_000  # up to which a small network learns them
WORD_DROPOUT = 0.2  # where nobody says another, of sets that are read with an embedding
SHOWN = 20  # wrong texts that a score names
EXAMPLES = 3  # groups of texts to look at
CONSIDERED = 500  # texts of each class that they are chosen from
READING = {"encoding": None, "merge_labels": False, "rule": 1}  # of a task.json of version 0.1, which says nothing
READABLE = (6, 14)  # words of a text that is looked at


@dataclass(frozen=True)
class Known:
    """The texts of a task, what is read of them, and what their words alone say."""

    divided: Divided
    training: Encoded
    validation: Encoded
    test: Encoded
    baseline: BagOfWords
    classes: dict[str, int]  # of every text that is known and has one label only


class Sentiment(FileTask[Divided, Known]):
    """Texts of classes such as good and bad; the class is told once a text and the end mark behind it were read.

    A batch has texts of about the same length. Each epoch all texts of the training part are drawn once, but for the
    few that do not fill a batch. Some words are read as unknown while training, so that a network learns to do without
    them, and what an unknown one is worth.

    Arguments:
        paths: tables (CSV, TSV) or JSON lines with a text and a label each; None: the 864 sentences of
            `gatescope.tasks.sentiment.claims`, made of 18 words.
        validation, test: files to choose the best weights by and to test on; None: a tenth of the texts each.
        text, label: the columns, by name or by number (from 1); None: found by their names.
        unit: what is read in one step. "word": words and punctuation marks, in small letters; "token": what stands
            between white space, for texts that have been cut already; "character".
        least: how often a word must occur in the training part to be a symbol.
        most: how many words are symbols, the most frequent ones.
        word_dropout: the share of words that is read as unknown while training; None: as recommended.
        longest: steps of a text that are trained on, the last ones; None: 400 words, or 2,000 characters. Whatever is
            not training reads all of them.
        skip_bad: leave wrong lines out instead of refusing a file.
        batch: texts in a batch; None: the recommended number.
        largest: the most bytes that a file may have.
        encoding: of the files; None: UTF-8, or what their byte order marks say.
        merge_labels: spellings of one class, such as 1 and 1.0 or Positive and positive, are that class.

    Raises: TaskError, which lists every line of a file that cannot be used; for settings that make no sense, and files
        that have too few texts.
    """

    name: ClassVar[str] = "sentiment"
    title: ClassVar[str] = "Sentiment"
    question: ClassVar[str] = (
        "The network reads a text word by word and says at its end whether it is good or bad: "
        'which neurons sum up what the words say, and which turn it round after a "not"?'
    )
    settings: ClassVar[Recommended] = Recommended(
        layers=(32,),
        steps=2000,
        batch=32,
        learning_rate=0.01,
        final_learning_rate=0.1,
        score_every=100,
        until_solved=True,
    )
    quantity_titles: ClassVar[dict[str, str]] = {
        "so_far": "words so far",
        "log_odds": "what the words so far say: log-odds of the last class, whatever their order",
        "word": "what this word says by itself: log-odds of the last class",
        "unknown": "at a word that it does not know",
        "negated": "behind a not, before what it turns round ends",
        "claimed": "what was claimed so far: 1 good, -1 bad",
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
        largest: int = LARGEST,
        encoding: str | None = None,
        merge_labels: bool = False,
    ) -> None:
        if isinstance(paths, str | os.PathLike):
            paths = [paths]
        if paths is None and any(each is not None for each in (validation, test, text, label)):
            raise TaskError("SENTIMENT_COLUMNS_FILES_VALIDATE_TEST")
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
        _check(unit, least, most, word_dropout, self.longest, batch)
        found, self.sha256 = self._read_files()
        self.vocabulary: Vocabulary = vocabulary_of(found.training.texts, unit, least, most)
        self.class_names = found.classes
        self.sizes = found.sizes
        self.recommended: Recommended = _recommended(paths is None, self.vocabulary, found.sizes[0], batch)
        usual = 0.0 if unit == "character" or self.recommended.embedding is None else WORD_DROPOUT
        self.word_dropout = usual if word_dropout is None else word_dropout
        self._notes = list(found.notes)
        self._examples = _examples(found, self.vocabulary)
        data = self._prepare(found)
        self._data = data
        self._gone = False
        self._epoch: tuple[tuple[int, int], list[NDArray[np.int64]]] | None = None
        if len(data.training.labels) < self.recommended.batch:
            raise TaskError("SENTIMENT_BATCH_ASKED_TEXTS_TRAIN", batch=self.recommended.batch, sizes=found.sizes[0])

    @property
    def readout(self) -> Readout:
        """The class, after the end mark."""
        return classes(self.class_names, "last step")

    # --- the texts ---------------------------------------------------------------------------------------------------

    def _read_files(self) -> tuple[Divided, str]:
        if self.paths is None:
            every = claims.sentences()
            part = np.array([claims.part_of(text) for text in every])
            toy = Labelled(tuple(every), np.array(list(every.values())))
            found = Divided(toy.of(part == 0), toy.of(part == 1), toy.of(part == 2), claims.CLASSES)
        else:
            found = divided(
                self.paths,
                **self.files,
                text=self.text,
                label=self.label,
                skip_bad=self.skip_bad,
                largest=self.largest,
                **self.reading,
            )
        return found, found.sha256

    def _prepare(self, contents: Divided) -> Known:
        """Encode the texts, and index their labels by their normal form."""
        parts = (contents.training, contents.validation, contents.test)
        split = str.split if self.unit == "token" else words_of  # as the network reads them
        labels: dict[str, int] = {}
        for text, label in chain.from_iterable(zip(part.texts, part.labels.tolist(), strict=True) for part in parts):
            key = normal(text)
            labels[key] = label if labels.get(key, label) == label else PADDING
        return Known(
            contents,
            Encoded.of(self.vocabulary, contents.training),
            Encoded.of(self.vocabulary, contents.validation),
            Encoded.of(self.vocabulary, contents.test),
            BagOfWords.fit(contents.training.texts, contents.training.labels, len(contents.classes), split),
            labels,
        )

    def _title_of_files(self) -> str | Message:
        return Message("SENTIMENT_ARTIFICIAL_TEXTS") if self.paths is None else ", ".join(self.paths)

    def _amount(self, contents: Divided | None) -> Message:
        return Message("TASK_AMOUNT_TEXTS", count=sum(self.sizes if contents is None else contents.sizes))

    def _if_there(self) -> Known | None:
        """The texts, where they still are; after a first failure they are not looked for again."""
        if not self._gone:
            try:
                return self.data()
            except TaskError:
                self._gone = True
        return None

    # --- learning ----------------------------------------------------------------------------------------------------

    def batch(self, seed: int, step: int) -> Batch:
        """Texts of about the same length, (batch, steps of the longest); what is asked for is at the end mark."""
        texts, size = self.data().training, self.recommended.batch
        epoch, place = divmod(step, len(texts.labels) // size)
        if self._epoch is None or self._epoch[0] != (seed, epoch):
            self._epoch = ((seed, epoch), texts.epoch(size, seed, epoch))
        batch = texts.batch(self._epoch[1][place], self.longest)
        return with_words_lost(batch, self.vocabulary, self.word_dropout, seed, step) if self.word_dropout else batch

    def validation(self, predict: Predict) -> float:
        """The mean loss in nats per text, on texts that are not trained on."""
        texts = self.data().validation
        told = self._told(predict, texts)
        return float(-told[np.arange(len(told)), texts.labels].mean(dtype=np.float64))

    def _told(self, predict: Predict, texts: Encoded) -> Float[np.ndarray, "N K"]:
        """The log-probabilities of the classes at the end of each text."""
        return np.concatenate(predictions(predict, texts.sequences(), len(self.class_names), once=True))

    def score(self, predict: Predict) -> Score:
        """The share of test texts whose class is told.

        Chance is to say the most frequent class of the training part always. The baseline is naive Bayes on the words
        of the training part, whatever their order.
        """
        known = self.data()
        told = self._told(predict, known.test)
        said, expected, count = told.argmax(axis=1), known.test.labels, len(self.class_names)
        found = confusion(said, expected, count)
        baseline = confusion(known.baseline.predict(known.divided.test.texts), expected, count)
        frequent = int(np.bincount(known.training.labels, minlength=count).argmax())
        right, total = found.accuracy, len(expected)
        solved = bool((said == expected).all())
        share = (
            f"every one of the {total:,} test texts is" if solved else f"{right:.1%} of the {total:,} test texts are"
        )
        return Score(
            value=right,
            chance=float((expected == frequent).mean()),
            solved=solved if self.paths is None else None,
            text=(
                f"{share} told right (macro F1 {found.macro_f1:.3f}); their words alone, whatever the order, tell "
                f"{baseline.accuracy:.1%} (naive Bayes)"
            ),
            details={
                "texts": total,
                "classes": list(self.class_names),
                "confusion": found.counts.tolist(),
                "f1": _json(found.f1),
                "precision": _json(found.precision),
                "recall": _json(found.recall),
                "macro_f1": found.macro_f1,
                "baseline": baseline.accuracy,
                "baseline_macro_f1": baseline.macro_f1,
                "wrong": self._wrong(told, known.divided.test),
            },
        )

    def _wrong(self, told: Float[np.ndarray, "N K"], test: Labelled) -> list[dict[str, Any]]:
        """The test texts that are told wrong, those first of which the network is surest."""
        said = told.argmax(axis=1)
        wrong = np.flatnonzero(said != test.labels)
        surest = wrong[np.argsort(-told[wrong, said[wrong]], kind="stable")][:SHOWN]
        return [
            {
                "text": test.texts[k],
                "expected": self.class_names[test.labels[k]],
                "predicted": self.class_names[said[k]],
                "probability": float(np.exp(told[k, said[k]])),
            }
            for k in surest.tolist()
        ]

    # --- looking -----------------------------------------------------------------------------------------------------

    def examples(self) -> list[str]:
        """A few test texts, some of every class together, one a line."""
        return ["".join(text + END for text, _ in group) for group in self._examples]

    def held_out(self, characters: int) -> str:
        """The first test texts, one a line, with at least so many characters together where there are so many."""
        texts = self.data().divided.test.texts
        sizes = np.cumsum([len(text) + 1 for text in texts])
        return "".join(text + END for text in texts[: int(np.searchsorted(sizes, characters)) + 1])

    def answers(self, text: str) -> Ids | None:
        """The class at the end mark of a text of the task; None of another one, or one with several labels.

        Where the files are gone, only the examples are known.
        """
        key, known = normal(text), self._if_there()
        labels = (
            {normal(t): label for group in self._examples for t, label in group} if known is None else known.classes
        )
        label = labels.get(key, PADDING)
        if label == PADDING:
            return None
        steps = len(self.vocabulary.encode(text))
        found = np.full(steps, PADDING, dtype=np.int32)
        found[-1:] = label
        return found

    def quantities(self, text: str) -> dict[str, Quantity]:
        """How many words, what they say by the baseline, and whether a negation is open (see `evidence`).

        Where the files are gone, the baseline is, too, and so are the log-odds.
        """
        known = self._if_there()
        found = evidence.quantities(self.vocabulary, text, None if known is None else known.baseline)
        if set(self.vocabulary.symbols) <= {*claims.WORDS, END}:
            waits, said = evidence.at_steps(self.vocabulary, text, claims.memory)
            found |= {"negated": waits, "claimed": said}
        return found

    # --- keeping -----------------------------------------------------------------------------------------------------

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
        self.reading = {**READING, **fields.get("reading", {})}
        self.least, self.most, self.largest = (int(fields[key]) for key in ("least", "most", "largest"))
        self.word_dropout, self.longest = float(fields["word_dropout"]), int(fields["longest"])
        self.skip_bad = bool(fields["skip_bad"])
        self.class_names = tuple(strings(fields["classes"]))
        first, second, third = (int(size) for size in fields["sizes"])
        self.sizes = (first, second, third)
        self.sha256 = string(fields["sha256"])
        self._notes = strings(fields["notes"])
        self.vocabulary = Vocabulary.from_json(fields["vocabulary"])
        self._examples = [[(string(text), int(label)) for text, label in group] for group in fields["examples"]]
        self.recommended = _recommended(self.paths is None, self.vocabulary, first, int(fields["batch"]))
        _check(self.unit, self.least, self.most, self.word_dropout, self.longest, self.recommended.batch)
        self._epoch = None
        self._gone = False


# --- settings --------------------------------------------------------------------------------------------------------


def _recommended(toy: bool, vocabulary: Vocabulary, texts: int, batch: int | None) -> Recommended:
    """The settings for so many texts to train on. Those of larger sets were tried on SST-2."""
    usual = Sentiment.settings
    if not toy:
        one_hot = vocabulary.size <= FEW_SYMBOLS
        small = texts <= FEW_TEXTS
        rows = batch or (16 if small else 64)
        usual = Recommended(
            layers=(32,) if small else (128,),
            steps=int(np.clip((20 if small else 4) * texts / rows, 1000, 20_000)),
            batch=rows,
            learning_rate=0.01 if small else 0.002,
            final_learning_rate=0.0,
            embedding=None if one_hot else 32 if vocabulary.unit == "character" else 128,
            dropout=0.0 if one_hot else 0.5,
            validate_every=500,
        )
    return usual if batch is None else replace(usual, batch=batch)


def _check(unit: str, least: int, most: int, word_dropout: float | None, longest: int, batch: int | None) -> None:
    """Settings that make no sense. Raises: TaskError."""
    if unit not in ("word", "token", "character"):
        raise TaskError("SENTIMENT_TEXT_READ_WORD_TOKEN", unit=unit)
    for label, value in (("least", least), ("most", most), ("longest", longest), ("batch", batch)):
        if value is not None and value < 1:
            raise TaskError("SENTIMENT_GIVEN", label=label, value=value)
    if word_dropout is not None and not 0 <= word_dropout < 1:
        raise TaskError("SENTIMENT_WORD_DROPOUT_SHARE_UP", word_dropout=word_dropout)


def _examples(found: Divided, vocabulary: Vocabulary) -> list[list[tuple[str, int]]]:
    """Groups of test texts, each with one or two of every class: readable and of known words, where there are such."""

    def strangeness(text: str) -> tuple[bool, int]:
        return not READABLE[0] <= len(words_of(text)) <= READABLE[1], len(vocabulary.unknown_in(text))

    each = 2 if len(found.classes) < 4 else 1
    columns: list[list[tuple[str, int]]] = []
    for label in range(len(found.classes)):
        texts = [found.test.texts[k] for k in np.flatnonzero(found.test.labels == label)[:CONSIDERED].tolist()]
        columns.append([(text, label) for text in sorted(texts, key=strangeness)[: each * EXAMPLES]])
    rows = [[column[k] for column in columns if k < len(column)] for k in range(each * EXAMPLES)]
    groups = [list(chain.from_iterable(rows[k : k + each])) for k in range(0, len(rows), each)]
    return [group for group in groups if group]


def _json(values: Float[np.ndarray, " K"]) -> list[float | None]:
    """Numbers as JSON has them; what has no meaning is null."""
    return [None if np.isnan(value) else float(value) for value in values.tolist()]
