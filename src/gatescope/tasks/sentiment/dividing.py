"""Labelled texts in a training, a validation and a test part that have no text in common."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from gatescope.splitting import LATEST, chunks_of
from gatescope.tasks.base.task import EVALUATION, TaskError, generator
from gatescope.tasks.data.classes import note_of_spellings, spellings
from gatescope.tasks.data.labelled import LabelledTexts, ordered, read_labelled
from gatescope.tasks.data.tables import read_bytes

SHARE = 0.1  # of the texts that are validated on, and tested on where there is no test file
VALIDATED, TESTED = 2_000, 20_000  # at most
FEWEST = 10
FEW = 200  # texts up to which none is set aside to validate on
PASSAGE = (4, 60)  # words of a text that is looked for in others; a shorter one can be said anywhere
TOLD = 5  # lines that a note names


@dataclass(frozen=True)
class Labelled:
    """Texts with one space for each run of white space, and the numbers of their classes, (N,)."""

    texts: tuple[str, ...]
    labels: Int[np.ndarray, " N"]

    def of(self, chosen: NDArray[np.bool_]) -> Labelled:
        """Those of a mask (N,)."""
        return Labelled(tuple(self.texts[k] for k in np.flatnonzero(chosen)), self.labels[chosen])


@dataclass(frozen=True)
class Divided:
    """Texts in three parts.

    Arguments:
        classes: their names.
        notes: what a user should know about how they were divided, as sentences.
        sha256: of all files; of what was made and not read, "".
    """

    training: Labelled
    validation: Labelled
    test: Labelled
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Texts of each part."""
        return len(self.training.texts), len(self.validation.texts), len(self.test.texts)


def normal(text: str) -> str:
    """A text as it is compared with others: in small letters, with one space for each run of white space."""
    return " ".join(text.split()).casefold()


def divided(
    paths: Sequence[str],
    validation: str | None = None,
    test: str | None = None,
    *,
    text: str | int | None = None,
    label: str | int | None = None,
    skip_bad: bool = False,
    largest: int,
    encoding: str | None = None,
    merge_labels: bool = False,
    rule: int = LATEST,
) -> Divided:
    """The texts of some files, divided at random, always in the same way.

    Where there is no file for it, a tenth is validated on (at most 2,000) and a tenth tested on (at most 20,000).
    Of 200 texts or fewer none is set aside to validate on: that is done on the training part.
    Texts that are the same (whatever their capitals and white space), and texts of 4 words and more that are a part of
    another one, are never divided: a phrase goes with the longest text that it stands in. Texts of the test file are
    left out of the others, and those of the validation file out of training.

    Arguments:
        paths: files to train on.
        validation, test: files to validate and test on; their labels must be classes of the others.
        text, label, skip_bad, largest, encoding, merge_labels: see `read_labelled`.
        rule: see `families`.

    Raises: TaskError, which lists every line of a file that cannot be used; or for files that have too few texts.
    """
    read = partial(
        read_labelled,
        text=text,
        label=label,
        skip_bad=skip_bad,
        largest=largest,
        encoding=encoding,
        merge_labels=merge_labels,
    )
    given = [path for path in (*paths, validation, test) if path is not None]
    files, classes = _all_read(read, given, len(paths), merge_labels)
    notes = [_skipped(path, file) for path, file in zip(given, files, strict=True) if file.skipped]
    notes += note_of_spellings(_counts(files[: len(paths)]))
    every = _joined(files[: len(paths)], classes)
    tested = None if test is None else _joined(files[-1:], classes)
    validated = None if validation is None else _joined([files[len(paths)]], classes)
    if tested is not None and validated is not None:
        validated = _without(validated, tested, "the test file", "the validation file", notes)
    if tested is not None:
        every = _without(every, tested, "the test file", "the training part", notes)
    if validated is not None:
        every = _without(every, validated, "the validation file", "the training part", notes)
    if len(every.texts) < FEWEST:
        where = ", ".join(paths)
        raise TaskError("DIVIDING_TRAIN_LEAST", texts=_texts(len(every.texts)), where=where, fewest=FEWEST)
    family = families(every.texts, rule)
    if contrary := _contrary(family, every):
        notes.append(f"The files give more than one label to {_texts(contrary)}; none of these is left out.")
    few, share = len(every.texts) <= FEW, round(SHARE * len(every.texts))
    part = _drawn(
        family,
        (0 if few or validated is not None else min(VALIDATED, share), 0 if tested is not None else min(TESTED, share)),
    )
    training = every.of(part == 0)
    if validated is None and few:
        notes.append(f"There are only {_texts(len(every.texts))}, so the validation loss is that of the training part.")
        validated = training
    found = Divided(
        training,
        every.of(part == 1) if validated is None else validated,
        every.of(part == 2) if tested is None else tested,
        classes,
        tuple(notes),
        _sha256(given, largest),
    )
    _check(found)
    return found


