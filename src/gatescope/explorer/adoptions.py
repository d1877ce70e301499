"""Networks that are dropped on the page: kept in a temporary folder until every question is answered, then a run.

The readers are those of `gatescope adopt`. Nothing in a file is executed. A run gets a free name and replaces nothing.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatescope.adopting import AdoptingError, is_run_zip, read_names, unpack_run
from gatescope.adopting.adopt import make_run
from gatescope.adopting.foreign import Foreign
from gatescope.adopting.formats import read
from gatescope.errors import GatescopeError
from gatescope.explorer.adoption_questions import FIXED, question_of, symbols_question
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.live import restore
from gatescope.explorer.requests import Field, RequestError, parse_request, quoted
from gatescope.files import sync_folder
from gatescope.runs import Run, RunError
from gatescope.runs.run_errors import file_errors
from gatescope.runs.run_names import check_run_name
from gatescope.tasks import Adopted
from gatescope.tasks.data.corpus import read as read_corpus
from gatescope.vocabulary import Vocabulary

MAX_NETWORK_BYTES = 1 << 30
MAX_ANSWER_BYTES = 64 << 20  # of a vocabulary, a corpus, a text or a list of names
SPARE_BYTES = 64 << 20  # that stay free on the disk
MAX_UPLOADS = 4  # the oldest one is dropped
MAX_INPUTS = 100_000
MAX_NAME_CHARACTERS = 60
LIVE_SUFFIXES = (".html", ".htm")
FILES = ("vocabulary", "corpus", "names", "text")

TEXT = Field(str, default=None, nullable=True)
NAMES = Field(str, default=None, nullable=True, is_list=True, max_items=100_000)
ANSWERS = {
    **dict.fromkeys(("vocabulary", "entry", "corpus", "text", "inputs", "unit", "end", "unknown", "encoding"), TEXT),
    **dict.fromkeys(("embedding", "readout", "predicts", "reads", "directions", "nonlinearity"), TEXT),
    **dict.fromkeys(("head_activation", "gates"), TEXT),
    **dict.fromkeys(("layers", "names", "head", "ignore"), NAMES),
}
CHOICES = {name: FIXED[name] for name in ("predicts", "reads", "directions", "nonlinearity", "unit")}


@dataclass
class Upload:
    """A dropped file and the answers so far.

    Attributes:
        folder: the temporary folder of its files.
        name: the name of the file, without what a file name cannot have.
        nbytes: its size.
        answers: the answers, by the keyword of `gatescope adopt`.
        files: answer -> the file that was sent for it.
    """

    folder: Path
    name: str
    nbytes: int
    answers: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The dropped file."""
        return self.folder / self.name


