"""The data of the task tagging: which files, what is in them, and which part of it is held out."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from gatescope.tasks.base.task import EVALUATION, TaskError, generator
from gatescope.tasks.data.classes import note_of_spellings, spellings
from gatescope.tasks.data.corpus import absolute
from gatescope.tasks.data.encodings import checked_encoding
from gatescope.tasks.data.labelled import ordered, read_tagged
from gatescope.tasks.data.tables import read_bytes
from gatescope.tasks.tagging.frames import read_frames
from gatescope.vocabulary import Ids, Numbers

READING = ("token", "label", "skip_bad", "largest", "encoding", "merge_labels")
PARTS = ("training", "validation", "test")
ARRAYS = (".npy", ".npz")
TOLD = 5  # wrong lines that a note names
FEWEST = 10  # sequences of frames below which each is cut into parts, instead of keeping some of them apart

Raw = tuple[str, ...] | Numbers
"""The tokens of a sentence, or the frames of a sequence as they are in the file."""


@dataclass(frozen=True)
class Source:
    """A file, and for frames the file of their labels."""

    path: str
    labels: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """All of them."""
        return (self.path,) if self.labels is None else (self.path, self.labels)


@dataclass(frozen=True)
class Tagged:
    """Sequences with a label for each step.

    Arguments:
        raw: of each of the N sequences, its tokens or its frames (`Raw`).
        tags: of each, (T,) numbers of the classes.
        classes: their names.
        skipped: lines that were left out, each with the file and the reason.
    """

    raw: tuple[Any, ...]
    tags: tuple[Int[np.ndarray, " _"], ...]
    classes: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """The number of steps of all sequences together."""
        return sum(map(len, self.tags))

    def some(self, places: Iterable[int]) -> Tagged:
        """Some of the sequences."""
        chosen = list(places)
        return Tagged(tuple(self.raw[k] for k in chosen), tuple(self.tags[k] for k in chosen), self.classes)

    def cut(self, begin: float, end: float) -> Tagged:
        """Return the steps of each sequence between two shares of its length; sequences without any are left out."""
        bounds = [(round(len(row) * begin), round(len(row) * end)) for row in self.tags]
        kept = [(k, slice(*bound)) for k, bound in enumerate(bounds) if bound[0] < bound[1]]
        return Tagged(tuple(self.raw[k][b] for k, b in kept), tuple(self.tags[k][b] for k, b in kept), self.classes)


AnyPath = str | os.PathLike[str]
Read = Callable[[Source, Sequence[str] | None], Tagged]


# --- files and parts -------------------------------------------------------------------------------------------------


def read_parts(
    sources: dict[str, list[Source]], options: dict[str, Any]
) -> tuple[dict[str, Tagged], str, tuple[str, ...]]:
    """The three parts, the hash of their files, and the lines that were left out.

    Arguments: `options` are "parts", the shares of those that have no file of their own, and those of `reader`.

    Raises: TaskError, which has what is wrong with every one of the files.
    """
    others = [source for part in PARTS[1:] for source in sources[part]]
    frames = sources["training"][0].labels is not None
    read = reader(frames, **{name: options[name] for name in READING})
    training, rest = read_all(read, sources["training"], others, options["merge_labels"])
    skipped = tuple(line for data in (training, *rest) for line in data.skipped)
    found = {part: rest.pop(0) for part in PARTS[1:] if sources[part]}
    shares = [0.0 if part in found else share for part, share in zip(PARTS, options["parts"], strict=True)]
    held = hold_out(training, [share / sum(shares) for share in shares])
    parts = {part: found.get(part, own) for part, own in zip(PARTS, held, strict=True)}
    return parts, sha256_of([file for part in PARTS for source in sources[part] for file in source.files]), skipped


def reader(
    frames: bool,
    *,
    token: int | None,
    label: int | None,
    skip_bad: bool,
    largest: int,
    encoding: str | None,
    merge_labels: bool,
) -> Read:
    """What reads one file. The settings are those of `read_tagged` and `read_frames`."""
    more: dict[str, Any] = {"encoding": encoding, "merge_labels": merge_labels}

    def sentences(source: Source, classes: Sequence[str] | None) -> Tagged:
        found = read_tagged(source.path, token, label, classes, skip_bad, largest, **more)
        skipped = tuple(f"{source.path}, {line}" for line in found.skipped)
        return Tagged(found.tokens, found.tags, found.classes, skipped)

    def sequences(source: Source, classes: Sequence[str] | None) -> Tagged:
        found = read_frames(source.path, source.labels or "", classes, largest, **more)
        return Tagged(found.values, found.labels, found.classes)

    return sequences if frames else sentences


def read_all(
    read: Read, training: Sequence[Source], others: Sequence[Source], merge_labels: bool = False
) -> tuple[Tagged, list[Tagged]]:
    """The files of the training part as one, and each of the others, whose labels must be among those.

    Raises: TaskError, which has what is wrong with every one of the files.
    """
    wrong: list[str] = []
    found: list[Tagged] = []
    for source in training:
        try:
            found.append(read(source, None))
        except TaskError as error:
            wrong.append(str(error))
    if merge_labels:
        called = spellings(label_counts(found))
        found = [replace(part, classes=tuple(called[name] for name in part.classes)) for part in found]
    classes = ordered({name for part in found for name in part.classes})
    rest: list[Tagged] = []
    for source in others:
        try:
            # Of which classes they may be is not known where the training part is wrong.
            rest.append(read(source, None if wrong else classes))
        except TaskError as error:
            wrong.append(str(error))
    if wrong:
        raise TaskError("\n".join(wrong))
    widths = {
        source.path: raw.shape[1]
        for source, part in zip((*training, *others), (*found, *rest), strict=True)
        for raw in part.raw[:1]
        if isinstance(raw, np.ndarray)
    }
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{width} in {path}" for path, width in widths.items())
        raise TaskError("TAGGED_ALL_FRAMES_MANY_NUMBERS", listed=listed)
    return _together(found, classes), rest


def label_counts(parts: Iterable[Tagged]) -> Counter[str]:
    """How often each label occurs."""
    counts: Counter[str] = Counter()
    for part in parts:
        every = np.bincount(np.concatenate([*part.tags, np.empty(0, np.int64)]), minlength=len(part.classes))
        for name, count in zip(part.classes, every.tolist(), strict=True):
            counts[name] += count
    return counts


def _together(parts: Sequence[Tagged], classes: tuple[str, ...]) -> Tagged:
    """Parts as one; their classes are numbered anew."""
    number = {name: k for k, name in enumerate(classes)}
    raw, tags, skipped = [], [], []
    for part in parts:
        new = np.array([number[name] for name in part.classes], dtype=np.int64)
        raw += part.raw
        tags += [new[row] for row in part.tags]
        skipped += part.skipped
    return Tagged(tuple(raw), tuple(tags), classes, tuple(skipped))


def keys_of(data: Tagged) -> list[bytes]:
    """Return a key for each sequence, equal for equal sequences."""
    return [raw.tobytes() if isinstance(raw, np.ndarray) else "\n".join(raw).encode() for raw in data.raw]


def hold_out(data: Tagged, shares: Sequence[float]) -> list[Tagged]:
    """Parts of some data: whole sequences, drawn once and for all; those that are equal are in one part.

    Of fewer than ten different sequences of frames, each is cut into the parts instead, in this order.

    Arguments: `shares` sum to 1; a part whose share is 0 has no sequences.

    Raises: TaskError where a part with a share would have none.
    """
    numbers: dict[bytes, int] = {}
    owner = np.array([numbers.setdefault(key, len(numbers)) for key in keys_of(data)])
    bounds = np.cumsum([0.0, *shares])
    frames = isinstance(data.raw[0], np.ndarray)
    if frames and len(numbers) < FEWEST and any(0 < share < 1 for share in shares):
        parts = [data.cut(begin, end) for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]
    else:
        order = generator(EVALUATION, 0).permutation(len(numbers))
        cuts = np.round(bounds * len(numbers)).astype(np.int64)
        of = np.empty(len(numbers), dtype=np.int64)
        for k in range(len(shares)):
            of[order[cuts[k] : cuts[k + 1]]] = k
        parts = [data.some(np.flatnonzero(of[owner] == k).tolist()) for k in range(len(shares))]
    for part, share in zip(parts, shares, strict=True):
        if share and not part.raw:
            raise TaskError("TAGGED_TOO_LITTLE_DATA_LABELS", steps=data.steps)
    return parts


def most_frequent(tags: Iterable[Int[np.ndarray, " _"]], classes: int) -> int:
    """The label that occurs most often."""
    return int(np.bincount(np.concatenate(list(tags)), minlength=classes).argmax())


def paths_of(value: Any) -> tuple[str | os.PathLike[str], ...]:
    """One path or several, as several."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str | os.PathLike) else tuple(value)