def families(texts: Sequence[str], rule: int = LATEST) -> Int[np.ndarray, " N"]:
    """Return for each text the number of the longest text that contains it: its own if no other does.

    Texts that are the same have the number of the first. Runs of words are compared by sums of random numbers modulo
    2**64 (Karp and Rabin 1987), all runs of one length at once; two different ones agree less often than once in 2**50.
    Words stand between white space; where there is none between them, they are those of `gatescope.splitting`.

    Arguments:
        texts: with one space for each run of white space.
        rule: how scripts without spaces are split.
    """
    first: dict[str, int] = {}
    same = np.array([first.setdefault(normal(text), k) for k, text in enumerate(texts)], dtype=np.int64)
    distinct = np.array(list(first.values()), dtype=np.int64)
    split = [chunks_of(text, rule) for text in first]
    length = np.array([len(words) for words in split], dtype=np.int64)
    ids: dict[str, int] = {}
    flat = np.array([ids.setdefault(word, len(ids)) for words in split for word in words], dtype=np.int64)
    random = generator(EVALUATION, 0)
    values = random.integers(0, 1 << 64, max(1, len(ids)), dtype=np.uint64)[flat]
    base = int(random.integers(0, 1 << 60)) * 8 + 3
    powers, inverses = _powers(base, len(flat)), _powers(pow(base, -1, 1 << 64), len(flat))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(values * powers, dtype=np.uint64)])
    starts = np.cumsum(length) - length
    owner = np.repeat(np.arange(len(split)), length)
    left = (starts + length)[owner] - np.arange(len(flat))  # words of a text from each place on
    parent = np.arange(len(split))
    for size in np.unique(length[(length >= PASSAGE[0]) & (length <= PASSAGE[1])]).tolist():
        looked_for = np.flatnonzero(length == size)
        place = np.flatnonzero(left >= size)
        runs = (sums[place + size] - sums[place]) * inverses[place]
        own = starts[looked_for]
        marks = (sums[own + size] - sums[own]) * inverses[own]
        few = np.zeros(1 << 20, np.bool_)  # most runs are no text: those whose last bits are of none are dropped first
        few[(marks & np.uint64(len(few) - 1)).astype(np.int64)] = True
        likely = few[(runs & np.uint64(len(few) - 1)).astype(np.int64)]
        order = np.argsort(marks)
        runs, holders = runs[likely], owner[place[likely]]
        found = np.minimum(np.searchsorted(marks, runs, sorter=order), len(marks) - 1)
        hit = marks[order[found]] == runs
        inner, outer = looked_for[order[found[hit]]], holders[hit]
        longest = np.lexsort((outer, -length[outer], inner))
        inner, outer = inner[longest], outer[longest]
        chosen = np.concatenate([[True], inner[1:] != inner[:-1]])
        parent[inner[chosen]] = outer[chosen]
    number = np.zeros(len(texts), dtype=np.int64)
    number[distinct] = distinct[parent]
    return number[same]


def _powers(base: int, count: int) -> NDArray[np.uint64]:
    """base**0, base**1, ... modulo 2**64."""
    return np.cumprod(np.concatenate([np.ones(1, np.uint64), np.full(max(0, count - 1), base, np.uint64)]))[:count]


def _drawn(family: Int[np.ndarray, " N"], wanted: Sequence[int]) -> Int[np.ndarray, " N"]:
    """Which part each text goes to, from 1; 0: training. Whole families are drawn until each part has what it should.

    A family that would make a part too large by more than a half is left to training.
    """
    _, member, size = np.unique(family, return_inverse=True, return_counts=True)
    order = generator(EVALUATION, 1).permutation(len(size))
    part = np.zeros(len(size), dtype=np.int64)
    place = 0
    for number, count in enumerate(wanted, 1):
        filled = 0
        while filled < count and place < len(order):
            if filled + size[order[place]] <= 1.5 * count:
                part[order[place]] = number
                filled += int(size[order[place]])
            place += 1
    return part[member]


