"""The training, validation and test part of labelled texts, which have no text in common."""

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

from gatescope.messages import Message
from gatescope.splitting import LATEST, chunks_of
from gatescope.tasks.base.task import EVALUATION, TaskError, generator
from gatescope.tasks.data.class_names import note_of_spellings, sorted_classes, spellings
from gatescope.tasks.data.labelled import LabelledTexts, read_labelled
from gatescope.tasks.data.tables import read_bytes

HELD_OUT_SHARE = 0.1  # of the texts for validation, and for the test, without files for them
MAX_VALIDATION_TEXTS, MAX_TEST_TEXTS = 2_000, 20_000
MIN_TEXTS = 10
MAX_SHARED_TEXTS = 200  # with no more texts, the training part is also the validation part
PASSAGE_WORDS = (4, 60)  # the length of a text that is searched in other texts; shorter ones can occur anywhere
MAX_LINES_IN_NOTE = 5


@dataclass(frozen=True)
class LabelledPart:
    """N texts and their classes.

    Attributes:
        texts: the texts, with one space for each run of white space.
        labels: (N,) the number of each text's class.
    """

    texts: tuple[str, ...]
    labels: Int[np.ndarray, " N"]

    def where(self, chosen: NDArray[np.bool_]) -> LabelledPart:
        """Return the texts of a mask (N,)."""
        return LabelledPart(tuple(self.texts[k] for k in np.flatnonzero(chosen)), self.labels[chosen])


@dataclass(frozen=True)
class Parts:
    """Labelled texts in three parts.

    Attributes:
        training: the texts to train on.
        validation: the texts to choose the best weights by.
        test: the texts of the score.
        classes: the names of the classes.
        notes: sentences that a user should read, such as which texts were left out.
        sha256: SHA-256 of all files; "" for generated texts.
    """

    training: LabelledPart
    validation: LabelledPart
    test: LabelledPart
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The number of texts in each part."""
        return len(self.training.texts), len(self.validation.texts), len(self.test.texts)


def normalised(text: str) -> str:
    """Return the form in which texts are compared: case folded, one space for each run of white space."""
    return " ".join(text.split()).casefold()


def read_parts(
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
) -> Parts:
    """Read labelled texts and divide them at random, always in the same way.

    Without a file for it, a tenth of the texts (at most 2,000) is for validation, and a tenth (at most 20,000) for the
    test. With 200 texts or fewer, the training part is also the validation part.

    Equal texts (ignoring case and white space) go into the same part. A text of 4 to 60 words that is contained in
    others goes into the part of the longest of these. Texts of the test file are removed from the other parts, and
    texts of the validation file from training.

    Args:
        paths: files to train on.
        validation: a file for validation; its labels must be classes of the training files.
        test: a file for the test, likewise.
        text: the column of the texts; see `read_labelled`.
        label: the column of the labels.
        skip_bad: leave wrong lines out.
        largest: the most bytes of a file.
        encoding: the encoding of the files.
        merge_labels: take spellings of one class for the same class.
        rule: how scripts without spaces are split; see `longest_holders`.

    Raises:
        TaskError: the files have too few texts, or a file cannot be used; the message lists every wrong line.
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
    all_paths = [path for path in (*paths, validation, test) if path is not None]
    files, classes = _read_files(read, all_paths, len(paths), merge_labels)
    notes = [_skipped_note(path, file) for path, file in zip(all_paths, files, strict=True) if file.skipped]
    notes += note_of_spellings(_label_counts(files[: len(paths)]))
    pool = _concatenated(files[: len(paths)], classes)
    own_test = None if test is None else _concatenated(files[-1:], classes)
    own_validation = None if validation is None else _concatenated([files[len(paths)]], classes)
    if own_test is not None and own_validation is not None:
        own_validation = _without(own_validation, own_test, "the test file", "the validation file", notes)
    if own_test is not None:
        pool = _without(pool, own_test, "the test file", "the training part", notes)
    if own_validation is not None:
        pool = _without(pool, own_validation, "the validation file", "the training part", notes)
    count = len(pool.texts)
    if count < MIN_TEXTS:
        raise TaskError("SENTIMENT_TEXTS_TOO_FEW", texts=count, files=", ".join(paths), least=MIN_TEXTS)
    holders = longest_holders(pool.texts, rule)
    if contradictory := _count_contradictory(holders, pool):
        notes.append(str(Message("SENTIMENT_NOTE_CONTRADICTORY", texts=contradictory)))
    few, share = count <= MAX_SHARED_TEXTS, round(HELD_OUT_SHARE * count)
    sizes = (
        0 if few or own_validation is not None else min(MAX_VALIDATION_TEXTS, share),
        0 if own_test is not None else min(MAX_TEST_TEXTS, share),
    )
    part = _draw_parts(holders, sizes)
    training = pool.where(part == 0)
    if own_validation is None and few:
        notes.append(str(Message("SENTIMENT_NOTE_FEW_TEXTS", texts=count)))
        own_validation = training
    parts = Parts(
        training,
        pool.where(part == 1) if own_validation is None else own_validation,
        pool.where(part == 2) if own_test is None else own_test,
        classes,
        tuple(notes),
        _sha256(all_paths, largest),
    )
    _check_parts(parts)
    return parts


