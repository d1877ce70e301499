"""The task tagging: predict a label for every token of a sentence, or for every frame of a sequence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from gatescope.messages import Message
from gatescope.readout import Readout, classes
from gatescope.tasks.base.saved_task import FileTask, string, strings
from gatescope.tasks.base.task import (
    TRAINING,
    Batch,
    Predict,
    Quantity,
    Recommended,
    Score,
    TaskError,
    generator,
    loss_sum,
    predictions,
)
from gatescope.tasks.data.tables import MAX_FILE_BYTES
from gatescope.tasks.tagging.kinds import END, Frames, Lexicon, Tokens, examples_of, find_frames
from gatescope.tasks.tagging.rows import Rows, padded
from gatescope.tasks.tagging.tagging_files import PARTS, AnyPath, Source, check_options, column_of, sources_of
from gatescope.tasks.tagging.tagging_parts import Raw, Tagged, most_frequent, notes_of, read_parts, since_change
from gatescope.tasks.tagging.tagging_score import score_labels
from gatescope.vocabulary import PADDING, Ids, Vocabulary

MAX_VALIDATION_STEPS = 100_000
DROPOUT_STRENGTH = 1.0  # the a in a / (a + n), the probability to drop a token that occurs n times in training
CHARACTERS_PER_FRAME = 5  # of a held-out text; about the length of a word
OPTIONS = ("token", "label", "parts", "least", "skip_bad", "batch", "longest", "largest")
NEWER_OPTIONS: dict[str, Any] = {"encoding": None, "merge_labels": False}  # missing in a task.json of version 0.1


@dataclass(frozen=True)
class EncodedPart:
    """A part as the network reads it.

    Attributes:
        sequences: the ids (T,) or numbers (T, I) of each sequence.
        targets: (T,) the target of each step, -1 for none, for each sequence.
    """

    sequences: tuple[Any, ...]
    targets: tuple[Ids, ...]


@dataclass(frozen=True)
class TaggingData:
    """The three parts by name, as they are in the files and as the network reads them."""

    raw: dict[str, Tagged]
    encoded: dict[str, EncodedPart]


class Tagging(FileTask[dict[str, Tagged], TaggingData]):
    """One label for every token or frame.

    **Tokens** come from text files: a token and its label on each line, a blank line after each sentence (or CoNLL-U).
    The vocabulary has the tokens that occur at least `least` times in the training part; all others are unknown, and
    are read as zeros. A sentence ends with a newline, which is read like a token but has no target. So that the network
    learns to read unknown tokens, training replaces a token that occurs n times by the unknown token with probability
    1 / (1 + n), drawn anew for every batch (Kiperwasser and Goldberg 2016, who use 0.25 instead of 1).

    **Frames** come from an .npy of (T, I) numbers, one sequence, or an .npz of several; their labels come from a text
    file, one a line. The network reads each number less its mean, divided by its standard deviation, both of the
    training part. The texts of the task have these scaled numbers; `text_of` makes a text from unscaled frames.

    Training cuts sequences longer than `longest` into pieces, in different places in each epoch. Each piece starts from
    the initial state. Validation and test read whole sequences.

    Args:
        paths: the file to train on, or several. Each has at least two labels.
        validation: a file for validation; None: held out from `paths`, by `parts`.
        test: a file for the test, likewise.
        labels: the file of labels of each file of frames; None: beside it, with the suffix .txt.
        validation_labels: the same for the validation file.
        test_labels: the same for the test file.
        token: the column of the tokens, a number from 1; None: the file has two columns.
        label: the column of the labels, likewise.
        parts: the shares of the training, validation and test part. Whole sequences are drawn, always the same ones,
            and equal sequences go into the same part. Fewer than ten sequences of frames are cut instead.
        least: how often a token must occur to be in the vocabulary.
        names: the names of the numbers of a frame; None: x0, x1, ...
        skip_bad: leave sentences with a wrong line out instead of refusing the file.
        batch: sequences (or pieces) in a batch; None: the recommended number.
        longest: the most steps of a piece, on average.
        largest: the most bytes of a file.
        encoding: the encoding of the text files; None: UTF-8, or that of their byte order marks.
        merge_labels: take spellings of one label, such as 1 and 1.0 or Noun and noun, for the same label.

    Raises:
        TaskError: a setting is out of its range, or a file cannot be used; the message lists every wrong line.
    """

    name: ClassVar[str] = "tagging"
    title: ClassVar[str] = "Tagging"
    question: ClassVar[str] = (
        "It labels every word of a sentence, or every frame of a sequence: "
        "which neurons carry what came before, or comes next, to that place?"
    )
    settings: ClassVar[Recommended] = Recommended(
        layers=(128,),
        steps=2500,
        batch=32,
        learning_rate=0.003,
        final_learning_rate=0.0,
        embedding=100,
        dropout=0.5,
        both_ways=True,
        validate_every=250,
    )
    quantity_titles: ClassVar[dict[str, str]] = {
        "since_change": "steps since the label last changed",
        "unknown": "a token that is not in the vocabulary",
        "ambiguity": "entropy of the labels of the token in the training part, in bits",
        "unusual": "the label differs from that of the baseline",
    }

    def __init__(
        self,
        paths: AnyPath | Sequence[AnyPath] | None,
        *,
        validation: AnyPath | None = None,
        test: AnyPath | None = None,
        labels: AnyPath | Sequence[AnyPath] | None = None,
        validation_labels: AnyPath | None = None,
        test_labels: AnyPath | None = None,
        token: int | str | None = None,
        label: int | str | None = None,
        parts: tuple[float, float, float] = (0.8, 0.1, 0.1),
        least: int = 2,
        names: Sequence[str] | None = None,
        skip_bad: bool = False,
        batch: int | None = None,
        longest: int = 200,
        largest: int = MAX_FILE_BYTES,
        encoding: str | None = None,
        merge_labels: bool = False,
    ) -> None:
        self.sources: dict[str, list[Source]] = sources_of(
            paths, labels, {"validation": (validation, validation_labels), "test": (test, test_labels)}
        )
        self.options: dict[str, Any] = {
            "token": column_of("token", token),
            "label": column_of("label", label),
            "parts": list(parts),
            "least": least,
            "skip_bad": skip_bad,
            "batch": batch or self.settings.batch,
            "longest": longest,
            "largest": largest,
            "encoding": encoding,
            "merge_labels": merge_labels,
        }
        check_options(self.options)
        raw, self.sha256, skipped = read_parts(self.sources, self.options)
        self.classes: tuple[str, ...] = raw["training"].classes
        self.kind: Tokens | Frames = (
            Frames.of(raw["training"], names) if self.reads_frames else Tokens.of(raw["training"], least)
        )
        if names is not None and not self.reads_frames:
            raise TaskError("TAGGING_NAMES_OF_TOKENS")
        self._data = self._prepare(raw)
        self.sizes: dict[str, list[int]] = {part: [len(raw[part].raw), raw[part].steps] for part in PARTS}
        self._examples: list[tuple[str, list[int]]] = examples_of(self.kind, raw["test"])
        self._notes = notes_of(self.kind.step_name, self.sources, raw, skipped)

    @property
    def reads_frames(self) -> bool:
        """Whether the steps are frames; otherwise they are tokens."""
        return self.sources["training"][0].labels is not None

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens, or the names of the numbers of a frame."""
        return self.kind.vocabulary

    @property
    def readout(self) -> Readout:
        """A label after every step."""
        return classes(self.classes, "every step")

    @property
    def recommended(self) -> Recommended:
        """The recommended settings; frames are read without an embedding."""
        settings = replace(self.settings, batch=self.options["batch"])
        return replace(settings, embedding=None, dropout=0.1, layers=(64,)) if self.reads_frames else settings

    # --- data --------------------------------------------------------------------------------------------------------

    def _read_files(self) -> tuple[dict[str, Tagged], str]:
        contents, sha256, _ = read_parts(self.sources, self.options)
        return contents, sha256

    def _prepare(self, contents: dict[str, Tagged]) -> TaggingData:
        encoded = {
            part: EncodedPart(tuple(map(self.kind.encode, data.raw)), tuple(map(self.kind.targets, data.tags)))
            for part, data in contents.items()
        }
        return TaggingData(contents, encoded)

    def _title_of_files(self) -> str | Message:
        return ", ".join(source.path for part in PARTS for source in self.sources[part])

    def _amount(self, contents: dict[str, Tagged] | None) -> Message:
        steps = [size[1] for size in self.sizes.values()]
        return Message(
            "TASK_AMOUNT_LABELS", count=sum(steps if contents is None else [data.steps for data in contents.values()])
        )

    @cached_property
    def _baseline(self) -> Callable[[Any], Int[np.ndarray, " T"]]:
        return self.kind.baseline(self.data().raw["training"])

    @cached_property
    def _lexicon(self) -> Lexicon:
        return Lexicon.of(self.data().raw["training"])

    @cached_property
    def _labels_of_sentences(self) -> dict[str, Ids]:
        """Sentence -> its labels; those of the test part first, then of the validation part."""
        labels: dict[str, Ids] = {}
        for part in PARTS[::-1]:
            data = self.data().raw[part]
            for raw, tags in zip(data.raw, data.tags, strict=True):
                labels.setdefault(" ".join(map(str, raw)), tags.astype(np.int32))
        return labels

    # --- training ----------------------------------------------------------------------------------------------------

    @cached_property
    def _rows(self) -> Rows:
        lengths = np.array([len(sequence) for sequence in self.data().encoded["training"].sequences])
        return Rows(lengths, self.options["batch"], self.options["longest"])

    @cached_property
    def _dropout_probabilities(self) -> NDArray[np.float64]:
        """The probability of each id to be read as unknown; 0 for the newline, the unknown token and padding (-1)."""
        size = self.vocabulary.size
        counts = np.bincount(np.concatenate(self.data().encoded["training"].sequences), minlength=size)[:size]
        probabilities = np.append(DROPOUT_STRENGTH / (DROPOUT_STRENGTH + counts), [0.0, 0.0])
        probabilities[self.vocabulary.encode(END)] = 0.0
        return probabilities

    def batch(self, seed: int, step: int) -> Batch:
        """Return sequences of similar length; each epoch reads every sequence once."""
        training = self.data().encoded["training"]
        pieces = self._rows.batch(seed, step)
        tokens = padded([training.sequences[k][steps] for k, steps in pieces])
        if not self.reads_frames:
            probability = self._dropout_probabilities[tokens.astype(np.int64)]
            dropped = generator(TRAINING, seed, step).random(tokens.shape) < probability
            tokens = np.where(dropped, np.int32(self.vocabulary.unknown), tokens)
        return Batch(tokens, padded([training.targets[k][steps] for k, steps in pieces]))

    def validation(self, predict: Predict) -> float:
        """Return the mean loss on up to about 100,000 steps of the validation part, in nats per label."""
        part = self.data().encoded["validation"]
        stride = math.ceil(sum(map(len, part.sequences)) / MAX_VALIDATION_STEPS)
        log_probs = predictions(predict, part.sequences[::stride], len(self.classes))
        sums = [
            loss_sum(rows, targets, PADDING) for rows, targets in zip(log_probs, part.targets[::stride], strict=True)
        ]
        count = sum(n for _, n in sums)
        return sum(nats for nats, _ in sums) / count if count else math.nan

    def score(self, predict: Predict) -> Score:
        """Return the share of the labels of the test part that are predicted.

        Chance always predicts the most frequent label of the training part. The baseline predicts the most frequent
        label of each token, or the linear discriminant of each frame. `details` also has precision, recall and F1 of
        each label, their mean F1 (`macro_f1`), the most frequent confusions, and the accuracy on unknown tokens.
        """
        data = self.data()
        test, raw = data.encoded["test"], data.raw["test"]
        masks = [targets != PADDING for targets in test.targets]
        log_probs = predictions(predict, test.sequences, len(self.classes))
        predicted = np.concatenate([rows[mask].argmax(-1) for rows, mask in zip(log_probs, masks, strict=True)])
        steps = test.sequences if self.reads_frames else raw.raw
        baseline = np.concatenate([self._baseline(sequence) for sequence in steps])
        unknown = None
        if not self.reads_frames:
            ids = np.concatenate([sequence[mask] for sequence, mask in zip(test.sequences, masks, strict=True)])
            unknown = ids == self.vocabulary.unknown
        frequent = most_frequent(data.raw["training"].tags, len(self.classes))
        return score_labels(predicted, np.concatenate(raw.tags), self.classes, frequent, baseline, unknown)

    # --- texts to look at --------------------------------------------------------------------------------------------

    def text_of(self, *sequences: Raw) -> str:
        """Return the text of sequences of tokens, or of frames as they are in the files."""
        return self.kind.text(sequences)

    def examples(self) -> list[str]:
        """Return a few sentences, or beginnings of sequences of frames, of the test part."""
        return [text for text, _ in self._examples]

    def answers(self, text: str) -> Ids | None:
        """Return the labels of a sentence, or of a part of a sequence of frames, that is in the data.

        Returns:
            (T,) the labels, -1 at newlines. None if the sequence is not in the data. If the files are gone, only the
            examples are known.
        """
        for example, tags in self._examples:
            if text == example:
                return np.array(tags, dtype=np.int32)
        try:
            self.data()
        except TaskError:
            return None
        return self._answers_from_files(text)

    def _answers_from_files(self, text: str) -> Ids | None:
        if not self.reads_frames:
            tokens = self.vocabulary.labels(text)
            closed = tokens[-1:] == [END]
            tags = self._labels_of_sentences.get(" ".join(tokens[:-1] if closed else tokens))
            return tags if tags is None or not closed else np.append(tags, np.int32(PADDING))
        frames = self.vocabulary.encode(text)
        for part in PARTS[::-1]:
            encoded = self.data().encoded[part]
            place = find_frames(frames, encoded.sequences)
            if place is not None:
                return encoded.targets[place[0]][place[1] : place[1] + len(frames)]
        return None

    def held_out(self, characters: int) -> str:
        """Return the beginning of the test part. A frame counts as five characters."""
        test, left = self.data().raw["test"], characters
        chosen: list[Raw] = []
        for raw in test.raw:
            if left <= 0:
                break
            chosen.append(raw[: math.ceil(left / CHARACTERS_PER_FRAME)] if self.reads_frames else raw)
            left -= CHARACTERS_PER_FRAME * len(chosen[-1]) if self.reads_frames else len(self.kind.text(chosen[-1:]))
        return self.kind.text(chosen)

    def quantities(self, text: str) -> dict[str, Quantity]:
        """Return the quantities of each step, among them the label of the baseline as truth values `usual_NAME`.

        "unusual" and "since_change" use the labels of the data, or of the baseline for a sequence that is not in the
        data. All truth values are false at a newline.

        Raises:
            TaskError: the files are gone.
        """
        self.data()
        tags, ids = self.answers(text), self.vocabulary.encode(text)
        of_tokens: dict[str, Quantity] = {}
        if self.reads_frames:
            usual = self._baseline(ids).astype(np.int32)
        else:
            tokens = self.vocabulary.labels(text)
            usual = np.where([token != END for token in tokens], self._baseline(tokens), PADDING).astype(np.int32)
            entropy = self._lexicon.entropy
            of_tokens["unknown"] = ids == self.vocabulary.unknown
            of_tokens["ambiguity"] = np.array([entropy.get(token, 0.0) for token in tokens], dtype=np.float64)
        tags = usual if tags is None else tags
        usual_labels: dict[str, Quantity] = {f"usual_{name}": usual == k for k, name in enumerate(self.classes)}
        return {**usual_labels, **of_tokens, "unusual": tags != usual, "since_change": since_change(tags)}

    # --- task.json ---------------------------------------------------------------------------------------------------

    def _to_fields(self) -> dict[str, Any]:
        return {
            "sources": {part: [asdict(source) for source in self.sources[part]] for part in PARTS},
            "options": self.options,
            "sizes": self.sizes,
            "sha256": self.sha256,
            "notes": self.notes,
            "classes": list(self.classes),
            **self.kind.to_json(),
            "examples": [{"text": text, "answers": tags} for text, tags in self._examples],
        }

    def _restore(self, fields: dict[str, Any]) -> None:
        self.sources = {part: [Source(s["path"], s["labels"]) for s in fields["sources"][part]] for part in PARTS}
        self.options = {name: fields["options"][name] for name in OPTIONS}
        self.options |= {name: fields["options"].get(name, default) for name, default in NEWER_OPTIONS.items()}
        self.sizes = {part: [int(n) for n in fields["sizes"][part]] for part in PARTS}
        self.sha256 = string(fields["sha256"])
        self._notes = strings(fields["notes"])
        self.classes = tuple(strings(fields["classes"]))
        self.kind = (Frames if "mean" in fields else Tokens).from_json(fields)
        self._examples = [(string(e["text"]), [int(k) for k in e["answers"]]) for e in fields["examples"]]
        check_options(self.options)
