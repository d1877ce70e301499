"""Which files a corpus is made of, and the text in them."""

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
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.encodings import SAMPLE_BYTES, decoded, unfit

LARGEST = 200_000_000
"""The most bytes a corpus may have. Its ids, and its text while it is read, are held in memory."""


@dataclass(frozen=True)
class Corpus:
    """The text of some files, one after the other in the sorted order of their paths, with nothing in between.

    Arguments:
        text: all of it, newlines as they are in the files; a byte order mark at the start of a file is dropped.
        files: the paths that were read.
        skipped: the files of folders that were not read, each with the reason.
    """

    text: str
    files: tuple[Path, ...]
    skipped: tuple[tuple[Path, str], ...]

    @property
    def sha256(self) -> str:
        """The SHA-256 of the text in UTF-8."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def standard_library() -> list[Path]:
    """The top-level modules of the Python standard library on this machine, sorted by name.

    Raises: TaskError where Python came without their source.
    """
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(folder.glob("*.py"))
    if not files:
        raise TaskError("CORPUS_SOURCE_PYTHON_STANDARD_LIBRARY", folder=folder)
    return files


def absolute(path: str | os.PathLike[str]) -> Path:
    """The path from the root, a leading ~ replaced by the user's folder where there is such a user."""
    return Path(os.path.expanduser(path)).absolute()  # noqa: PTH111 (Path.expanduser raises for an unknown user)


def read(paths: Sequence[str | os.PathLike[str]], largest: int = LARGEST, encoding: str | None = None) -> Corpus:
    """The corpus of files, folders (with all folders in them) and glob patterns.

    In folders, and of what a pattern matches, hidden files and files that are no text are skipped; the latter are
    listed. A file that is given by its own name must be text. Links are followed; a file that is reached twice is read
    once.

    Arguments:
        largest: the most bytes that all files together may have.
        encoding: of every file; None: UTF-8, or what the byte order mark of a file says.

    Raises: TaskError for a path that does not exist, files that cannot be read, no text at all, or too much of it.
    """
    named, found = _listed(paths)
    wanted: dict[Path, Path] = {}  # the file itself -> the first path it was reached by
    for path in sorted(named | found):
        wanted.setdefault(path.resolve(), path)
    chosen: list[Path] = []
    skipped: list[tuple[Path, str]] = []
    for path in wanted.values():
        reason = None if path in named else _unfit(path, encoding)
        if reason is None:
            chosen.append(path)
        else:
            skipped.append((path, reason))
    total = sum(path.stat().st_size for path in chosen)
    if total > largest:
        raise TaskError("CORPUS_THESE_FILES_BYTES_TOGETHER", total=total, largest=largest)
    texts: list[str] = []
    read_files: list[Path] = []
    for path in chosen:
        try:
            content = read_regular(path, largest)
        except FileError as error:
            raise TaskError(str(error)) from error
        if path not in named and (reason := unfit(content, encoding, whole=True)) is not None:
            skipped.append((path, reason))
            continue
        texts.append(decoded(content, path, encoding))
        read_files.append(path)
    text = "".join(texts)
    if not text:
        raise TaskError(_nothing(paths, read_files, skipped))
    return Corpus(text, tuple(read_files), tuple(skipped))


def _listed(paths: Sequence[str | os.PathLike[str]]) -> tuple[set[Path], set[Path]]:
    """The absolute paths of the files that were given by name, and of those found in folders and by patterns."""
    if not paths:
        raise TaskError("CORPUS_PATH_GIVEN_NAME_FILE")
    named: set[Path] = set()
    found: set[Path] = set()
    for given in paths:
        path = absolute(given)
        if path.is_file():
            named.add(path)
        elif path.is_dir():
            found.update(_walk(path))
        elif path.exists():
            raise TaskError("CORPUS_NEITHER_FILE_NOR_FOLDER", path=path)
        elif glob.has_magic(str(path)):
            matches = _matches(path)
            if not matches:
                raise TaskError("CORPUS_NOTHING_MATCHES_PATTERN_CHECK", path=path)
            found.update(match for match in matches if match.is_file())
            found.update(file for match in matches if match.is_dir() for file in _walk(match))
        else:
            raise TaskError("CORPUS_FILE_FOLDER_CHECK_PATH", path=path)
    return named, found


def _matches(pattern: Path) -> list[Path]:
    """What an absolute pattern matches, without what is hidden unless the pattern itself names something hidden.

    Not glob.glob, which goes round and round where links of folders form a loop.
    """
    fixed = list(takewhile(lambda part: not glob.has_magic(part), pattern.parts))
    rest = pattern.parts[len(fixed) :]
    base = Path(*fixed)
    try:
        matches = sorted(base.glob("/".join(rest)))
    except ValueError as error:
        raise TaskError("CORPUS_PATTERN_USED_CHECK", pattern=pattern, error=error) from error
    if any(part.startswith(".") for part in rest):
        return matches
    return [path for path in matches if not any(part.startswith(".") for part in path.relative_to(base).parts)]


def _walk(folder: Path) -> Iterator[Path]:
    """The files in a folder and in the folders in it, hidden ones left out; each folder once, so loops of links end."""
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(place, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _unfit(path: Path, encoding: str | None) -> str | None:
    """Why a file that nobody named is skipped, from its first bytes; None: it looks like text."""
    try:
        with open_regular(path, sys.maxsize) as file:
            return unfit(file.read(SAMPLE_BYTES), encoding)
    except (FileError, OSError) as error:
        return str(error).removeprefix(f"{path}: ")


def _nothing(
    paths: Iterable[str | os.PathLike[str]], files: Sequence[Path], skipped: Sequence[tuple[Path, str]]
) -> str:
    """The sentence for a corpus without a single character."""
    given = ", ".join(str(path) for path in paths)
    if files:
        what = f"the file is empty: {given}" if len(files) == 1 else f"all {len(files)} files are empty: {given}"
    elif skipped:
        what = f"none of the {len(skipped)} files is text (the first: {skipped[0][0]}, {skipped[0][1]}): {given}"
    else:
        what = f"no files were found in {given} (hidden ones are left out)"
    return f"There is no text to learn from, {what}; give a file or folder of text."
