"""The files and settings of the task tagging: which files belong to each part, and the ranges of the settings."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.corpus import absolute
from gatescope.tasks.data.encodings import checked_encoding
from gatescope.tasks.data.tables import read_bytes

PARTS = ("training", "validation", "test")
ARRAY_SUFFIXES = (".npy", ".npz")

AnyPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Source:
    """A file of tokens, or a file of frames with a file of labels.

    Attributes:
        path: the file.
        labels: the file of labels; None: a file of tokens.
    """

    path: str
    labels: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """All files of the source."""
        return (self.path,) if self.labels is None else (self.path, self.labels)


def sources_of(
    paths: AnyPath | Sequence[AnyPath] | None,
    labels: AnyPath | Sequence[AnyPath] | None,
    others: dict[str, tuple[Any, Any]],
) -> dict[str, list[Source]]:
    """Return the sources of each part.

    Args:
        paths: the files to train on.
        labels: the files of labels of the training frames; None: beside each file, with the suffix .txt.
        others: "validation" and "test" -> (file, file of labels).

    Raises:
        TaskError: a training file is missing, tokens and frames are mixed, or the files of labels do not match.
    """
    files_of = {"training": (paths_of(paths), paths_of(labels))}
    files_of |= {part: (paths_of(path), paths_of(path_of_labels)) for part, (path, path_of_labels) in others.items()}
    if not files_of["training"][0]:
        raise TaskError("TAGGING_PATHS_MISSING")
    all_files = [Path(path) for files, _ in files_of.values() for path in files]
    are_frames = [path.suffix.lower() in ARRAY_SUFFIXES for path in all_files]
    if any(are_frames) and not all(are_frames):
        raise TaskError("TAGGING_FILES_MIXED", files=", ".join(map(str, all_files)))
    sources: dict[str, list[Source]] = {}
    for part, (files, files_of_labels) in files_of.items():
        if files_of_labels and not are_frames[0]:
            raise TaskError("TAGGING_LABELS_OF_TOKENS", count=len(files_of_labels))
        if files_of_labels and len(files_of_labels) != len(files):
            raise TaskError("TAGGING_LABEL_FILES_COUNT", count=len(files_of_labels), frames=len(files))
        beside = files_of_labels or [Path(path).with_suffix(".txt") for path in files]
        sources[part] = [
            Source(str(absolute(path)), str(absolute(path_of_labels)) if are_frames[0] else None)
            for path, path_of_labels in zip(files, beside, strict=True)
        ]
    return sources


def paths_of(value: Any) -> tuple[str | os.PathLike[str], ...]:
    """Return one path, several, or none as a tuple."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str | os.PathLike) else tuple(value)


def column_of(name: str, value: int | str | None) -> int | None:
    """Return the number of a column, which may be a string of digits.

    Raises:
        TaskError: the value is something else.
    """
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    raise TaskError("TAGGING_COLUMN_INVALID", name=name, value=value)


def check_options(options: dict[str, Any]) -> None:
    """Check the ranges of the settings of `Tagging`.

    Raises:
        TaskError: a setting is out of its range.
    """
    shares = options["parts"]
    if len(shares) != 3 or min(shares) <= 0 or not math.isclose(sum(shares), 1):
        raise TaskError("TAGGING_PARTS_INVALID", shares=shares)
    if options["encoding"] is not None:
        checked_encoding(options["encoding"])
    for name in ("batch", "longest", "least", "largest"):
        if not isinstance(options[name], int) or options[name] < 1:
            raise TaskError("TAGGING_SETTING_RANGE", name=name, value=options[name])


def sha256_of(files: Sequence[str]) -> str:
    """Return the SHA-256 of the contents of files, each after its length."""
    digest = hashlib.sha256()
    for file in files:
        content = read_bytes(file)
        digest.update(f"{len(content)}:".encode() + content)
    return digest.hexdigest()
