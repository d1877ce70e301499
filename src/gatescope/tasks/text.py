"""The task text: predict every next character of a corpus.

A network that predicts text well has to follow quotes, brackets, indentation and more; this task shows in which
neurons.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from gatescope.messages import Message
from gatescope.readout import SYMBOLS, Readout
from gatescope.tasks.base.saved_task import FileTask, string, strings
from gatescope.tasks.base.scoring import TaskData
from gatescope.tasks.base.task import (
    TRAINING,
    Batch,
    Predict,
    Quantity,
    Recommended,
    Score,
    TaskError,
    Validation,
    generator,
)
from gatescope.tasks.data.corpus import MAX_CORPUS_BYTES, Corpus, absolute, read, standard_library
from gatescope.tasks.measures.text_data import score_as_data, text_as_data, validation_as_data
from gatescope.tasks.measures.text_score import Symbols, score_text, validate_text
from gatescope.vocabulary import PADDING, Ids, Vocabulary

MIN_UNROLL = 16
MIN_CHUNKS = 4  # of a stream: its state is carried over three times or more; for short texts batch and unroll shrink
RESTART_UPDATES = 64  # after which a stream starts from the initial state again
MAX_LISTED_FILES = 5
PASSAGES = 3
PASSAGE_CHARACTERS = (200, 400)  # of an example


@dataclass(frozen=True)
class Parts:
    """The ids of the three contiguous parts of a corpus, one flat array each.

    Their dtype is uint8, uint16 or int32, the smallest that holds every id.

    Attributes:
        training, validation, test: (T,) ids.
    """

    training: Symbols
    validation: Symbols
    test: Symbols


class Text(FileTask[Corpus, Parts]):
    """Predict every next character of a corpus that is cut, by position, into a training, a validation and a test part.

    The training part is a ring. `batch` streams read it side by side, `unroll` symbols at each step; each row goes on
    where it ended at the step before. An epoch ends when the next step would read a symbol twice: at most batch *
    unroll symbols are then left over. The next epoch starts at another place of the ring, drawn from the seed and the
    epoch, so other symbols are left over. The loss does not count the step from the last symbol of the ring to its
    first.

    The state of a stream is carried over from step to step, and is reset to the initial state every 64 steps; with 64
    streams, one of them restarts at each step. Without restarts a network would be trained only on states that its own
    dynamics sustain, never on those after the initial state, where every later text begins: after a few hundred updates
    some beginnings would lead into a second attractor, in which it predicts nothing.

    Args:
        paths: files, folders and glob patterns; None: the source of the Python standard library on this machine.
        bytes: use the bytes of the UTF-8 text as symbols. The parts are still cut between characters.
        parts: shares of the training, validation and test part.
        vocabulary: the symbols of a network that is trained further on this text; None: those of the training part.
        batch: streams; None: the recommended number, fewer if the text is short.
        unroll: symbols of a stream at a step; None: the recommended number, fewer if the text is short.
        largest: the most bytes that a corpus may have.
        encoding: of all files; None: UTF-8, or the encoding of a file's byte order mark.

    Raises:
        TaskError: a path cannot be used, or the text is too short.
    """

    name: ClassVar[str] = "text"
    title: ClassVar[str] = "Text"
    question: ClassVar[str] = (
        "The network reads a text and predicts every next character: "
        "which neurons follow quotes, brackets, indentation or the length of a line?"
    )
    settings: ClassVar[Recommended] = Recommended(
        layers=(128,), steps=20_000, batch=64, learning_rate=0.008, final_learning_rate=0.0, unroll=32, score_every=0
    )
    quantity_titles: ClassVar[dict[str, str]] = {}

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]] | None = None,
        *,
        bytes: bool = False,  # noqa: A002 (the name of the option)
        vocabulary: Vocabulary | None = None,
        parts: tuple[float, float, float] = (0.9, 0.05, 0.05),
        batch: int | None = None,
        unroll: int | None = None,
        largest: int = MAX_CORPUS_BYTES,
        encoding: str | None = None,
    ) -> None:
        if isinstance(paths, str | os.PathLike):
            paths = [paths]
        _check_settings(parts, batch, unroll)
        self.paths = None if paths is None else tuple(str(absolute(path)) for path in paths)
        self.shares = tuple(parts)
        self.largest, self.encoding = largest, encoding
        corpus, self.sha256 = self._read_files()
        texts = _cut(corpus.text, self.shares)
        if vocabulary is None:
            vocabulary = Vocabulary.of_bytes() if bytes else Vocabulary.of(texts[0])
        else:
            _expect_known(vocabulary, bytes, corpus.text)
        self.vocabulary: Vocabulary = vocabulary
        data = self._encoded(texts)
        self._data = data
        self.recommended: Recommended = _fitted(len(data.training), len(corpus.text), batch, unroll, self.shares)
        self.characters = len(corpus.text)
        self.sizes = tuple(map(len, texts))
        self.files = len(corpus.files)
        self.skipped = tuple(f"{path}: {reason}" for path, reason in corpus.skipped)
        self._examples = _passages(texts[2], self.vocabulary)

    @property
    def readout(self) -> Readout:
        """The next symbol, after every step."""
        return SYMBOLS

    @property
    def notes(self) -> list[str]:
        """Sentences to read before training starts, about skipped files and smaller batches of a short text."""
        notes = []
        if self.skipped:
            files = "; ".join(self.skipped[:MAX_LISTED_FILES])
            if len(self.skipped) > MAX_LISTED_FILES:
                note = Message("TEXT_NOTE_SKIPPED_MORE", files=files, more=len(self.skipped) - MAX_LISTED_FILES)
            else:
                note = Message("TEXT_NOTE_SKIPPED", files=files)
            notes.append(str(note))
        now, usual = self.recommended, self.settings
        if now.batch * (now.unroll or 0) < usual.batch * (usual.unroll or 0):
            note = Message(
                "TEXT_NOTE_SHORT",
                characters=self.characters,
                batch=now.batch,
                unroll=now.unroll,
                usual_batch=usual.batch,
                usual_unroll=usual.unroll,
            )
            notes.append(str(note))
        return notes

    def _read_files(self) -> tuple[Corpus, str]:
        corpus = read(standard_library() if self.paths is None else self.paths, self.largest, self.encoding)
        return corpus, corpus.sha256

    def _encoded(self, texts: tuple[str, str, str]) -> Parts:
        training, validation, test = (_compact(self.vocabulary, text) for text in texts)
        return Parts(training, validation, test)

    def _prepare(self, contents: Corpus) -> Parts:
        return self._encoded(_cut(contents.text, self.shares))

    def _title_of_files(self) -> str | Message:
        if self.paths is None:
            return Message("TEXT_STANDARD_LIBRARY", folder=standard_library()[0].parent)
        return ", ".join(self.paths)

    def _amount(self, contents: Corpus | None) -> Message:
        return Message("TASK_AMOUNT_CHARACTERS", count=self.characters if contents is None else len(contents.text))

    def batch(self, seed: int, step: int) -> Batch:
        """Return step `step` of the streams, (batch, unroll). Unknown characters are inputs, but not targets."""
        return self.streams(step, lambda epoch, size: int(generator(TRAINING, seed, epoch).integers(size)))

    def streams(self, step: int, place: Callable[[int, int], int]) -> Batch:
        """Return a step of the streams.

        Args:
            step: the step.
            place: the place of the ring at which an epoch begins, for the epoch and the size of the ring.
        """
        ring = self.data().training
        streams, unroll = self.recommended.batch, self.recommended.unroll or MIN_UNROLL
        steps = (len(ring) - 1) // (streams * unroll)
        epoch, chunk = divmod(step, steps)
        offset = place(epoch, len(ring))
        first = offset + steps * unroll * np.arange(streams) + chunk * unroll
        places = (first[:, None] + np.arange(unroll + 1)) % len(ring)
        ids = ring[places].astype(np.int32)
        tokens, targets = ids[:, :-1], ids[:, 1:].copy()
        targets[(places[:, 1:] == 0) | (targets == self.vocabulary.unknown)] = PADDING
        since_restart = (chunk + np.arange(streams) * RESTART_UPDATES // streams) % RESTART_UPDATES
        return Batch(np.ascontiguousarray(tokens), targets, continues=(since_restart > 0) & (chunk > 0))

    def validate(self, predict: Predict) -> Validation:
        """Return the loss on up to 64,000 symbols of the validation part, in stretches spread over all of it.

        Each stretch is read from the initial state; see `gatescope.tasks.measures.text_score`.
        """
        return validate_text(predict, self.data().validation, self.vocabulary)

    def validation(self, predict: Predict) -> float:
        """Return the mean loss of `validate`, in nats per symbol."""
        return self.validate(predict).loss

    def score(self, predict: Predict) -> Score:
        """Return the cross-entropy on the test part, in nats per symbol.

        At most 1,000,000 symbols are read, in stretches that each start from the initial state. Unknown characters are
        inputs, but not targets. Chance is a guess by the frequencies of the symbols in the training part.
        """
        parts = self.data()
        return score_text(predict, parts.training, parts.test, self.vocabulary)

    def task_data(self) -> TaskData:
        """Return the three parts of the text, and where the validation and the score read them."""
        parts, settings = self.data(), {"bytes": self.vocabulary.bytes, "parts": list(self.shares)}
        training, validation, test = (
            text_as_data(ids, self.vocabulary) for ids in (parts.training, parts.validation, parts.test)
        )
        return TaskData(
            settings,
            {**training, "kind": "streams", "restart": RESTART_UPDATES},
            {**validation, **validation_as_data(parts.validation)},
            {**test, **score_as_data(parts.training, parts.test, self.vocabulary)},
        )

    def examples(self) -> list[str]:
        """Return a few passages of the test part."""
        return list(self._examples)

    def answers(self, text: str) -> Ids | None:
        """Return None: the target is the next symbol."""
        return None

    def held_out(self, characters: int) -> str:
        """Return the beginning of the test part."""
        return self.vocabulary.decode(self.data().test[:characters])

    def quantities(self, text: str) -> dict[str, Quantity]:
        """Return nothing: the features cover what must be remembered of a text."""
        return {}

    def _to_fields(self) -> dict[str, Any]:
        return {
            "paths": None if self.paths is None else list(self.paths),
            "bytes": self.vocabulary.bytes,
            "parts": list(self.shares),
            "batch": self.recommended.batch,
            "unroll": self.recommended.unroll,
            "largest": self.largest,
            "reading": {"encoding": self.encoding},
            "characters": self.characters,
            "sizes": list(self.sizes),
            "sha256": self.sha256,
            "files": self.files,
            "skipped": list(self.skipped),
            "vocabulary": self.vocabulary.to_json(),
            "examples": self.examples(),
        }

    def _restore(self, fields: dict[str, Any]) -> None:
        self.paths = None if fields["paths"] is None else tuple(strings(fields["paths"]))
        self.shares = tuple(float(share) for share in fields["parts"])
        self.largest = int(fields["largest"])
        # A task.json of version 0.1 has no encoding: zero bytes were characters then.
        self.encoding = fields.get("reading", {"encoding": "utf-8"})["encoding"]
        self.characters = int(fields["characters"])
        self.sizes = tuple(int(size) for size in fields["sizes"])
        self.sha256 = string(fields["sha256"])
        self.files = int(fields["files"])
        self.skipped = tuple(strings(fields["skipped"]))
        self.vocabulary = Vocabulary.from_json(fields["vocabulary"])
        self.recommended = replace(self.settings, batch=int(fields["batch"]), unroll=int(fields["unroll"]))
        self._examples = strings(fields["examples"])
        _check_settings(self.shares, self.recommended.batch, self.recommended.unroll)


def _check_settings(parts: tuple[float, ...], batch: int | None, unroll: int | None) -> None:
    """Check settings of the task.

    Raises:
        TaskError: a setting is out of its range.
    """
    if len(parts) != 3 or min(parts) <= 0 or not math.isclose(sum(parts), 1):
        raise TaskError("TEXT_PARTS_RANGE", parts=parts)
    for name, value in (("batch", batch), ("unroll", unroll)):
        if value is not None and value < 1:
            raise TaskError("TEXT_SETTING_RANGE", name=name, value=value)


def _expect_known(vocabulary: Vocabulary, as_bytes: bool, text: str) -> None:
    """Check that a network with a vocabulary can read a text.

    Raises:
        TaskError: the text has characters that the network lacks; the message names them.
    """
    if vocabulary.unit not in ("character", "byte") or (as_bytes and not vocabulary.bytes):
        unit = "bytes" if as_bytes else "characters"
        raise TaskError("TEXT_UNIT_DIFFERS", expected=unit, actual=vocabulary.unit)
    unknown = [] if vocabulary.other is not None else vocabulary.unknown_in(text)
    if unknown:
        more = f" and {len(unknown) - 8:,} more" if len(unknown) > 8 else ""
        raise TaskError(
            "TEXT_SYMBOLS_UNKNOWN", size=vocabulary.size, symbols=", ".join(map(repr, unknown[:8])), more=more
        )


def _cut(text: str, shares: tuple[float, ...]) -> tuple[str, str, str]:
    """Return the three contiguous parts of a text."""
    first = round(len(text) * shares[0])
    second = round(len(text) * (shares[0] + shares[1]))
    return text[:first], text[first:second], text[second:]


def _compact(vocabulary: Vocabulary, text: str) -> Symbols:
    """Return the ids of a text in the smallest dtype that holds them, encoded piece by piece."""
    size = vocabulary.unknown
    dtype = np.uint8 if vocabulary.bytes or size < 1 << 8 else np.uint16 if size < 1 << 16 else np.int32
    step = 1 << 20
    pieces = [vocabulary.encode(text[k : k + step]).astype(dtype) for k in range(0, len(text), step)]
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=dtype)


def _fitted(
    symbols: int, characters: int, batch: int | None, unroll: int | None, shares: tuple[float, ...]
) -> Recommended:
    """Return the recommended settings. Without a user's choice, `batch` and `unroll` shrink for a short text.

    Args:
        symbols: number of symbols of the training part.
        characters: number of characters of the whole text.
        batch: sequences per batch, as the user set it; None: to be chosen.
        unroll: steps per update, as the user set it; None: to be chosen.
        shares: of the three parts.

    Raises:
        TaskError: the text is too short.
    """
    usual = Text.settings
    rows, length = batch or usual.batch, unroll or usual.unroll or MIN_UNROLL
    while batch is None and rows > 1 and rows * length * MIN_CHUNKS >= symbols:
        rows //= 2
    while unroll is None and length > MIN_UNROLL and rows * length * MIN_CHUNKS >= symbols:
        length //= 2
    # one chunk and the symbol after it for training; a symbol and its successor in the other parts, however rounded
    needed = max(math.ceil((rows * length + 1) / shares[0]), *(math.ceil(3 / share) for share in shares[1:]))
    if characters < needed:
        raise TaskError(
            "TEXT_TOO_SHORT_FOR_BATCH" if batch or unroll else "TEXT_TOO_SHORT",
            needed=needed,
            rows=rows,
            unroll=length,
            characters=characters,
        )
    return replace(usual, batch=rows, unroll=length)


def _passages(text: str, vocabulary: Vocabulary) -> list[str]:
    """Return passages of 200 to 400 characters that start and end with a line, one from each third of `text`.

    Candidates are spread evenly over each third. The best one has quotes, brackets, indentation and comments, several
    lines, and no unknown characters.
    """
    third = len(text) / PASSAGES
    best = []
    for k in range(PASSAGES):
        starts = sorted({_line_start(text, int((k + j / 64) * third)) for j in range(64)})
        passages = [_passage(text, start) for start in starts]
        best.append(max(passages, key=lambda passage: _interest(passage, vocabulary)))
    return [passage for passage in dict.fromkeys(best) if passage]


def _line_start(text: str, place: int) -> int:
    """Return the start of the line after `place`; `place` itself if the lines are long."""
    newline = text.find("\n", place, place + PASSAGE_CHARACTERS[1])
    return place if newline < 0 or newline + 1 == len(text) else newline + 1


def _passage(text: str, start: int) -> str:
    """Return the passage from `start` to the end of a line; cut inside a line if the lines are long."""
    end = text.rfind("\n", start + PASSAGE_CHARACTERS[0], start + PASSAGE_CHARACTERS[1])
    return text[start : end + 1 if end >= 0 else start + PASSAGE_CHARACTERS[1]]


def _interest(passage: str, vocabulary: Vocabulary) -> float:
    """Return how much a passage shows: its marks, levels of indentation and lines, less its unknown characters."""
    seen = Counter(passage)
    lines = passage.splitlines()
    score = sum(min(seen[mark], 4) for mark in "\"'()[]{}#:,.=") / 4
    score += 3 * min(1, len(passage) / PASSAGE_CHARACTERS[0])
    score += 3 * len({len(line) - len(line.lstrip()) for line in lines if line.strip()} & {0, 4, 8, 12, 2, 6})
    score += min(len(lines), 8) / 4
    return score - 10 * len(vocabulary.unknown_in(passage)) - 2 * passage.count("\n\n\n")
