"""The error of run directories, and the translation of other errors into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gatescope.errors import GatescopeError
from gatescope.files import FileError, read_regular, unwritable
from gatescope.messages import Message
from gatescope.runs.records import shortened


class RunError(GatescopeError):
    """A run directory cannot be used; the message names the file, the problem and the remedy."""


@contextmanager
def file_errors(path: Path, missing: Message | None = None) -> Iterator[None]:
    """Turn errors of files into a RunError.

    Args:
        path: the file that is read or written, for errors of the system that name none.
        missing: the message if a file that is read does not exist; None: that of the file error.

    Raises:
        RunError: a file cannot be read or written.
    """
    try:
        yield
    except FileError as error:
        raise RunError(missing if missing is not None and error.missing else error.message) from error
    except OSError as error:
        raise RunError(unwritable(error.filename or path, error).message) from error


def read_if_any(path: Path, max_bytes: int) -> bytes | None:
    """Return the content of a file of a run; None if it does not exist.

    Args:
        path: the file, directly inside its run.
        max_bytes: the most bytes that it may have.

    Raises:
        RunError: it cannot be read, is too large, or lies outside its run directory.
    """
    try:
        return read_regular(path, max_bytes, inside=path.parent)
    except FileError as error:
        if error.missing:
            return None
        raise RunError(error.message) from error


@contextmanager
def description_errors(path: Path) -> Iterator[None]:
    """Turn every error of reading a damaged network.json or task.json into a RunError that names the file.

    Raises:
        RunError: the file is damaged or invalid.
    """
    try:
        yield
    except RunError:
        raise
    except GatescopeError as error:
        raise RunError("RUN_DESCRIPTION_INVALID", path=path, reason=shortened(error)) from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise RunError("RUN_DESCRIPTION_DAMAGED", path=path, reason=shortened(repr(error))) from error
