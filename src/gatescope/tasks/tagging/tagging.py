"""The task tagging: a label for every token of a sentence, or for every frame of a sequence.

A little over 400 lines because a task is one class, and a sixth of them say what its settings are.
"""

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
from gatescope.tasks.data.tables import LARGEST
from gatescope.tasks.tagging.kinds import END, Frames, Lexicon, Tokens, examples_of, find
from gatescope.tasks.tagging.rows import Rows, padded
from gatescope.tasks.tagging.score import judged_labels
from gatescope.tasks.tagging.tagged import (
    PARTS,
    AnyPath,
    Raw,
    Source,
    Tagged,
    checked,
    column_of,
    most_frequent,
    notes_of,
    read_parts,
    since_change,
    sources_of,
)
from gatescope.vocabulary import PADDING, Ids, Vocabulary

VALIDATION = 100_000  # steps of the validation part that a validation reads at most
FORGOTTEN = 1.0  # a token that occurs n times is read as unknown, while training, with probability 1 / (1 + n)
CHARACTERS_A_FRAME = 5  # of a held out text; about what a word has
OPTIONS = ("token", "label", "parts", "least", "skip_bad", "batch", "longest", "largest")
LATER: dict[str, Any] = {"encoding": None, "merge_labels": False}  # options that a task.json of version 0.1 may lack


@dataclass(frozen=True)
class Coded:
    """A part as the network reads it: of each sequence the ids or numbers, and what it should say; -1 for nothing."""

    sequences: tuple[Any, ...]
    targets: tuple[Ids, ...]


@dataclass(frozen=True)
class Data:
    """The three parts, as they are in the files and as the network reads them."""

    raw: dict[str, Tagged]
    coded: dict[str, Coded]


