"""Runs in a zip file, such as the playground of the page saves them, unpacked with bounds on every size.

The archive holds the files of one run, directly or in one folder. Its names are compared with those of a run, so none
can lead out of the directory. Links, devices, encrypted and repeated entries are refused, and so is a task that reads
other files than the text of the run.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from gatescope.files import FileError, open_regular
from gatescope.messages import Message
from gatescope.runs import HISTORY, SAMPLES, WEIGHTS, Run, RunError
from gatescope.runs.records import parse, shortened
from gatescope.runs.run_errors import file_errors
from gatescope.tasks.base.saved_task import PATH_FIELDS
from gatescope.training import stored_settings
from gatescope.training.resume import check_same_sizes, load_checkpoint

MAX_ZIP_BYTES = 1 << 30
MAX_FILES = 10_000
MAX_UNPACKED_BYTES = 4 << 30
MAX_EXPANSION = 200  # times its size that a file may unpack to; histories reach about 20
SLACK_BYTES = 1 << 20
MAX_ENTRY_BYTES = 512  # of the description of a file in the archive
TEXT_FILE = "text.txt"
NEEDED = ("network.json", "task.json", "training.json", WEIGHTS)
NAME = re.compile(
    "|".join(map(re.escape, (*NEEDED, HISTORY, SAMPLES, TEXT_FILE, "findings.json", "tags.json")))
    + r"|studies/[\w.-]{1,80}\.json"
    + r"|checkpoints/step-[0-9]{8,18}/(weights\.safetensors|optimizer\.safetensors|progress\.json)",
    re.ASCII,
)
FOLDERS = re.compile(r"|studies/|checkpoints/|checkpoints/step-[0-9]{8,18}/", re.ASCII)
LOCKS = ("training.lock", "edits.lock")  # empty files of a run, which are not unpacked
FOLDER = re.compile(r"[^/\\:\x00]{1,200}/")
END = struct.Struct("<4s4H2LH")  # mark, disks, entries, bytes and place of the directory, bytes of the comment
END_64 = 20  # bytes of the mark of an archive of more than 4 GiB, before the end
PARTIAL = ".partial"


def is_run_zip(path: Path) -> bool:
    """Return whether a path names a zip file rather than a run directory, by its suffix."""
    return path.suffix.lower() == ".zip" and not path.is_dir()


def unpack_run(path: str | os.PathLike[str], place: str | os.PathLike[str]) -> Run:
    """Make a run directory of a zip file. Nothing in the file is executed.

    Args:
        path: the zip file.
        place: the run directory; it must not exist, or be empty.

    Returns:
        The run, every file of which was read once with its own checks.

    Raises:
        RunError: the file is not a whole run, is damaged, too large, or has something else in it; or the directory is
            not empty, or cannot be written.
    """
    file, directory = Path(path), Path(place)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise RunError("RUN_EXISTS" if Run(directory).exists else "RUN_PLACE_OCCUPIED", path=directory)
    partial = directory.with_name(f".{directory.name}{PARTIAL}")
    with file_errors(directory):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            with _damage(file):
                _unpack(file, partial)
            _check(file, Run(partial))
            _check_files_of_task(file, Run(partial))
            if directory.exists():
                directory.rmdir()
            partial.rename(directory)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return Run(directory)


@contextmanager
def _damage(file: Path) -> Iterator[None]:
    """Turn every error of reading a damaged archive into a RunError."""
    try:
        yield
    except FileError as error:
        raise RunError(error.message) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, LookupError, NotImplementedError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError("RUN_ZIP_DAMAGED", path=file, reason=shortened(error).rstrip(".")) from error


def _unpack(file: Path, directory: Path) -> None:
    with open_regular(file, MAX_ZIP_BYTES) as opened:
        _check_directory(opened, file)
        with zipfile.ZipFile(opened) as archive:
            entries = _entries(archive, file)
            for name, entry in entries.items():
                place = directory / name
                place.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, place.open("xb") as target:
                    shutil.copyfileobj(source, target)  # at most the announced bytes: zipfile reads no more


def _check_directory(opened: BinaryIO, file: Path) -> None:
    """Check the size of the directory of an archive, which zipfile reads as a whole.

    Raises:
        RunError: the file does not end as a zip file does, or has too many entries.
    """
    size = opened.seek(0, os.SEEK_END)
    opened.seek(max(0, size - END.size - END_64))
    ending = opened.read()
    if len(ending) < END.size or ending[-END.size :][:4] != b"PK\x05\x06" or ending[-2:] != b"\x00\x00":
        raise RunError("RUN_ZIP_DAMAGED", path=file, reason=str(Message("RUN_ZIP_END")))
    _, _, _, _, count, nbytes, _, _ = END.unpack(ending[-END.size :])
    if count > MAX_FILES or nbytes > MAX_FILES * MAX_ENTRY_BYTES or ending.startswith(b"PK\x06\x07"):
        raise RunError("RUN_ZIP_FILES", path=file, most=MAX_FILES)


def _entries(archive: zipfile.ZipFile, file: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the files of a run by their names, after a check of everything that the archive announces."""
    infos = archive.infolist()
    folder = _folder_of([info.filename for info in infos])
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename.removeprefix(folder)
        _check_kind(info, file)
        if info.is_dir() and info.file_size == 0 and FOLDERS.fullmatch(name):
            continue
        if not info.filename.startswith(folder) or not (NAME.fullmatch(name) or name in LOCKS):
            raise RunError("RUN_ZIP_NAME", path=file, name=info.filename[:80])
        if name in entries:
            raise RunError("RUN_ZIP_REPEATED", path=file, name=name)
        if name not in LOCKS:
            entries[name] = info
    missing = [name for name in NEEDED if name not in entries]
    if missing:
        raise RunError("RUN_ZIP_HALF", path=file, names=", ".join(missing))
    nbytes = sum(info.file_size for info in entries.values())
    most = min(MAX_UNPACKED_BYTES, SLACK_BYTES + MAX_EXPANSION * file.stat().st_size)
    if nbytes > most:
        raise RunError("RUN_ZIP_TOO_LARGE", path=file, most=most, size=nbytes)
    return entries


