"""The command of a training that begins on the page: the words of `gatescope train`, shown as they are run."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatescope.cells import CELLS
from gatescope.configuration import configure
from gatescope.explorer.adoptions import plain_name, run_name
from gatescope.explorer.requests import Field, RequestError, parse_request, quoted
from gatescope.network import expected_tensors
from gatescope.runs import RunError
from gatescope.runs.run_names import check_run_name
from gatescope.tasks import TASKS
from gatescope.vocabulary import Vocabulary

TEXTS = ".texts"
"""The folder, in the folder of runs, of texts that came from the page; no run has such a name."""

LIMITS = {"neurons": 1024, "layers": 8, "batch": 4096, "steps": 100_000_000}
MAX_PARAMETERS = 24_000_000  # training needs 16 bytes for each of them, and a checkpoint 12
MAX_TEXT_BYTES = 16 << 20
FILE_TASKS = ("text", "sentiment", "tagging", "forecasting")
CELL_NAME = re.compile(r"[A-Za-z0-9_.:=,+-]{1,60}")

NUMBER = {"default": None, "nullable": True}
FIELDS = {
    "task": Field(str, choices=tuple(TASKS)),
    "cell": Field(str, **NUMBER),
    "neurons": Field(int, **NUMBER),
    "layers": Field(int, **NUMBER),
    "learning_rate": Field(float, **NUMBER),
    "batch": Field(int, **NUMBER),
    "clip": Field(float, **NUMBER),
    "seed": Field(int, **NUMBER),
    "steps": Field(int, **NUMBER),
    "name": Field(str, **NUMBER),
    "file": Field(str, **NUMBER),
    "text": Field(str, **NUMBER),
    "check": Field(bool, default=False),
}
"""The fields of a request for a training; null for what the task recommends.

`file` is the name of the text and `text` its content; `check` asks for the command and starts nothing.
"""

OPTIONS = ("cell", "neurons", "layers", "learning_rate", "batch", "clip", "seed", "steps")


@dataclass(frozen=True)
class TrainingPlan:
    """A training that can begin.

    Attributes:
        run: the run directory, which does not exist.
        words: the words after `gatescope`.
        file: where the text goes; None for a task without one.
        text: the text.
    """

    run: Path
    words: tuple[str, ...]
    file: Path | None
    text: bytes

    @property
    def command(self) -> str:
        """The command as it is typed in a shell."""
        return command_of(self.words)


def command_of(words: Sequence[str]) -> str:
    """Return a command of gatescope as it is typed in a shell.

    Args:
        words: the words after `gatescope`.
    """
    return shlex.join(["gatescope", *words])


def plan_training(data: Any, folder: Path) -> TrainingPlan:
    """Return the training that a page requests.

    The command itself checks the values of its options. Here are the bounds of the page, and everything that becomes a
    path.

    Args:
        data: the JSON of the request, with FIELDS.
        folder: the folder of runs.

    Raises:
        GatescopeError: a field is out of bounds, or the name is taken.
    """
    fields = parse_request("train", data, FIELDS)
    task, cell = fields["task"], fields["cell"]
    for name, largest in LIMITS.items():
        if fields[name] is not None and not 1 <= fields[name] <= largest:
            raise RequestError("MACHINE_FIELD_RANGE", name=name, largest=largest, value=fields[name])
    if cell is not None and not CELL_NAME.fullmatch(cell):
        raise RequestError("MACHINE_FIELD_CELL", cells=", ".join(CELLS), cell=quoted(cell))
    if (fields["file"] is None) != (task not in FILE_TASKS):
        raise RequestError("MACHINE_FIELD_FILE", tasks=", ".join(FILE_TASKS), task=task)
    text = _bytes_of(fields)
    _check_size(fields)
    run = folder / _name_of(fields, folder)
    file = None if fields["file"] is None else _free(folder / TEXTS, plain_name(fields["file"]))
    words = ["train", task, *([] if file is None else [str(file)])]
    for name in OPTIONS:
        if fields[name] is not None:
            words += _option(name.replace("_", "-"), str(fields[name]))
    return TrainingPlan(run, (*words, *_option("run", str(run))), file, text)


def resume_words(run: Path) -> tuple[str, ...]:
    """Return the words after `gatescope` that train a run on.

    Args:
        run: the run directory.
    """
    return ("train", "--resume", *_option("run", str(run)))


def _option(name: str, value: str) -> list[str]:
    """Return an option with its value, which is never read as an option itself."""
    return [f"--{name}={value}"] if value.startswith("-") else [f"--{name}", value]


def _name_of(fields: Mapping[str, Any], folder: Path) -> str:
    """Return the name of the new run.

    Raises:
        RunError: the name is taken, or no run can have it.
    """
    name = fields["name"]
    if name is None:
        return _free(folder, run_name(fields["file"] or fields["task"])).name
    check_run_name(name)
    if os.path.lexists(folder / name):
        raise RunError("RUN_NAME_TAKEN", name=name)
    return name


def _free(folder: Path, name: str) -> Path:
    """Return the path of a name in a folder, with a number if the name is taken."""
    path, number = folder / name, 2
    while os.path.lexists(path):
        path, number = (folder / name).with_stem(f"{Path(name).stem}-{number}"), number + 1
    return path


def _bytes_of(fields: Mapping[str, Any]) -> bytes:
    """Return the text in UTF-8.

    Raises:
        RequestError: it is too long, missing, or not a text.
    """
    text = fields["text"]
    if text is None:
        if fields["file"] is not None and not fields["check"]:
            raise RequestError("MACHINE_TEXT_MISSING", task=fields["task"])
        return b""
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        raise RequestError("MACHINE_TEXT_SURROGATE", character=f"U+{ord(text[error.start]):04X}") from error
    if len(content) > MAX_TEXT_BYTES:
        raise RequestError("MACHINE_TEXT_TOO_LARGE", status=413, limit=MAX_TEXT_BYTES, size=len(content))
    return content


def _check_size(fields: Mapping[str, Any]) -> None:
    """Refuse a network with too many parameters.

    Raises:
        GatescopeError: there are too many, or there is no such cell.
    """
    if fields["neurons"] is None:
        return
    symbols = "".join(sorted(set(fields["text"] or "ab")))
    vocabulary = Vocabulary.of(symbols) if fields["task"] in FILE_TASKS else TASKS[fields["task"]]().vocabulary
    configuration = configure(vocabulary, fields["cell"] or "lstm", [fields["neurons"]] * (fields["layers"] or 1))
    parameters = sum(math.prod(shape) for shape in expected_tensors(configuration).values())
    if parameters > MAX_PARAMETERS:
        raise RequestError("MACHINE_PARAMETERS", limit=MAX_PARAMETERS, parameters=parameters)
