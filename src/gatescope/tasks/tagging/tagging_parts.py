"""The training, validation and test part of the task tagging."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int

from gatescope.messages import Message
from gatescope.tasks.base.task import EVALUATION, TaskError, generator
from gatescope.tasks.data.class_names import note_of_spellings, sorted_classes, spellings
from gatescope.tasks.data.token_files import read_tagged
from gatescope.tasks.tagging.frames import read_frames
from gatescope.tasks.tagging.tagging_files import PARTS, Source, sha256_of
from gatescope.vocabulary import Ids, Numbers

READING_OPTIONS = ("token", "label", "skip_bad", "largest", "encoding", "merge_labels")
MAX_LINES_IN_NOTE = 5
MIN_WHOLE_SEQUENCES = 10  # with fewer sequences of frames, each is cut into the three parts

Raw = tuple[str, ...] | Numbers
"""The tokens of a sentence, or the frames of a sequence, as they are in the file."""


@dataclass(frozen=True)
class Tagged:
    """N sequences with a label for each step.

    Attributes:
        raw: the tokens or frames of each sequence (`Raw`).
        tags: (T,) the label of each step, for each sequence.
        classes: the names of the labels.
        skipped: the lines that were left out, each with its file and the reason.
    """

    raw: tuple[Any, ...]
    tags: tuple[Int[np.ndarray, " _"], ...]
    classes: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """The number of steps of all sequences together."""
        return sum(map(len, self.tags))

    def take(self, places: Iterable[int]) -> Tagged:
        """Return the sequences with these numbers."""
        chosen = list(places)
        return Tagged(tuple(self.raw[k] for k in chosen), tuple(self.tags[k] for k in chosen), self.classes)

    def cut(self, begin: float, end: float) -> Tagged:
        """Return the steps of each sequence between two shares of its length; sequences without any are left out."""
        bounds = [(round(len(row) * begin), round(len(row) * end)) for row in self.tags]
        slices = [(k, slice(*bound)) for k, bound in enumerate(bounds) if bound[0] < bound[1]]
        return Tagged(tuple(self.raw[k][s] for k, s in slices), tuple(self.tags[k][s] for k, s in slices), self.classes)


Read = Callable[[Source, Sequence[str] | None], Tagged]
"""(file, known classes or None) -> the sequences of the file."""


# --- files and parts -------------------------------------------------------------------------------------------------


def read_parts(
    sources: dict[str, list[Source]], options: dict[str, Any]
) -> tuple[dict[str, Tagged], str, tuple[str, ...]]:
    """Read the files and divide them into the three parts.

    Args:
        sources: part -> its files; a part without files is held out from the training files.
        options: "parts", the shares of the three parts, and the settings of `reader`.

    Returns:
        The parts by name, the SHA-256 of their files, and the lines that were left out.

    Raises:
        TaskError: a file cannot be used; the message lists everything that is wrong with any of them.
    """
    others = [source for part in PARTS[1:] for source in sources[part]]
    frames = sources["training"][0].labels is not None
    read = reader(frames, **{name: options[name] for name in READING_OPTIONS})
    training, rest = read_all(read, sources["training"], others, options["merge_labels"])
    skipped = tuple(line for data in (training, *rest) for line in data.skipped)
    parts_with_files = {part: rest.pop(0) for part in PARTS[1:] if sources[part]}
    shares = [0.0 if part in parts_with_files else share for part, share in zip(PARTS, options["parts"], strict=True)]
    from_training = hold_out(training, [share / sum(shares) for share in shares])
    parts = {part: parts_with_files.get(part, held_out) for part, held_out in zip(PARTS, from_training, strict=True)}
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
    """Return the function that reads one file. The settings are those of `read_tagged` and `read_frames`."""
    reading: dict[str, Any] = {"encoding": encoding, "merge_labels": merge_labels}

    def read_sentences(source: Source, classes: Sequence[str] | None) -> Tagged:
        sentences = read_tagged(source.path, token, label, classes, skip_bad, largest, **reading)
        skipped = tuple(f"{source.path}, {line}" for line in sentences.skipped)
        return Tagged(sentences.tokens, sentences.tags, sentences.classes, skipped)

    def read_sequences(source: Source, classes: Sequence[str] | None) -> Tagged:
        frames = read_frames(source.path, source.labels or "", classes, largest, **reading)
        return Tagged(frames.values, frames.labels, frames.classes)

    return read_sequences if frames else read_sentences


def read_all(
    read: Read, training: Sequence[Source], others: Sequence[Source], merge_labels: bool = False
) -> tuple[Tagged, list[Tagged]]:
    """Read the training files as one part, and each other file, whose labels must occur in the training files.

    Args:
        read: the function that reads one file.
        training: the training files.
        others: the other files.
        merge_labels: treat spellings of one class as that class.

    Raises:
        TaskError: a file cannot be used; the message lists everything that is wrong with any of them.
    """
    problems: list[str] = []
    parts: list[Tagged] = []
    for source in training:
        try:
            parts.append(read(source, None))
        except TaskError as error:
            problems.append(str(error))
    if merge_labels:
        names = spellings(label_counts(parts))
        parts = [replace(part, classes=tuple(names[name] for name in part.classes)) for part in parts]
    classes = sorted_classes({name for part in parts for name in part.classes})
    rest: list[Tagged] = []
    for source in others:
        try:
            # The classes are unknown if a training file is wrong.
            rest.append(read(source, None if problems else classes))
        except TaskError as error:
            problems.append(str(error))
    if problems:
        raise TaskError("\n".join(problems))
    widths = {
        source.path: raw.shape[1]
        for source, part in zip((*training, *others), (*parts, *rest), strict=True)
        for raw in part.raw[:1]
        if isinstance(raw, np.ndarray)
    }
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{width} in {path}" for path, width in widths.items())
        raise TaskError("TAGGING_WIDTHS_DIFFER", widths=listed)
    return _concatenated(parts, classes), rest


def label_counts(parts: Iterable[Tagged]) -> Counter[str]:
    """Return the number of steps with each label, by name; the parts may have different classes."""
    counts: Counter[str] = Counter()
    for part in parts:
        of_part = np.bincount(np.concatenate([*part.tags, np.empty(0, np.int64)]), minlength=len(part.classes))
        for name, count in zip(part.classes, of_part.tolist(), strict=True):
            counts[name] += count
    return counts


def _concatenated(parts: Sequence[Tagged], classes: tuple[str, ...]) -> Tagged:
    """Return the parts as one; the labels become indices into `classes`."""
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
    """Divide data into parts of whole sequences, always in the same way; equal sequences go into the same part.

    If there are fewer than ten different sequences of frames, each is cut into the parts instead, in this order.

    Args:
        data: the sequences.
        shares: the share of each part; they sum to 1. A part with share 0 has no sequences.

    Raises:
        TaskError: a part with a share would have no sequences.
    """
    numbers: dict[bytes, int] = {}
    group = np.array([numbers.setdefault(key, len(numbers)) for key in keys_of(data)])
    bounds = np.cumsum([0.0, *shares])
    frames = isinstance(data.raw[0], np.ndarray)
    if frames and len(numbers) < MIN_WHOLE_SEQUENCES and any(0 < share < 1 for share in shares):
        parts = [data.cut(begin, end) for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]
    else:
        order = generator(EVALUATION, 0).permutation(len(numbers))
        cuts = np.round(bounds * len(numbers)).astype(np.int64)
        part_of = np.empty(len(numbers), dtype=np.int64)
        for k in range(len(shares)):
            part_of[order[cuts[k] : cuts[k + 1]]] = k
        parts = [data.take(np.flatnonzero(part_of[group] == k).tolist()) for k in range(len(shares))]
    for part, share in zip(parts, shares, strict=True):
        if share and not part.raw:
            raise TaskError("TAGGING_DATA_TOO_FEW", steps=data.steps)
    return parts


def most_frequent(tags: Iterable[Int[np.ndarray, " _"]], classes: int) -> int:
    """Return the number of the label that occurs most often; `classes` is the number of classes."""
    return int(np.bincount(np.concatenate(list(tags)), minlength=classes).argmax())


def since_change(tags: Ids) -> Int[np.ndarray, " T"]:
    """Return the steps since the label last changed, or since the start."""
    steps = np.arange(len(tags))
    changed = np.append(True, tags[1:] != tags[:-1])[: len(tags)]
    return steps - np.maximum.accumulate(np.where(changed, steps, 0))


def notes_of(
    step_name: str, sources: dict[str, list[Source]], raw: dict[str, Tagged], skipped: Sequence[str]
) -> list[str]:
    """Return the notes: lines that were left out, data that are held out, and test sequences in the training part.

    Args:
        step_name: "token" or "frame".
        sources: the files of each part.
        raw: the parts.
        skipped: the lines that were left out.
    """
    notes = note_of_spellings(label_counts(raw.values()))
    if skipped:
        lines, more = "; ".join(skipped[:MAX_LINES_IN_NOTE]), len(skipped) - MAX_LINES_IN_NOTE
        code = "TAGGING_NOTE_SKIPPED_MORE" if more > 0 else "TAGGING_NOTE_SKIPPED"
        notes.append(str(Message(code, count=len(skipped), lines=lines, more=more)))
    held_out = [part for part in PARTS[1:] if not sources[part]]
    if held_out:
        sizes = " and ".join(f"{raw[part].steps:,} {step_name}s for the {part}" for part in held_out)
        notes.append(str(Message("TAGGING_NOTE_HELD_OUT", sizes=sizes)))
    training_keys = set(keys_of(raw["training"]))
    shared = sum(key in training_keys for key in keys_of(raw["test"]))
    if shared:
        notes.append(str(Message("TAGGING_NOTE_SHARED", sequences=len(raw["test"].raw), shared=shared)))
    return notes