def _folder_of(names: list[str]) -> str:
    """Return the folder in an archive that holds the run, with its slash; "" if the run lies directly in it."""
    for name in names:
        folder, slash, file = name.partition("/")
        if file in NEEDED and FOLDER.fullmatch(folder + slash) and folder not in (".", ".."):
            return folder + slash
    return ""


def _check_kind(info: zipfile.ZipInfo, file: Path) -> None:
    """Refuse links, devices, encrypted files, and files that are compressed by a rare method."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    is_plain = kind in (0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG)
    is_readable = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and not info.flag_bits & 1
    if not (is_plain and is_readable):
        raise RunError("RUN_ZIP_KIND", path=file, name=info.filename[:80])


def _check(file: Path, run: Run) -> None:
    """Read every file of a run with its own checks.

    Raises:
        RunError: a file is damaged or belongs to another run, or the task reads files that the archive does not have.
    """
    try:
        check_same_sizes(run, run.task(), run.configuration())
        stored_settings(run)
        run.network()
        for step in run.checkpoints():
            run.network(step)
        load_checkpoint(run)
        for name in (HISTORY, SAMPLES):
            run.read(name)
        run.findings()
        run.tags()
    except RunError as error:
        raise RunError("RUN_ZIP_CONTENT", path=file, reason=_without_folder(error.message, run.path)) from error
    except ValueError as error:  # such as a TrainingError, which names the run
        raise RunError("RUN_ZIP_CONTENT", path=file, reason=shortened(error)) from error


def _check_files_of_task(file: Path, run: Run) -> None:
    """Check that a task reads no file of this machine: only the text of the run, or files that the package has."""
    fields: Any = parse((run.path / "task.json").read_text(encoding="utf-8"))
    named = {name: fields[name] for name in PATH_FIELDS if fields.get(name)}
    has_text = (run.path / TEXT_FILE).exists()
    if has_text and named == {"paths": [TEXT_FILE]}:
        return
    # Tables have a list of files for each part of the data.
    if has_text or any(any(value.values()) if isinstance(value, dict) else value for value in named.values()):
        raise RunError("RUN_ZIP_TASK_FILES", path=file, name=TEXT_FILE)


def _without_folder(message: Message, folder: Path) -> Message:
    """Return a message about a file of a run that names the file only, because its directory is removed."""
    values: Mapping[str, Any] = {
        name: value.relative_to(folder) if isinstance(value, Path) and value.is_relative_to(folder) else value
        for name, value in message.values.items()
    }
    return Message(message.code, **values)