def longest_holders(texts: Sequence[str], rule: int = LATEST) -> Int[np.ndarray, " N"]:
    """Return for each text the number of the longest text that contains it; its own number if no other text does.

    Equal texts have the number of the first. Only texts of 4 to 60 words are searched. Runs of words are compared by
    their hashes, sums of random numbers modulo 2**64 (Karp and Rabin 1987), all runs of one length at once; two
    different runs have the same hash less often than once in 2**50. Words are separated by white space; in scripts
    without spaces, they are those of `gatescope.splitting`.

    Args:
        texts: the texts, with one space for each run of white space.
        rule: how scripts without spaces are split.
    """
    first: dict[str, int] = {}
    same = np.array([first.setdefault(normalised(text), k) for k, text in enumerate(texts)], dtype=np.int64)
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
    left = (starts + length)[owner] - np.arange(len(flat))  # words from each place to the end of its text
    parent = np.arange(len(split))
    for size in np.unique(length[(length >= PASSAGE_WORDS[0]) & (length <= PASSAGE_WORDS[1])]).tolist():
        searched = np.flatnonzero(length == size)
        place = np.flatnonzero(left >= size)
        run_hashes = (sums[place + size] - sums[place]) * inverses[place]
        start = starts[searched]
        text_hashes = (sums[start + size] - sums[start]) * inverses[start]
        # Most runs are not a searched text; a table of the last bits of the hashes rules them out first.
        last_bits = np.zeros(1 << 20, np.bool_)
        last_bits[(text_hashes & np.uint64(len(last_bits) - 1)).astype(np.int64)] = True
        likely = last_bits[(run_hashes & np.uint64(len(last_bits) - 1)).astype(np.int64)]
        order = np.argsort(text_hashes)
        run_hashes, holders = run_hashes[likely], owner[place[likely]]
        nearest = np.minimum(np.searchsorted(text_hashes, run_hashes, sorter=order), len(text_hashes) - 1)
        equal = text_hashes[order[nearest]] == run_hashes
        inner, outer = searched[order[nearest[equal]]], holders[equal]
        longest = np.lexsort((outer, -length[outer], inner))
        inner, outer = inner[longest], outer[longest]
        chosen = np.concatenate([[True], inner[1:] != inner[:-1]])
        parent[inner[chosen]] = outer[chosen]
    number = np.zeros(len(texts), dtype=np.int64)
    number[distinct] = distinct[parent]
    return number[same]


def _powers(base: int, count: int) -> NDArray[np.uint64]:
    """Return base**0, base**1, ... modulo 2**64."""
    return np.cumprod(np.concatenate([np.ones(1, np.uint64), np.full(max(0, count - 1), base, np.uint64)]))[:count]


def _draw_parts(holders: Int[np.ndarray, " N"], sizes: Sequence[int]) -> Int[np.ndarray, " N"]:
    """Draw the part of each text: 0 is training, 1 and so on have about the given sizes.

    Texts with the same holder go into the same part. A group that would make a part larger than one and a half times
    its size is left to training.
    """
    _, member, size = np.unique(holders, return_inverse=True, return_counts=True)
    order = generator(EVALUATION, 1).permutation(len(size))
    part = np.zeros(len(size), dtype=np.int64)
    place = 0
    for number, count in enumerate(sizes, 1):
        filled = 0
        while filled < count and place < len(order):
            if filled + size[order[place]] <= 1.5 * count:
                part[order[place]] = number
                filled += int(size[order[place]])
            place += 1
    return part[member]


