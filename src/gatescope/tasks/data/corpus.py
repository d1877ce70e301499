"""The files of a corpus, and the text in them."""

from __future__ import annotations

import glob
import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from gatescope.files import FileError, open_regular, read_regular
from gatescope.messages import Message
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.encodings import SAMPLE_BYTES, decoded, unfit

MAX_CORPUS_BYTES = 200_000_000
"""The ids of a corpus, and its text while it is read, are held in memory."""


@dataclass(frozen=True)
class Corpus:
    """The text of some files, one after the other in the sorted order of their paths, with nothing in between.

    Attributes:
        text: the whole text, with the newlines of the files and without their byte order marks.
        files: the paths that were read.
        skipped: the files of folders that were not read, each with the reason.
    """

    text: str
    files: tuple[Path, ...]
    skipped: tuple[tuple[Path, str], ...]

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the text in UTF-8."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def standard_library() -> list[Path]:
    """Return the top-level modules of the Python standard library on this machine, sorted by name.

    Raises:
        TaskError: Python came without their source.
    """
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(folder.glob("*.py"))
    if not files:
        raise TaskError("CORPUS_STANDARD_LIBRARY_MISSING", folder=folder)
    return files


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return the path from the root, with the user's folder in place of a leading ~ if there is such a user."""
    return Path(os.path.expanduser(path)).absolute()  # noqa: PTH111 (Path.expanduser raises for an unknown user)


def read(
    paths: Sequence[str | os.PathLike[str]], largest: int = MAX_CORPUS_BYTES, encoding: str | None = None
) -> Corpus:
    """Return the corpus of files, folders (with all folders in them) and glob patterns.

    Hidden files in folders and among the matches of a pattern are left out. Other files there that are not text are
    skipped and listed. A file that is called by its own name must be text. Links are followed; a file that is reached
    twice is read once.

    Args:
        paths: files, folders and patterns.
        largest: the most bytes that all files together may have.
        encoding: of every file; None: UTF-8, or the encoding of a file's byte order mark.

    Raises:
        TaskError: a path does not exist, a file cannot be read, or the files have too much text or none.
    """
    named, listed = _files_of(paths)
    path_of_file: dict[Path, Path] = {}  # the file itself -> the first path that leads to it
    for path in sorted(named | listed):
        path_of_file.setdefault(path.resolve(), path)
    chosen: list[Path] = []
    skipped: list[tuple[Path, str]] = []
    for path in path_of_file.values():
        reason = None if path in named else _unfit(path, encoding)
        if reason is None:
            chosen.append(path)
        else:
            skipped.append((path, reason))
    total = sum(path.stat().st_size for path in chosen)
    if total > largest:
        raise TaskError("CORPUS_TOO_LARGE", largest=largest, count=total)
    texts: list[str] = []
    read_files: list[Path] = []
    for path in chosen:
        try:
            content = read_regular(path, largest)
        except FileError as error:
            raise TaskError(error.message) from error
        if path not in named and (reason := unfit(content, encoding, whole=True)) is not None:
            skipped.append((path, reason))
            continue
        texts.append(decoded(content, path, encoding))
        read_files.append(path)
    text = "".join(texts)
    if not text:
        raise TaskError(_reason_for_no_text(paths, read_files, skipped))
    return Corpus(text, tuple(read_files), tuple(skipped))


def _files_of(paths: Sequence[str | os.PathLike[str]]) -> tuple[set[Path], set[Path]]:
    """Return the absolute paths of the files that were called by name, and of those in folders and of patterns."""
    if not paths:
        raise TaskError("CORPUS_NO_PATH")
    named: set[Path] = set()
    listed: set[Path] = set()
    for path in map(absolute, paths):
        if path.is_file():
            named.add(path)
        elif path.is_dir():
            listed.update(_walk(path))
        elif path.exists():
            raise TaskError("CORPUS_PATH_SPECIAL", path=path)
        elif glob.has_magic(str(path)):
            matches = _matches(path)
            if not matches:
                raise TaskError("CORPUS_PATTERN_UNMATCHED", pattern=path)
            listed.update(match for match in matches if match.is_file())
            listed.update(file for match in matches if match.is_dir() for file in _walk(match))
        else:
            raise TaskError("CORPUS_PATH_MISSING", path=path)
    return named, listed


def _matches(pattern: Path) -> list[Path]:
    """Return the matches of an absolute pattern, without hidden ones unless the pattern itself names a hidden part.

    glob.glob would not end if links between folders form a loop.
    """
    fixed = list(takewhile(lambda part: not glob.has_magic(part), pattern.parts))
    rest = pattern.parts[len(fixed) :]
    base = Path(*fixed)
    try:
        matches = sorted(base.glob("/".join(rest)))
    except ValueError as error:
        raise TaskError("CORPUS_PATTERN_INVALID", pattern=pattern, reason=error) from error
    if any(part.startswith(".") for part in rest):
        return matches
    return [path for path in matches if not any(part.startswith(".") for part in path.relative_to(base).parts)]


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and its folders, without hidden ones; each folder once, so loops of links end."""
    seen: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _unfit(path: Path, encoding: str | None) -> str | None:
    """Return why a file of a folder is skipped, from its first bytes; None: it looks like text."""
    try:
        with open_regular(path, sys.maxsize) as file:
            return unfit(file.read(SAMPLE_BYTES), encoding)
    except (FileError, OSError) as error:
        return str(error).removeprefix(f"{path}: ")


def _reason_for_no_text(
    paths: Iterable[str | os.PathLike[str]], files: Sequence[Path], skipped: Sequence[tuple[Path, str]]
) -> Message:
    """Return the sentence about a corpus without a single character."""
    names = ", ".join(map(str, paths))
    if files:
        return Message("CORPUS_FILES_EMPTY", paths=names, count=len(files))
    if skipped:
        first, reason = skipped[0]
        return Message("CORPUS_FILES_NOT_TEXT", paths=names, count=len(skipped), first=first, reason=reason)
    return Message("CORPUS_FILES_NONE", paths=names)