def since_change(tags: Ids) -> Int[np.ndarray, " T"]:
    """Steps since the label last changed, or since the start."""
    steps = np.arange(len(tags))
    changed = np.append(True, tags[1:] != tags[:-1])[: len(tags)]
    return steps - np.maximum.accumulate(np.where(changed, steps, 0))


def sources_of(
    paths: AnyPath | Sequence[AnyPath] | None,
    labels: AnyPath | Sequence[AnyPath] | None,
    others: dict[str, tuple[Any, Any]],
) -> dict[str, list[Source]]:
    """The files of each part, and the labels of those that are arrays.

    Raises: TaskError for tokens and frames together, and labels that belong to nothing.
    """
    given = {"training": (paths_of(paths), paths_of(labels))}
    given |= {part: (paths_of(path), paths_of(own)) for part, (path, own) in others.items()}
    if not given["training"][0]:
        raise TaskError("TAGGED_NOTHING_LEARN_FILE_TOKENS")
    every = [Path(path) for files, _ in given.values() for path in files]
    frames = [path.suffix.lower() in ARRAYS for path in every]
    if any(frames) and not all(frames):
        raise TaskError("TAGGED_EITHER_ALL_FILES_ARRAYS", arrays=" or ".join(ARRAYS), map=", ".join(map(str, every)))
    found: dict[str, list[Source]] = {}
    for part, (files, own) in given.items():
        if own and not (frames[0] and len(own) == len(files)):
            what = f"{len(files)} of frames" if frames[0] else "none of frames (those end with .npy or .npz)"
            raise TaskError("TAGGED_EVERY_FILE_FRAMES_LABELS", count=len(own), what=what)
        beside = own or [Path(path).with_suffix(".txt") for path in files]
        found[part] = [
            Source(str(absolute(path)), str(absolute(names)) if frames[0] else None)
            for path, names in zip(files, beside, strict=True)
        ]
    return found