def _count_contradictory(holders: Int[np.ndarray, " N"], part: LabelledPart) -> int:
    """Return how many different texts occur with more than one label."""
    labels: dict[str, set[int]] = {}
    shared = np.flatnonzero(np.bincount(holders, minlength=len(holders))[holders] > 1)
    for k in shared.tolist():
        labels.setdefault(normalised(part.texts[k]), set()).add(int(part.labels[k]))
    return sum(len(of_text) > 1 for of_text in labels.values())


def _check_parts(parts: Parts) -> None:
    """Check that every class can be learnt, and that no part is empty.

    Raises:
        TaskError: a class has no training text, or a part is empty.
    """
    for k, name in enumerate(parts.classes):
        if k not in parts.training.labels:
            raise TaskError("SENTIMENT_CLASS_UNTRAINED", name=name)
    for part, name in ((parts.validation, "validation"), (parts.test, "test")):
        if not part.texts:
            raise TaskError("SENTIMENT_PART_EMPTY", part=name)


def _read_files(
    read: Callable[..., LabelledTexts], paths: Sequence[str], training_files: int, merge_labels: bool
) -> tuple[list[LabelledTexts], tuple[str, ...]]:
    """Read all files; the labels of later files must be classes of the training files, which come first.

    Returns:
        The texts of each file, and the names of the classes.

    Raises:
        TaskError: a file cannot be used; the message lists everything that is wrong with any of them.
    """
    files: list[LabelledTexts] = []
    problems: list[str] = []
    classes: tuple[str, ...] | None = None
    for number, path in enumerate(paths):
        if number == training_files and not problems:
            files = _with_merged_labels(files, merge_labels)
            classes = sorted_classes({name for file in files for name in file.classes})
        try:
            files.append(read(path, classes=classes))
        except TaskError as error:
            problems.append(str(error))
    if problems:
        raise TaskError("\n".join(problems))
    if classes is None:
        files = _with_merged_labels(files, merge_labels)
        classes = sorted_classes({name for file in files for name in file.classes})
    return files, classes


def _with_merged_labels(files: Sequence[LabelledTexts], merge_labels: bool) -> list[LabelledTexts]:
    """Return the files with one spelling of each class if `merge_labels`, otherwise as they are."""
    names = spellings(_label_counts(files)) if merge_labels else {}
    return [replace(file, classes=tuple(names.get(name, name) for name in file.classes)) for file in files]


def _label_counts(files: Sequence[LabelledTexts]) -> Counter[str]:
    """Return how often each label occurs in the files."""
    counts: Counter[str] = Counter()
    for file in files:
        for name, count in zip(file.classes, np.bincount(file.labels, minlength=len(file.classes)), strict=True):
            counts[name] += int(count)
    return counts


def _without(part: LabelledPart, other: LabelledPart, other_name: str, name: str, notes: list[str]) -> LabelledPart:
    """Return the texts of a part that another part does not have; a note counts the removed ones."""
    other_texts = set(map(normalised, other.texts))
    remaining = np.array([normalised(text) not in other_texts for text in part.texts], np.bool_)
    if removed := int((~remaining).sum()):
        notes.append(str(Message("SENTIMENT_NOTE_REMOVED", texts=removed, part=name, other=other_name)))
    return part.where(remaining)


def _sha256(paths: Sequence[str], largest: int) -> str:
    """Return the SHA-256 of all files, one after the other."""
    sha256 = hashlib.sha256()
    for path in paths:
        sha256.update(read_bytes(path, largest))
    return sha256.hexdigest()


def _concatenated(files: Sequence[LabelledTexts], classes: tuple[str, ...]) -> LabelledPart:
    """Return the texts of all files as one part."""
    labels = [np.array([classes.index(name) for name in file.classes])[file.labels] for file in files]
    return LabelledPart(tuple(" ".join(text.split()) for file in files for text in file.texts), np.concatenate(labels))


def _skipped_note(path: str | os.PathLike[str], file: LabelledTexts) -> str:
    lines, more = "; ".join(file.skipped[:MAX_LINES_IN_NOTE]), len(file.skipped) - MAX_LINES_IN_NOTE
    if more > 0:
        return str(Message("SENTIMENT_NOTE_SKIPPED_MORE", path=path, lines=lines, more=more))
    return str(Message("SENTIMENT_NOTE_SKIPPED", path=path, lines=lines))
