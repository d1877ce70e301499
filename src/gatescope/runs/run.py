"""The run directory: everything a training leaves behind, readable at any moment, by anyone, without its author's code.

    runs/<name>/
      network.json          the configuration, equations included
      task.json             what it learns
      training.json         the settings of the training
      weights.safetensors   the best weights so far; the step they are of is in its metadata
      history.jsonl         one record a line
      samples.jsonl         what the network wrote on the way
      studies/              what was found out about its neurons
      checkpoints/step-XXXXXXXX/   weights, and in the last one what is needed to go on

Every file is written beside its place, synced and renamed, or appended a line at a time; a last line that a killed
process left half written is not read. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from gatescope.configuration import Configuration
from gatescope.display import fields_html
from gatescope.errors import GatescopeError
from gatescope.files import (
    FileError,
    open_for_appending,
    read_regular,
    sync_folder,
    unwritable,
    write_bytes,
    write_json,
)
from gatescope.network import Network, expected_tensors
from gatescope.runs.errors import RunError
from gatescope.runs.lock import held, is_held
from gatescope.runs.records import finite, parse, record_of, shortened
from gatescope.runs.tensors import HEADER_BYTES, VALUE_BYTES, load_tensors, save_tensors
from gatescope.tasks import Task
from gatescope.tasks import load as load_task

JSON_BYTES = 64 << 20  # of one JSON file that is read: a vocabulary of all of Unicode takes 15 MB
RECORDS_BYTES = 256 << 20  # of history.jsonl or samples.jsonl: a million records
STATE_BYTES = 1 << 30  # of what a checkpoint holds besides four copies of the weights: the carried state
TASK_FORMAT = 1
WEIGHTS, HISTORY, SAMPLES, LOCK = "weights.safetensors", "history.jsonl", "samples.jsonl", "training.lock"
STUDIES = "studies"


@dataclass(frozen=True)
class Checkpoint:
    """Everything from which training goes on as if it had never stopped.

    Attributes:
        weights: of the network, by name.
        arrays: the optimiser's, the carried state and the random state, by name.
        progress: numbers and texts: the step, the time spent, the best loss so far.
    """

    weights: Mapping[str, Tensor]
    arrays: Mapping[str, Tensor]
    progress: Mapping[str, Any]


class Run:
    """One run directory. Making the object reads nothing."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        fields: dict[str, object] = {"path": self.path}
        try:
            layers = self.configuration().layers
            fields["layers"] = ", ".join(f"{layer.neurons} {layer.cell.name}" for layer in layers)
            fields["task"] = self.task().name
            history = self.read(HISTORY)
            fields["state"] = self.state(history[-1] if history else {})
        except GatescopeError as error:
            fields["problem"] = error
        return fields_html("Run", fields)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], configuration: Configuration, task: Task, settings: Mapping[str, Any]
    ) -> Run:
        """A new run directory.

        Raises:
            RunError: there is something at this place already, or it cannot be written.
        """
        run = cls(path)
        if run.path.exists() and (not run.path.is_dir() or any(run.path.iterdir())):
            what = "a run" if run.exists else "something else"
            raise RunError("RUN_ALREADY_HOLDS_NAME_ANOTHER", path=run.path, what=what)
        with _run_errors(run.path):
            run.path.mkdir(parents=True, exist_ok=True)
            write_json(run.path / "task.json", {"format": TASK_FORMAT, **task.to_json()})
            write_json(run.path / "training.json", dict(settings))
            # Last: a directory with network.json is a run.
            write_json(run.path / "network.json", configuration.to_json())
        return run

    @property
    def exists(self) -> bool:
        """Whether the directory holds a run."""
        return (self.path / "network.json").is_file()

    def configuration(self) -> Configuration:
        """The network without its weights.

        Raises:
            RunError: no run is here, or network.json is damaged or from a newer version.
        """
        if not (self.path / "network.json").exists():
            raise RunError("RUN_RUN_NETWORK_JSON_GATESCOPE", path=self.path)
        with _described(self.path / "network.json"):
            return Configuration.from_json(self._json("network.json"))

    def task(self) -> Task:
        """What the network learns.

        Raises:
            RunError: task.json is missing or damaged.
        """
        data = self._json("task.json")
        path = self.path / "task.json"
        if isinstance(data, dict):
            version = data.pop("format", TASK_FORMAT)
            if type(version) is not int or version < 1:
                raise RunError("RUN_FORMAT_NUMBER_COPY_FILE", path=path, version=version)
            if version > TASK_FORMAT:
                raise RunError("RUN_FORMAT_OLDER_NEWER_GATESCOPE", path=path, task_format=TASK_FORMAT, version=version)
        with _described(path):
            return load_task(data)

    def settings(self) -> dict[str, Any]:
        """The settings of the training.

        Raises:
            RunError: training.json is missing or damaged.
        """
        settings = self._json("training.json")
        if not isinstance(settings, dict):
            raise RunError("RUN_HOLD_SETTINGS_TRAINING_DAMAGED", value=self.path / "training.json")
        return settings

    def save_settings(self, settings: Mapping[str, Any]) -> None:
        """Replace the settings of the training, where they are different."""
        if settings != self.settings():
            with _run_errors(self.path):
                write_json(self.path / "training.json", dict(settings))

    def network(self, checkpoint: int | None = None) -> tuple[Network, int]:
        """The network with its best weights so far, or those of a checkpoint, and the step they are of.

        Raises:
            RunError: there are no weights yet, or they are damaged or do not fit the configuration.
        """
        configuration = self.configuration()
        path = self.path / WEIGHTS if checkpoint is None else self._checkpoint(checkpoint) / WEIGHTS
        missing = "has no weights yet" if checkpoint is None else f"has no checkpoint of step {checkpoint}"
        missing = f"{self.path} {missing}; its checkpoints are {self.checkpoints() or 'none'}."
        if checkpoint is not None and checkpoint not in self.checkpoints():
            raise RunError(missing)
        with _run_errors(path, missing):
            weights, step = load_tensors(path, self.path, expected_tensors(configuration))
        network = Network(configuration)
        network.load_state_dict(weights)
        network.eval()
        return network, checkpoint or 0 if step is None else step

    def weights_mark(self) -> str:
        """Return what changes whenever the best weights do: the start of the SHA-256 of their file.

        Raises:
            RunError: there are no weights, or they cannot be read.
        """
        path, expected = self.path / WEIGHTS, expected_tensors(self.configuration())
        with _run_errors(path, f"{self.path} has no weights yet."):
            largest = HEADER_BYTES + VALUE_BYTES * sum(map(math.prod, expected.values()))
            return hashlib.sha256(read_regular(path, largest, inside=self.path)).hexdigest()[:16]

    def save_weights(self, weights: Mapping[str, Tensor], step: int) -> None:
        """Make these the weights that everybody looks at."""
        with _run_errors(self.path / WEIGHTS):
            save_tensors(self.path / WEIGHTS, weights, step)

    def checkpoints(self) -> list[int]:
        """The steps of the complete checkpoints, in order."""
        found = [entry for entry in (self.path / "checkpoints").glob("step-*") if (entry / WEIGHTS).exists()]
        steps = [re.fullmatch(r"step-([0-9]{8,18})", entry.name) for entry in found]
        return sorted({int(step[1]) for step in steps if step and self._checkpoint(int(step[1])).name == step[0]})

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a point from which training can go on; earlier ones keep their weights only."""
        step = int(checkpoint.progress["step"])
        place, beside = self._checkpoint(step), self.path / "checkpoints" / f".step-{step:08d}.tmp"
        if (place / "progress.json").is_file():
            return  # training was resumed and stopped at once: a point from which it can go on is never taken away
        with _run_errors(place):
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir(parents=True)
            save_tensors(beside / WEIGHTS, checkpoint.weights, step)
            save_tensors(beside / "optimizer.safetensors", checkpoint.arrays, step)
            write_json(beside / "progress.json", dict(checkpoint.progress))
            shutil.rmtree(place, ignore_errors=True)
            beside.rename(place)
            sync_folder(place.parent)
            for earlier in self.checkpoints():
                if earlier != step:
                    (self._checkpoint(earlier) / "progress.json").unlink(missing_ok=True)
                    (self._checkpoint(earlier) / "optimizer.safetensors").unlink(missing_ok=True)

    def last_checkpoint(self) -> Checkpoint | None:
        """The point from which training can go on, or None when it had not come to one.

        Raises:
            RunError: its files are damaged.
        """
        for step in reversed(self.checkpoints()):
            folder = self._checkpoint(step)
            if (folder / "progress.json").exists():
                expected = expected_tensors(self.configuration())
                largest = HEADER_BYTES + STATE_BYTES + 4 * VALUE_BYTES * sum(map(math.prod, expected.values()))
                with _run_errors(folder):
                    weights, _ = load_tensors(folder / WEIGHTS, self.path, expected)
                    arrays, _ = load_tensors(folder / "optimizer.safetensors", self.path, None, largest)
                return Checkpoint(weights, arrays, self._json(f"checkpoints/{folder.name}/progress.json"))
        return None

    def study(self, name: str) -> Any:
        """What `save_study` wrote under a name.

        Raises:
            RunError: there is none, or it is damaged.
        """
        return self._json(f"{STUDIES}/{name}.json")

    def save_study(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep what a study found in the run directory.

        Raises:
            RunError: it cannot be written.
        """
        with _run_errors(self.path / STUDIES):
            (self.path / STUDIES).mkdir(exist_ok=True)
            write_json(self.path / STUDIES / f"{name}.json", dict(content))

    def append(self, file: str, record: Mapping[str, Any]) -> None:
        """Add one line to history.jsonl or samples.jsonl; numbers that JSON cannot write become null.

        Raises:
            RunError: it cannot be written; half of a line, which a full disk may leave, is not read.
        """
        line = json.dumps(finite(record), ensure_ascii=False, allow_nan=False) + "\n"
        with _run_errors(self.path / file), open_for_appending(self.path / file) as handle:
            handle.write(line.encode())

    def read(self, file: str) -> list[dict[str, Any]]:
        """Return the records of history.jsonl or samples.jsonl, without lines that hold none.

        Raises:
            RunError: the file cannot be read, or is too large.
        """
        return [record for record in map(record_of, self._lines(file)) if record is not None]

    def forget_after(self, step: int) -> None:
        """Take back the records behind a checkpoint, from which training goes on, and how the training had ended.

        A line that is no record stays, unless it is the half of one that a killed process left.
        """
        for file in (HISTORY, SAMPLES):
            lines = self._lines(file)
            stay = [line for line in lines if _stays(line, step)]
            if stay != lines:
                with _run_errors(self.path / file):
                    write_bytes(self.path / file, b"".join(stay))

    @contextmanager
    def training(self) -> Iterator[None]:
        """Hold the run while it is trained; the hold ends with the process, however it ends.

        Raises:
            RunError: another process is training it.
        """
        with _run_errors(self.path / LOCK):
            hold = held(self.path / LOCK)
            free = hold.__enter__()
        try:
            if not free:
                raise RunError("RUN_BEING_TRAINED_ANOTHER_PROCESS", path=self.path)
            yield
        finally:
            hold.__exit__(None, None, None)

    @property
    def is_training(self) -> bool:
        """Whether a process is training this run now."""
        return is_held(self.path / LOCK)

    def state(self, last: Mapping[str, Any]) -> str:
        """What became of the training, given the last record of its history (an empty one where there is none).

        Returns:
            "training" now, "finished", "failed", "interrupted": it can go on, or "created": it has not begun.
        """
        if self.is_training:
            return "training"
        if not last and not (self.path / WEIGHTS).exists():
            return "created"
        if last.get("event") != "end" or last.get("reason") == "interrupted":
            return "interrupted"
        return "failed" if last.get("reason") == "failed" else "finished"

    def _checkpoint(self, step: int) -> Path:
        return self.path / "checkpoints" / f"step-{step:08d}"

    def _json(self, file: str) -> Any:
        path = self.path / file
        with _run_errors(path, f"{path} cannot be read: there is no such file. Copy it anew, or start a new run."):
            content = read_regular(path, JSON_BYTES, inside=self.path)
        try:
            return parse(content.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise RunError("RUN_JSON_DAMAGED_BRING_BACK", path=path, shortened=shortened(error)) from error

    def _lines(self, file: str) -> list[bytes]:
        """The lines of history.jsonl or samples.jsonl as they are, their ends included."""
        try:
            content = read_regular(self.path / file, RECORDS_BYTES, inside=self.path)
        except FileError as error:
            if error.missing:
                return []
            raise RunError(str(error)) from error
        return content.splitlines(keepends=True)


def find_runs(places: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Run]:
    """The runs among directories: each that is a run, and the runs directly inside each that is not.

    Args:
        places: one directory, or several.

    Raises:
        RunError: a place is no path.
    """
    found: dict[Path, Run] = {}
    try:
        paths = [Path(places)] if isinstance(places, str | os.PathLike) else [Path(place) for place in places]
    except TypeError as error:
        raise RunError("RUN_PLACES_DIRECTORIES_PATH_SEVERAL", name=type(places).__name__) from error
    for place in paths:
        candidates = [place] if Run(place).exists else sorted(place.glob("*/")) if place.is_dir() else []
        for candidate in candidates:
            if Run(candidate).exists:
                found.setdefault(candidate.resolve(), Run(candidate))
    return list(found.values())


def _stays(line: bytes, step: int) -> bool:
    record = record_of(line)
    if record is None:
        return line.endswith(b"\n")
    return record.get("step", 0) <= step and record.get("event") != "end"


@contextmanager
def _run_errors(path: Path, missing: str | None = None) -> Iterator[None]:
    """Turn errors of files into those of runs.

    Args:
        path: what is written where the system's error names no file.
        missing: what to say instead where a file that is read is missing.
    """
    try:
        yield
    except FileError as error:
        raise RunError(missing if missing is not None and error.missing else str(error)) from error
    except OSError as error:
        raise RunError(str(unwritable(error.filename or path, error))) from error


@contextmanager
def _described(path: Path) -> Iterator[None]:
    """Turn whatever a damaged description leads to into one sentence that names the file."""
    try:
        yield
    except RunError:
        raise
    except GatescopeError as error:
        raise RunError("RUN_USED", path=path, shortened=shortened(error)) from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise RunError("RUN_DAMAGED_COPY_FILE_ANEW", path=path, shortened=shortened(repr(error))) from error