def _contrary(family: Int[np.ndarray, " N"], every: Labelled) -> int:
    """How many different texts stand there with more than one label."""
    labels: dict[str, set[int]] = {}
    members = np.flatnonzero(np.bincount(family, minlength=len(family))[family] > 1)
    for k in members.tolist():
        labels.setdefault(normal(every.texts[k]), set()).add(int(every.labels[k]))
    return sum(len(found) > 1 for found in labels.values())


def _check(found: Divided) -> None:
    """Parts that nothing can be learnt from or tested on. Raises: TaskError."""
    for k, name in enumerate(found.classes):
        if k not in found.training.labels:
            raise TaskError("DIVIDING_TEXT_TRAIN_LEARNT_TEXTS", name=name)
    for part, name in ((found.validation, "validate"), (found.test, "test")):
        if not part.texts:
            raise TaskError("DIVIDING_TEXT_TRAINED_TOO_FILE", name=name)


def _all_read(
    read: Callable[..., LabelledTexts], paths: Sequence[str], first: int, merge_labels: bool
) -> tuple[list[LabelledTexts], tuple[str, ...]]:
    """The texts of all files, and the classes of the first ones; the labels of the others must be among these.

    Raises: TaskError for everything that is wrong with any of them.
    """
    files: list[LabelledTexts] = []
    problems: list[str] = []
    classes: tuple[str, ...] | None = None
    for number, path in enumerate(paths):
        if number == first and not problems:
            files = _together(files, merge_labels)
            classes = ordered({name for file in files for name in file.classes})
        try:
            files.append(read(path, classes=classes))
        except TaskError as error:
            problems.append(str(error))
    if problems:
        raise TaskError("\n".join(problems))
    if classes is None:
        files = _together(files, merge_labels)
        classes = ordered({name for file in files for name in file.classes})
    return files, classes


def _together(files: Sequence[LabelledTexts], merge_labels: bool) -> list[LabelledTexts]:
    """The files, with one spelling of each class in all of them where spellings are merged."""
    called = spellings(_counts(files)) if merge_labels else {}
    return [replace(file, classes=tuple(called.get(name, name) for name in file.classes)) for file in files]


def _counts(files: Sequence[LabelledTexts]) -> Counter[str]:
    """How often each label occurs in some files."""
    counts: Counter[str] = Counter()
    for file in files:
        for name, count in zip(file.classes, np.bincount(file.labels, minlength=len(file.classes)), strict=True):
            counts[name] += int(count)
    return counts


def _without(every: Labelled, held: Labelled, name: str, place: str, notes: list[str]) -> Labelled:
    """The texts that another file does not have; of others there is a note."""
    known = set(map(normal, held.texts))
    left = np.array([normal(text) not in known for text in every.texts], np.bool_)
    if out := int((~left).sum()):
        notes.append(f"{_texts(out)} of {place} {'is' if out == 1 else 'are'} in {name}, too, and left out.")
    return every.of(left)


def _sha256(paths: Sequence[str], largest: int) -> str:
    """Return the SHA-256 of all files, one after the other."""
    sha256 = hashlib.sha256()
    for path in paths:
        sha256.update(read_bytes(path, largest))
    return sha256.hexdigest()


def _joined(files: Sequence[LabelledTexts], classes: tuple[str, ...]) -> Labelled:
    """The texts of all files, with the numbers of the classes of all."""
    labels = [np.array([classes.index(name) for name in file.classes])[file.labels] for file in files]
    return Labelled(tuple(" ".join(text.split()) for file in files for text in file.texts), np.concatenate(labels))


def _skipped(path: str | os.PathLike[str], file: LabelledTexts) -> str:
    more = f"; and {len(file.skipped) - TOLD:,} more" if len(file.skipped) > TOLD else ""
    return f"Skipped in {path}: {'; '.join(file.skipped[:TOLD])}{more}."


def _texts(count: int) -> str:
    return f"{count:,} text{'' if count == 1 else 's'}"