def sha256_of(files: Sequence[str]) -> str:
    """SHA-256 of what is in some files, each with its length."""
    found = hashlib.sha256()
    for file in files:
        content = read_bytes(file)
        found.update(f"{len(content)}:".encode() + content)
    return found.hexdigest()


def column_of(name: str, value: int | str | None) -> int | None:
    """The number of a column, which may be given as text. Raises: TaskError where it is none."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    raise TaskError("TAGGED_COLUMNS_TOKENS_NUMBERS_NAMES", name=name, value=value)


def checked(options: dict[str, Any]) -> None:
    """Settings that make no sense. Raises: TaskError."""
    shares = options["parts"]
    if len(shares) != 3 or min(shares) <= 0 or not math.isclose(sum(shares), 1):
        raise TaskError("TAGGED_PARTS_THREE_POSITIVE_SHARES", shares=shares)
    if options["encoding"] is not None:
        checked_encoding(options["encoding"])
    for name in ("batch", "longest", "least", "largest"):
        if not isinstance(options[name], int) or options[name] < 1:
            raise TaskError("TAGGED_WHOLE_NUMBER_LEAST_GIVEN", name=name, options=options[name])


def notes_of(thing: str, sources: dict[str, list[Source]], raw: dict[str, Tagged], skipped: Sequence[str]) -> list[str]:
    """What was left out, what was held out, and how much of the test is in the training part, as sentences."""
    notes = note_of_spellings(label_counts(raw.values()))
    if skipped:
        more = f" and {len(skipped) - TOLD} more" if len(skipped) > TOLD else ""
        notes.append(f"{len(skipped):,} wrong lines were left out: {'; '.join(skipped[:TOLD])}{more}.")
    held = [part for part in PARTS[1:] if not sources[part]]
    if held:
        sizes = " and ".join(f"{raw[part].steps:,} {thing}s for the {part}" for part in held)
        notes.append(f"Held out from the training files: {sizes}.")
    known = set(keys_of(raw["training"]))
    twice = sum(key in known for key in keys_of(raw["test"]))
    if twice:
        total = len(raw["test"].raw)
        notes.append(f"Of the {total:,} sequences of the test part, {twice:,} stand in the training part, too.")
    return notes