class Tagging(FileTask[dict[str, Tagged], Data]):
    """One label for every token or frame.

    **Tokens** come from text files: a token and its label on each line, a blank line behind each sentence (or CoNLL-U).
    A symbol is a token that occurs at least `least` times in the training part; all others are unknown, which is read
    as zeros. So that unknown ones are met while training too, a token that occurs n times there is read as unknown with
    probability 1 / (1 + n), drawn anew for every batch (Kiperwasser and Goldberg 2016, with 0.25 instead of 1). Each
    sentence is closed by a newline, which is read like a token; nothing is asked for it.

    **Frames** come from an .npy of (T, I) numbers, one sequence, or an .npz of several; their labels from a text file,
    one a line. The network reads each number less its mean, divided by its standard deviation, both of the training
    part: these are the numbers in every text of the task, and `text_of` makes such a text of frames as they are.

    Of sequences longer than `longest` the training batches hold pieces, cut elsewhere in each epoch; each piece starts
    from the initial state. Validation and test read whole sequences.

    Arguments:
        paths: the file to learn from, or several. Each has its own two classes at least.
        validation, test: files of their own for these parts; None: held out from `paths`, by `parts`.
        labels: of frames, the file of labels of each of `paths`; None: beside each, with the ending .txt.
        validation_labels, test_labels: the same for these parts.
        token, label: of tokens, the numbers of the columns, from 1; None: there are two columns.
        parts: shares of the training, validation and test part. Whole sequences are drawn, always the same ones, and
            those that are equal go into one part. Of fewer than ten sequences of frames, each is cut instead.
        least: how often a token occurs at least that is a symbol.
        names: of the numbers of a frame; None: x0, x1, ...
        skip_bad: leave sentences with a wrong line out instead of refusing the file.
        batch: sequences (or pieces) of a batch; None: the recommended number.
        longest: steps of a piece, on average.
        largest: the most bytes a file may have.
        encoding: of the files of text; None: UTF-8, or what their byte order marks say.
        merge_labels: spellings of one label, such as 1 and 1.0 or Noun and noun, are that label.

    Raises: TaskError, which names every line of every file that cannot be used.
    """

    name: ClassVar[str] = "tagging"
    title: ClassVar[str] = "Tagging"
    question: ClassVar[str] = (
        "The network labels every word of a sentence, or every frame of a sequence: "
        "which neurons carry what came before, or what comes next, to where it decides?"
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
        "unknown": "a token that is no symbol",
        "ambiguity": "entropy of the labels of the token in the training part, in bits",
        "unusual": "the label is not the usual one of the step alone",
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
        largest: int = LARGEST,
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
        checked(self.options)
        raw, self.sha256, skipped = read_parts(self.sources, self.options)
        self.classes: tuple[str, ...] = raw["training"].classes
        self.kind: Tokens | Frames = (
            Frames.of(raw["training"], names) if self.reads_frames else Tokens.of(raw["training"], least)
        )
        if names is not None and not self.reads_frames:
            raise TaskError("TAGGING_NAMES_THOSE_NUMBERS_FRAMES")
        self._data = self._prepare(raw)
        self.sizes: dict[str, list[int]] = {part: [len(raw[part].raw), raw[part].steps] for part in PARTS}
        self._examples: list[tuple[str, list[int]]] = examples_of(self.kind, raw["test"])
        self._notes = notes_of(self.kind.thing, self.sources, raw, skipped)

    # --- what it is --------------------------------------------------------------------------------------------------

    @property
    def reads_frames(self) -> bool:
        """Whether the network reads frames; otherwise tokens."""
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
        usual = replace(self.settings, batch=self.options["batch"])
        return replace(usual, embedding=None, dropout=0.1, layers=(64,)) if self.reads_frames else usual

    # --- its data ----------------------------------------------------------------------------------------------------

    def _read_files(self) -> tuple[dict[str, Tagged], str]:
        contents, sha256, _ = read_parts(self.sources, self.options)
        return contents, sha256

    def _prepare(self, contents: dict[str, Tagged]) -> Data:
        coded = {
            part: Coded(tuple(map(self.kind.encode, data.raw)), tuple(map(self.kind.targets, data.tags)))
            for part, data in contents.items()
        }
        return Data(contents, coded)

    def _title_of_files(self) -> str | Message:
        return ", ".join(source.path for part in PARTS for source in self.sources[part])

    def _amount(self, contents: dict[str, Tagged] | None) -> Message:
        steps = [size[1] for size in self.sizes.values()]
        return Message(
            "TASK_AMOUNT_LABELS", count=sum(steps if contents is None else [data.steps for data in contents.values()])
        )

    @cached_property
    def _guess(self) -> Callable[[Any], Int[np.ndarray, " T"]]:
        return self.kind.baseline(self.data().raw["training"])

    @cached_property
    def _lexicon(self) -> Lexicon:
        return Lexicon.of(self.data().raw["training"])

    @cached_property
    def _known(self) -> dict[str, Ids]:
        """Sentence -> its labels; of the same sentence in two parts those of the test part, then of the validation."""
        found: dict[str, Ids] = {}
        for part in PARTS[::-1]:
            data = self.data().raw[part]
            for raw, tags in zip(data.raw, data.tags, strict=True):
                found.setdefault(" ".join(map(str, raw)), tags.astype(np.int32))
        return found

    # --- training ----------------------------------------------------------------------------------------------------

    @cached_property
    def _rows(self) -> Rows:
        lengths = np.array([len(sequence) for sequence in self.data().coded["training"].sequences])
        return Rows(lengths, self.options["batch"], self.options["longest"])

    @cached_property
    def _forgetting(self) -> NDArray[np.float64]:
        """How probably each token is read as unknown; the newline, unknown ones and padding (-1) never are."""
        size = self.vocabulary.size
        counts = np.bincount(np.concatenate(self.data().coded["training"].sequences), minlength=size)[:size]
        probabilities = np.append(FORGOTTEN / (FORGOTTEN + counts), [0.0, 0.0])
        probabilities[self.vocabulary.encode(END)] = 0.0
        return probabilities

    def batch(self, seed: int, step: int) -> Batch:
        """Sequences of similar length; each epoch reads every one once, in batches drawn from seed and epoch."""
        training = self.data().coded["training"]
        pieces = self._rows.batch(seed, step)
        tokens = padded([training.sequences[k][steps] for k, steps in pieces])
        if not self.reads_frames:
            probability = self._forgetting[tokens.astype(np.int64)]
            forgotten = generator(TRAINING, seed, step).random(tokens.shape) < probability
            tokens = np.where(forgotten, np.int32(self.vocabulary.unknown), tokens)
        return Batch(tokens, padded([training.targets[k][steps] for k, steps in pieces]))

    def validation(self, predict: Predict) -> float:
        """The mean loss in nats per label on the validation part: on whole sequences, spread over 100,000 steps of it.

        NaN where the network gives no number.
        """
        part = self.data().coded["validation"]
        stride = math.ceil(sum(map(len, part.sequences)) / VALIDATION)
        rows = predictions(predict, part.sequences[::stride], len(self.classes))
        sums = [loss_sum(r, t, PADDING) for r, t in zip(rows, part.targets[::stride], strict=True)]
        count = sum(n for _, n in sums)
        return sum(nats for nats, _ in sums) / count if count else math.nan

    # --- judging -----------------------------------------------------------------------------------------------------

    def score(self, predict: Predict) -> Score:
        """The share of the labels of the test part that are right: that the network finds most probable.

        Chance is the label that is most frequent in the training part, always. `details` have precision, recall and F1
        of each label, their mean F1 (`macro_f1`), the baseline (the most frequent label of each token; linear
        discriminants of each frame), the pairs confused most often, and of tokens the accuracy on unknown ones.
        """
        data = self.data()
        test, raw = data.coded["test"], data.raw["test"]
        rows = predictions(predict, test.sequences, len(self.classes))
        said = np.concatenate([r[t != PADDING].argmax(-1) for r, t in zip(rows, test.targets, strict=True)])
        alone = test.sequences if self.reads_frames else raw.raw
        guessed = np.concatenate([self._guess(steps) for steps in alone])
        unknown = None
        if not self.reads_frames:
            read = np.concatenate([s[t != PADDING] for s, t in zip(test.sequences, test.targets, strict=True)])
            unknown = read == self.vocabulary.unknown
        usual = most_frequent(data.raw["training"].tags, len(self.classes))
        return judged_labels(said, np.concatenate(raw.tags), self.classes, usual, guessed, unknown)

    # --- looking -----------------------------------------------------------------------------------------------------

    def text_of(self, *sequences: Raw) -> str:
        """The text that the network reads as these sequences: of tokens, or of frames as they are in the files."""
        return self.kind.text(sequences)

    def examples(self) -> list[str]:
        """A few sentences, or beginnings of sequences of frames, of the test part."""
        return [text for text, _ in self._examples]

    def answers(self, text: str) -> Ids | None:
        """The labels, -1 at newlines, where this sequence is in the data; of frames any part of one is known.

        None where it is not, and where the files are not there any more, but for the examples.
        """
        for example, tags in self._examples:
            if text == example:
                return np.array(tags, dtype=np.int32)
        try:
            self.data()
        except TaskError:
            return None
        return self._answers(text)

    def _answers(self, text: str) -> Ids | None:
        if not self.reads_frames:
            tokens = self.vocabulary.labels(text)
            closed = tokens[-1:] == [END]
            tags = self._known.get(" ".join(tokens[:-1] if closed else tokens))
            return tags if tags is None or not closed else np.append(tags, np.int32(PADDING))
        frames = self.vocabulary.encode(text)
        for part in PARTS[::-1]:
            coded = self.data().coded[part]
            place = find(frames, coded.sequences)
            if place is not None:
                return coded.targets[place[0]][place[1] : place[1] + len(frames)]
        return None

    def held_out(self, characters: int) -> str:
        """The beginning of the test part. Of frames, every five characters stand for one frame."""
        test, left = self.data().raw["test"], characters
        chosen: list[Raw] = []
        for raw in test.raw:
            if left <= 0:
                break
            chosen.append(raw[: math.ceil(left / CHARACTERS_A_FRAME)] if self.reads_frames else raw)
            left -= CHARACTERS_A_FRAME * len(chosen[-1]) if self.reads_frames else len(self.kind.text(chosen[-1:]))
        return self.kind.text(chosen)

    def quantities(self, text: str) -> dict[str, Quantity]:
        """What each step says by itself: the label that the baseline gives it, as truth values `usual_NAME`, and so on.

        Which label is right, the trace of a known sequence says. Here, the label is that of the data or, where the
        sequence is not in it, that of the baseline. At a newline the truth values are false.

        Raises: TaskError where the files are not there any more.
        """
        self.data()
        tags, ids = self.answers(text), self.vocabulary.encode(text)
        own: dict[str, Quantity] = {}
        if self.reads_frames:
            usual = self._guess(ids).astype(np.int32)
        else:
            tokens = self.vocabulary.labels(text)
            usual = np.where([token != END for token in tokens], self._guess(tokens), PADDING).astype(np.int32)
            entropy = self._lexicon.entropy
            own["unknown"] = ids == self.vocabulary.unknown
            own["ambiguity"] = np.array([entropy.get(token, 0.0) for token in tokens], dtype=np.float64)
        tags = usual if tags is None else tags
        shown: dict[str, Quantity] = {f"usual_{name}": usual == k for k, name in enumerate(self.classes)}
        return {**shown, **own, "unusual": tags != usual, "since_change": since_change(tags)}

    # --- keeping -----------------------------------------------------------------------------------------------------

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
        self.options |= {name: fields["options"].get(name, usual) for name, usual in LATER.items()}
        self.sizes = {part: [int(n) for n in fields["sizes"][part]] for part in PARTS}
        self.sha256 = string(fields["sha256"])
        self._notes = strings(fields["notes"])
        self.classes = tuple(strings(fields["classes"]))
        self.kind = (Frames if "mean" in fields else Tokens).from_json(fields)
        self._examples = [(string(e["text"]), [int(k) for k in e["answers"]]) for e in fields["examples"]]
        checked(self.options)