class Adoptions:
    """Adopts dropped files, one at a time."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._uploads: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()
        self._folder: Path | None = None

    def place_for(self, nbytes: int, limit: int) -> Path:
        """Return a new temporary file for an upload, once its size is known to fit.

        Args:
            nbytes: the size that the request announces.
            limit: the largest size.

        Raises:
            RequestError: the file is too large, or the disk has no room for it, or there is no folder of runs.
        """
        if not self._gallery.folders():
            raise RequestError("ACT_NO_FOLDER", status=409)
        if nbytes > limit:
            raise RequestError("ACT_ADOPT_TOO_LARGE", status=413, limit=limit, size=nbytes)
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="gatescope-adopt-"))
                weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        if shutil.disk_usage(self._folder).free < nbytes + SPARE_BYTES:
            raise RequestError("ACT_ADOPT_DISK_FULL", status=409, size=nbytes)
        return self._folder / f"{secrets.token_hex(16)}.part"

    def begin(self, part: Path, name: str) -> dict[str, Any]:
        """Begin the adoption of a file that has arrived.

        Args:
            part: the temporary file.
            name: the name that it has on the page.

        Raises:
            GatescopeError: the file is refused, and removed.
        """
        upload_id = secrets.token_hex(16)
        folder = part.with_name(upload_id)
        with file_errors(folder):
            folder.mkdir()
            upload = Upload(folder, plain_name(name), part.stat().st_size)
            part.rename(upload.path)
        with self._lock:
            self._uploads[upload_id] = upload
            while len(self._uploads) > MAX_UPLOADS:
                shutil.rmtree(self._uploads.popitem(last=False)[1].folder, ignore_errors=True)
            try:
                return self._proceed(upload_id, upload)
            except BaseException:
                self._drop(upload_id)
                raise

    def answer_by_file(self, upload_id: str, answer: str, part: Path, name: str) -> dict[str, Any]:
        """Answer a question by a file that has arrived.

        Args:
            upload_id: the id of the adoption.
            answer: "vocabulary", "corpus", "names" or "text".
            part: the temporary file.
            name: the name that it has on the page.

        Raises:
            GatescopeError: the adoption is unknown, or the file cannot be used.
        """
        if answer not in FILES:
            raise RequestError("ACT_ADOPT_ANSWER", answer=quoted(answer), expected=", ".join(FILES))
        with self._lock:
            upload = self._upload(upload_id)
            place = upload.folder / f"{answer}-{plain_name(name)}"
            with file_errors(place):
                part.replace(place)
            upload.files[answer] = place
            upload.answers[answer] = plain_name(name)
            _without_others(upload, answer)
            return self._proceed(upload_id, upload)

    def answer(self, upload_id: str, data: Any) -> dict[str, Any]:
        """Answer questions.

        Args:
            upload_id: the id of the adoption.
            data: the JSON of the request: `answers`, in which null takes an answer back.

        Raises:
            GatescopeError: the adoption is unknown, or an answer cannot be used.
        """
        sent = parse_request("adopt", data, {"answers": Field(dict)})["answers"]
        answers = parse_request("adopt answers", sent, ANSWERS)
        for name, values in CHOICES.items():
            if answers[name] is not None and answers[name] not in values:
                raise RequestError("ACT_ADOPT_ANSWER", answer=quoted(answers[name]), expected=", ".join(values))
        if answers["vocabulary"] not in (None, "bytes"):
            raise RequestError("ACT_ADOPT_ANSWER", answer=quoted(answers["vocabulary"]), expected="bytes")
        if answers["corpus"] is not None or answers["text"] is not None:
            raise RequestError("ACT_ADOPT_FILE", answer="corpus" if answers["corpus"] is not None else "text")
        with self._lock:
            upload = self._upload(upload_id)
            for name in sent:
                upload.files.pop(name, None)
                upload.answers.pop(name, None)
                if answers[name] is not None:
                    value = answers[name]
                    upload.answers[name] = list(value) if isinstance(value, tuple) else value
                    _without_others(upload, name)
            return self._proceed(upload_id, upload)

    def cancel(self, upload_id: str) -> dict[str, Any]:
        """Remove a dropped file.

        Args:
            upload_id: the id of the adoption.

        Raises:
            RequestError: the adoption is unknown.
        """
        with self._lock:
            self._upload(upload_id)
            self._drop(upload_id)
        return {}

    def _upload(self, upload_id: str) -> Upload:
        upload = self._uploads.get(upload_id)
        if upload is None:
            raise RequestError("ACT_ADOPT_UNKNOWN", status=404)
        return upload

    def _drop(self, upload_id: str) -> None:
        shutil.rmtree(self._uploads.pop(upload_id).folder, ignore_errors=True)

    def _proceed(self, upload_id: str, upload: Upload) -> dict[str, Any]:
        """Make the run, or return the next question."""
        shown = {"id": upload_id, "file": upload.name, "bytes": upload.nbytes, "answers": upload.answers}
        state: dict[str, Any] = {**shown, "questions": [], "run": None, "notes": [], "warning": None}
        is_live, is_zip = upload.path.suffix.lower() in LIVE_SUFFIXES, is_run_zip(upload.path)
        is_run = is_live or is_zip
        if not is_run and not any(name in upload.answers for name in ("vocabulary", "corpus", "inputs")):
            self._check_format(upload)
            return state | {"questions": [symbols_question()]}
        foreign: Foreign | None = None
        folder = self._gallery.folders()[0]
        partial = folder / f".adopt-{upload_id}.partial"
        try:
            if is_live:
                run = restore(upload.path, partial)
            elif is_zip:
                run = unpack_run(upload.path, partial)
            else:
                foreign = read(upload.path, upload.answers.get("nonlinearity"))
                run = _make(foreign, upload, partial)
            task = run.task()
            name = _publish(run, folder, run_name(upload.name))
        except AdoptingError as error:
            return state | {"questions": [question_of(error, foreign)]}
        except ImportError as error:
            raise RequestError("CLI_PACKAGE_MISSING", status=409, reason=error) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self._drop(upload_id)
        notes = list(task.notes) if isinstance(task, Adopted) else []
        warning = task.warning if isinstance(task, Adopted) else None
        return state | {"run": self._gallery.name_of(folder / name), "notes": notes, "warning": warning}

    def _check_format(self, upload: Upload) -> None:
        """Refuse a file that no answer makes a network, before the first question.

        Raises:
            GatescopeError: the file is refused.
        """
        if upload.path.suffix.lower() == ".json":
            raise RequestError("ACT_ADOPT_RECORDING", status=409, file=upload.name)
        try:
            read(upload.path)
        except AdoptingError as error:
            question_of(error, None)
        except ImportError as error:
            raise RequestError("CLI_PACKAGE_MISSING", status=409, reason=error) from error


def _make(foreign: Foreign, upload: Upload, place: Path) -> Run:
    """Make a run of the weights of a file and the answers."""
    answers, files = upload.answers, upload.files
    encoding = answers.get("encoding")
    source = files.get("text") or files.get("corpus")
    names = answers.get("names", [])
    if "names" in files:
        names = [name or "" for name in read_names(files["names"]).names]
    adoption = make_run(
        foreign,
        upload.name,
        place,
        _vocabulary_of(upload),
        unit=answers.get("unit") if "vocabulary" in files else None,
        end=answers.get("end"),
        unknown=answers.get("unknown"),
        layers=answers.get("layers", []),
        embedding=answers.get("embedding"),
        readout=answers.get("readout"),
        predicts=answers.get("predicts"),
        names=names,
        reads=answers.get("reads"),
        directions=answers.get("directions"),
        head=answers.get("head", []),
        head_activation=answers.get("head_activation"),
        gates=answers.get("gates"),
        ignore=answers.get("ignore", []),
        text="" if source is None else read_corpus([source], encoding=encoding).text,
    )
    return adoption.run


def _vocabulary_of(upload: Upload) -> Vocabulary | str:
    """Return the vocabulary of the answers, or the file that holds it.

    Raises:
        GatescopeError: the answers make no vocabulary.
    """
    answers, files = upload.answers, upload.files
    try:
        if "inputs" in answers:
            return Vocabulary(_parse_inputs(answers["inputs"]), unit="number")
        if "corpus" in files:
            text = read_corpus([files["corpus"]], encoding=answers.get("encoding")).text
            return Vocabulary.of(text, answers.get("end"))
        if "vocabulary" in files:
            entry = answers.get("entry")
            return str(files["vocabulary"]) if entry is None else f"{files['vocabulary']}:{entry}"
        return Vocabulary.of_bytes(answers.get("end"))
    except ValueError as error:
        if isinstance(error, GatescopeError):
            raise
        raise RequestError("ACT_ADOPT_VOCABULARY", status=409, reason=error) from error


def _parse_inputs(text: str) -> tuple[str, ...]:
    if text.isdecimal():
        if not 0 < int(text[:9]) <= MAX_INPUTS:
            raise RequestError("ACT_ADOPT_INPUTS", status=409, inputs=quoted(text), limit=MAX_INPUTS)
        return tuple(map(str, range(int(text))))
    return tuple(name.strip() for name in text.split(","))


def _without_others(upload: Upload, answer: str) -> None:
    """Remove the other answers to the question of what the network reads."""
    if answer in ("vocabulary", "corpus", "inputs"):
        for other in {"vocabulary", "corpus", "inputs"} - {answer}:
            upload.answers.pop(other, None)
            upload.files.pop(other, None)


def _publish(run: Run, folder: Path, name: str) -> str:
    """Move a finished run to a free name. It appears in the list as a whole."""
    free, number = name, 2
    while True:
        while os.path.lexists(folder / free):
            free, number = f"{name}-{number}", number + 1
        try:
            with file_errors(folder / free):
                run.path.rename(folder / free)
                sync_folder(folder)
            return free
        except RunError:
            if not os.path.lexists(folder / free):
                raise


def run_name(file: str) -> str:
    """Return the name of the run of a file.

    Args:
        file: the name of the file.
    """
    name = re.sub(r"[^\w.\- ]+", "_", Path(file).stem)[:MAX_NAME_CHARACTERS].strip("._- ") or "network"
    try:
        check_run_name(name)
    except RunError:
        return "network"
    return name


def plain_name(name: str) -> str:
    """Return the name of a file that a page sent, without folders and without what a file name cannot have."""
    last = re.split(r"[/\\]", name)[-1]
    plain = re.sub(r"[^\w.\- ]+", "_", last).lstrip("._- ")
    return plain[-MAX_NAME_CHARACTERS:].lstrip("._- ") or "network"  # the end has the suffix


def announced_bytes(headers: Mapping[str, str]) -> int:
    """Return the size that an upload announces.

    Raises:
        RequestError: it announces none, or its content has another type.
    """
    if headers.get("content-type", "").partition(";")[0].strip() != "application/octet-stream":
        raise RequestError("ACT_ADOPT_TYPE", status=415)
    length = headers.get("content-length", "")
    if not length.isdecimal() or len(length) > 18:
        raise RequestError("ACT_ADOPT_LENGTH", status=411)
    return int(length)
