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

import fcntl
import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from gatescope.equations import EquationError
from gatescope.errors import GatescopeError
from gatescope.files import FileError, sync_folder, write_bytes, write_json
from gatescope.network import Configuration, Network, NetworkError, expected_tensors
from gatescope.tasks import Task, TaskError
from gatescope.tasks import load as load_task

LARGEST_JSON = 64 << 20  # bytes of one JSON file that are read: a vocabulary of all of Unicode takes 15 MB
WEIGHTS, HISTORY, SAMPLES, LOCK = "weights.safetensors", "history.jsonl", "samples.jsonl", "training.lock"
STUDIES = "studies"
LOCK_TRIES = 10


class RunError(GatescopeError):
    """A run directory cannot be used as it is; the message says which file, what is wrong, and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """What is needed to go on as if training had never stopped.

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
            raise RunError(f"{run.path} already holds {what}; name another directory, or resume a run that is there.")
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            write_json(run.path / "task.json", task.to_json())
            write_json(run.path / "training.json", dict(settings))
            # Last: a directory with network.json is a run.
            write_json(run.path / "network.json", configuration.to_json())
        except OSError as error:
            raise RunError(f"the run cannot be written to {run.path}: {error.strerror or error}.") from error
        except FileError as error:
            raise RunError(str(error)) from error
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
        if not self.exists:
            raise RunError(
                f"{self.path} is not a run: it has no network.json. `gatescope runs` lists the runs that are there."
            )
        try:
            return Configuration.from_json(self._json("network.json"))
        except (NetworkError, EquationError, ValueError) as error:
            if isinstance(error, RunError):
                raise
            raise RunError(f"{self.path / 'network.json'} cannot be used: {error}") from error

    def task(self) -> Task:
        """What the network learns.

        Raises:
            RunError: task.json is missing or damaged.
        """
        try:
            return load_task(self._json("task.json"))
        except TaskError as error:
            raise RunError(f"{self.path / 'task.json'} cannot be used: {error}") from error

    def settings(self) -> dict[str, Any]:
        """The settings of the training.

        Raises:
            RunError: training.json is missing or damaged.
        """
        settings = self._json("training.json")
        if not isinstance(settings, dict):
            raise RunError(f"{self.path / 'training.json'} does not hold the settings of a training; is it damaged?")
        return settings

    def save_settings(self, settings: Mapping[str, Any]) -> None:
        """Replace the settings of the training, where they are different."""
        if settings != self.settings():
            write_json(self.path / "training.json", dict(settings))

    def network(self, checkpoint: int | None = None) -> tuple[Network, int]:
        """The network with its best weights so far, or those of a checkpoint, and the step they are of.

        Raises:
            RunError: there are no weights yet, or they are damaged or do not fit the configuration.
        """
        configuration = self.configuration()
        path = self.path / WEIGHTS if checkpoint is None else self._checkpoint(checkpoint) / WEIGHTS
        if not path.is_file() if checkpoint is None else checkpoint not in self.checkpoints():
            missing = "has no weights yet" if checkpoint is None else f"has no checkpoint of step {checkpoint}"
            raise RunError(f"{self.path} {missing}; its checkpoints are {self.checkpoints() or 'none'}.")
        weights, about = _load(path, expected_tensors(configuration))
        network = Network(configuration)
        network.load_state_dict(weights)
        network.eval()
        return network, int(about.get("step", checkpoint or 0))

    def save_weights(self, weights: Mapping[str, Tensor], step: int) -> None:
        """Make these the weights that everybody looks at."""
        _save(self.path / WEIGHTS, weights, step)

    def checkpoints(self) -> list[int]:
        """The steps of the complete checkpoints, in order."""
        found = (self.path / "checkpoints").glob("step-*")
        steps = (entry.name.removeprefix("step-") for entry in found if (entry / WEIGHTS).is_file())
        return sorted(int(step) for step in steps if step.isdigit())

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a point from which training can go on; earlier ones keep their weights only."""
        step = int(checkpoint.progress["step"])
        place, beside = self._checkpoint(step), self.path / "checkpoints" / f".step-{step:08d}.tmp"
        if (place / "progress.json").is_file():
            return  # training was resumed and stopped at once: a point from which it can go on is never taken away
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        _save(beside / WEIGHTS, checkpoint.weights, step)
        _save(beside / "optimizer.safetensors", checkpoint.arrays, step)
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
            if (folder / "progress.json").is_file():
                weights, _ = _load(folder / WEIGHTS, expected_tensors(self.configuration()))
                arrays, _ = _load(folder / "optimizer.safetensors", None)
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
        try:
            (self.path / STUDIES).mkdir(exist_ok=True)
            write_json(self.path / STUDIES / f"{name}.json", dict(content))
        except OSError as error:
            raise RunError(f"{self.path / STUDIES} cannot be written: {error.strerror or error}.") from error
        except FileError as error:
            raise RunError(str(error)) from error

    def append(self, file: str, record: Mapping[str, Any]) -> None:
        """Add one line to history.jsonl or samples.jsonl; numbers that JSON cannot write become null."""
        line = json.dumps(_finite(record), ensure_ascii=False, allow_nan=False)
        with (self.path / file).open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")

    def read(self, file: str) -> list[dict[str, Any]]:
        """The lines of history.jsonl or samples.jsonl; what a killed process left half written is left out."""
        path = self.path / file
        if not path.is_file():
            return []
        records = []
        with path.open(encoding="utf-8", errors="replace") as handle:
            for line in handle:
                try:
                    record = _parsed(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(record, dict):
                    records.append(record)
        return records

    def forget_after(self, step: int) -> None:
        """Take back the records behind a checkpoint: training goes on from there."""
        for file in (HISTORY, SAMPLES):
            kept = [record for record in self.read(file) if record.get("step", 0) <= step and "event" not in record]
            lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept)
            write_bytes(self.path / file, lines.encode())

    @contextmanager
    def training(self) -> Iterator[None]:
        """Hold the run while it is trained; the hold ends with the process, however it ends.

        Raises:
            RunError: another process is training it.
        """
        with (self.path / LOCK).open("w") as handle:
            if not any(map(_locked, repeat(handle, LOCK_TRIES))):
                raise RunError(f"{self.path} is being trained by another process; wait for it, or stop it.")
            yield

    @property
    def is_training(self) -> bool:
        """Whether a process is training this run now."""
        path = self.path / LOCK
        if not path.is_file():
            return False
        with path.open() as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def state(self, last: Mapping[str, Any]) -> str:
        """What became of the training, given the last record of its history (an empty one where there is none).

        Returns:
            "training" now, "finished", "failed", or "interrupted": it can go on.
        """
        if self.is_training:
            return "training"
        if last.get("event") != "end" or last.get("reason") == "interrupted":
            return "interrupted"
        return "failed" if last.get("reason") == "failed" else "finished"

    def _checkpoint(self, step: int) -> Path:
        return self.path / "checkpoints" / f"step-{step:08d}"

    def _json(self, file: str) -> Any:
        path = self.path / file
        try:
            if path.stat().st_size > LARGEST_JSON:
                raise RunError(f"{path} has {path.stat().st_size:,} bytes; at most {LARGEST_JSON:,} are read.")
            return _parsed(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror or error}.") from error
        except (ValueError, RecursionError) as error:
            if isinstance(error, RunError):
                raise
            raise RunError(
                f"{path} is not JSON ({error}); is it damaged? Bring it back, or start a new run."
            ) from error


def find_runs(places: list[Path]) -> list[Run]:
    """The runs among directories: each that is a run, and the runs directly inside each that is not."""
    found: dict[Path, Run] = {}
    for place in places:
        candidates = [place] if Run(place).exists else sorted(place.glob("*/")) if place.is_dir() else []
        for candidate in candidates:
            if Run(candidate).exists:
                found.setdefault(candidate.resolve(), Run(candidate))
    return list(found.values())


def _save(path: Path, tensors: Mapping[str, Tensor], step: int) -> None:
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(plain, {"step": str(step), "format": "pt"}))


def _load(path: Path, expected: Mapping[str, tuple[int, ...]] | None) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file, after its names, shapes and numbers were found to be what they should be.

    Raises:
        RunError: they are not, or the file is truncated or damaged.
    """
    advice = "Copy the file anew; the folders in checkpoints/ hold the weights of earlier steps."
    try:
        with safe_open(path, "pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            about = dict(file.metadata() or {})
        if expected is not None and shapes != dict(expected):
            wrong = sorted({*shapes.items()} ^ {*expected.items()})[0][0]
            raise RunError(
                f"{path} does not fit its network.json: {wrong} is {shapes.get(wrong, 'missing')}, expected "
                f"{expected.get(wrong, 'no such weight')}. The two files are of different runs."
            )
        tensors = load(path.read_bytes())
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path} is truncated or damaged ({error}). {advice}") from error
    if expected is not None and not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise RunError(f"{path} holds numbers that are not finite: its training failed. {advice}")
    return tensors, about


def _locked(handle: IO[str]) -> bool:
    """Whether the lock could be taken. `is_training` holds it for an instant, which is no reason to give up."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.01)
        return False
    return True


def _parsed(text: str) -> Any:
    """JSON, without the numbers that Python reads and nobody else does."""
    return json.loads(text, parse_constant=_number, parse_float=_number)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number")
    return value


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
