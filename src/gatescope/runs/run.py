"""The run directory: everything that a training writes, readable at any moment and without the author's code.

    runs/<name>/
      network.json          the configuration of the network, equations included
      task.json             the task
      training.json         the settings of the training
      weights.safetensors   the best weights so far; their step is in the metadata
      history.jsonl         one record of the training a line
      samples.jsonl         texts that the network wrote during training
      text.txt              the text of a run that was trained in the page
      studies/              the tables of studies
      findings.json, tags.json   written on the page
      checkpoints/step-XXXXXXXX/   weights; the last checkpoint also has the state of the optimizer

Every file is written beside its place, synced and renamed, or appended a line at a time. A half-written last line,
which a killed process may leave, is not read. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from gatescope.configuration import Configuration
from gatescope.display import fields_html
from gatescope.errors import GatescopeError
from gatescope.files import open_for_appending, read_regular, sync_folder, write_bytes, write_json
from gatescope.messages import Message
from gatescope.network import Network, expected_tensors
from gatescope.runs.record_lines import lines_of, remains_after
from gatescope.runs.records import finite, parse, record_of, shortened
from gatescope.runs.run_errors import RunError, description_errors, file_errors
from gatescope.runs.run_findings import Finding, read_findings
from gatescope.runs.states import WEIGHTS, state_of
from gatescope.runs.tags import read_tags
from gatescope.runs.tensors import largest_file, load_tensors, save_tensors
from gatescope.runs.training_lock import LOCK, hold_lock, is_locked
from gatescope.tasks import Task
from gatescope.tasks import load as load_task

MAX_JSON_BYTES = 64 << 20  # a vocabulary of all of Unicode takes 15 MB
MAX_STATE_BYTES = 1 << 30  # of the carried state in a checkpoint, which also has up to four copies of the weights
TASK_FORMAT = 1
HISTORY, SAMPLES = "history.jsonl", "samples.jsonl"
STUDIES = "studies"


@dataclass(frozen=True)
class Checkpoint:
    """Everything that training needs to resume exactly.

    Attributes:
        weights: name -> weight of the network.
        arrays: name -> array of the optimizer, of the carried state, or of the random state.
        progress: the JSON of `training.progress.Progress`: the step, the time spent, the best loss so far.
    """

    weights: Mapping[str, Tensor]
    arrays: Mapping[str, Tensor]
    progress: Mapping[str, Any]


class Run:
    """A run directory. Creating the object reads nothing.

    Args:
        path: the directory.
    """

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
        """The name of the directory."""
        return self.path.resolve().name

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], configuration: Configuration, task: Task, settings: Mapping[str, Any]
    ) -> Run:
        """Create a run directory.

        Args:
            path: the directory; it must not exist, or be empty.
            configuration: the network.
            task: the task.
            settings: the settings of the training.

        Raises:
            RunError: the directory is not empty, or cannot be written.
        """
        run = cls(path)
        if run.path.exists() and (not run.path.is_dir() or any(run.path.iterdir())):
            raise RunError("RUN_EXISTS" if run.exists else "RUN_PLACE_OCCUPIED", path=run.path)
        with file_errors(run.path):
            run.path.mkdir(parents=True, exist_ok=True)
            write_json(run.path / "task.json", {"format": TASK_FORMAT, **task.to_json()})
            write_json(run.path / "training.json", dict(settings))
            # network.json comes last, because a directory that has it is a run.
            write_json(run.path / "network.json", configuration.to_json())
        return run

    @property
    def exists(self) -> bool:
        """Whether the directory is a run."""
        return (self.path / "network.json").is_file()

    def configuration(self) -> Configuration:
        """Read the configuration of the network.

        Raises:
            RunError: the directory is not a run, or network.json is damaged or of a newer version.
        """
        if not (self.path / "network.json").exists():
            raise RunError("RUN_MISSING", path=self.path)
        with description_errors(self.path / "network.json"):
            return Configuration.from_json(self._json("network.json"))

    def task(self) -> Task:
        """Read the task.

        Raises:
            RunError: task.json is missing or damaged.
        """
        data = self._json("task.json")
        path = self.path / "task.json"
        if isinstance(data, dict):
            version = data.pop("format", TASK_FORMAT)
            if type(version) is not int or version < 1:
                raise RunError("RUN_FORMAT_INVALID", path=path, version=version)
            if version > TASK_FORMAT:
                raise RunError("RUN_FORMAT_NEWER", path=path, newest=TASK_FORMAT, version=version)
        with description_errors(path):
            return load_task(data, self.path)

    def settings(self) -> dict[str, Any]:
        """Read the settings of the training.

        Raises:
            RunError: training.json is missing or damaged.
        """
        settings = self._json("training.json")
        if not isinstance(settings, dict):
            raise RunError("RUN_SETTINGS_INVALID", path=self.path / "training.json")
        return settings

    def save_settings(self, settings: Mapping[str, Any]) -> None:
        """Replace the settings of the training, if they are different."""
        if settings != self.settings():
            with file_errors(self.path):
                write_json(self.path / "training.json", dict(settings))

    def network(self, checkpoint: int | None = None) -> tuple[Network, int]:
        """Read the network and its weights.

        Args:
            checkpoint: the step of a checkpoint; None: the best weights so far.

        Returns:
            The network, and the step of its weights.

        Raises:
            RunError: the weights are missing or damaged, or do not fit the configuration.
        """
        configuration = self.configuration()
        path, missing = self.weights_path(checkpoint)
        with file_errors(path, missing):
            weights, step = load_tensors(path, self.path, expected_tensors(configuration))
        network = Network(configuration, seed=None)
        network.load_state_dict(weights)
        network.eval()
        return network, checkpoint or 0 if step is None else step

    def weights_path(self, checkpoint: int | None = None) -> tuple[Path, Message]:
        """Return the path of the best weights or of those of a checkpoint, and the message for a missing file.

        Raises:
            RunError: there is no such checkpoint.
        """
        steps = self.checkpoints()
        listed = ", ".join(map(str, steps)) or "none"
        if checkpoint is None:
            return self.path / WEIGHTS, Message("RUN_WEIGHTS_MISSING", path=self.path, checkpoints=listed)
        missing = Message("RUN_CHECKPOINT_MISSING", path=self.path, step=checkpoint, checkpoints=listed)
        if checkpoint not in steps:
            raise RunError(missing)
        return self._checkpoint(checkpoint) / WEIGHTS, missing

    def weights_mark(self) -> str:
        """Return a fingerprint of the best weights: the first 16 digits of the SHA-256 of their file.

        Raises:
            RunError: the weights are missing, or cannot be read.
        """
        path, expected = self.path / WEIGHTS, expected_tensors(self.configuration())
        with file_errors(path, Message("RUN_WEIGHTS_MISSING", path=self.path, checkpoints="not listed")):
            return hashlib.sha256(read_regular(path, largest_file(expected), inside=self.path)).hexdigest()[:16]

    def save_weights(self, weights: Mapping[str, Tensor], step: int) -> None:
        """Replace the best weights.

        Args:
            weights: name -> weight.
            step: the step of the weights.

        Raises:
            RunError: the file cannot be written.
        """
        with file_errors(self.path / WEIGHTS):
            save_tensors(self.path / WEIGHTS, weights, step)

    def checkpoints(self) -> list[int]:
        """Return the steps of the complete checkpoints, in ascending order."""
        folders = [folder for folder in (self.path / "checkpoints").glob("step-*") if (folder / WEIGHTS).exists()]
        names = [re.fullmatch(r"step-([0-9]{8,18})", folder.name) for folder in folders]
        return sorted({int(name[1]) for name in names if name and self._checkpoint(int(name[1])).name == name[0]})

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint; earlier checkpoints then keep their weights only.

        Raises:
            RunError: the checkpoint cannot be written. An earlier one can still be resumed from.
        """
        step = int(checkpoint.progress["step"])
        folder, partial = self._checkpoint(step), self.path / "checkpoints" / f".step-{step:08d}.tmp"
        if (folder / "progress.json").is_file():
            return  # training stopped where it had resumed: the checkpoint that it resumed from stays
        with file_errors(folder):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            save_tensors(partial / WEIGHTS, checkpoint.weights, step)
            save_tensors(partial / "optimizer.safetensors", checkpoint.arrays, step)
            write_json(partial / "progress.json", dict(checkpoint.progress))
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
            sync_folder(folder.parent)
            for earlier in self.checkpoints():
                if earlier != step:
                    (self._checkpoint(earlier) / "progress.json").unlink(missing_ok=True)
                    (self._checkpoint(earlier) / "optimizer.safetensors").unlink(missing_ok=True)

    def last_checkpoint(self) -> Checkpoint | None:
        """Read the checkpoint that training can resume from; None if it wrote none.

        Raises:
            RunError: the files of the checkpoint are damaged.
        """
        for step in reversed(self.checkpoints()):
            folder = self._checkpoint(step)
            if (folder / "progress.json").exists():
                expected = expected_tensors(self.configuration())
                largest = MAX_STATE_BYTES + 4 * largest_file(expected)
                with file_errors(folder):
                    weights, _ = load_tensors(folder / WEIGHTS, self.path, expected)
                    arrays, _ = load_tensors(folder / "optimizer.safetensors", self.path, None, largest)
                return Checkpoint(weights, arrays, self._json(f"checkpoints/{folder.name}/progress.json"))
        return None

    def study(self, name: str) -> Any:
        """Read what `save_study` wrote.

        Raises:
            RunError: the study is missing or damaged.
        """
        return self._json(f"{STUDIES}/{name}.json")

    def has_study(self, name: str) -> bool:
        """Return whether the result of a study was saved."""
        return (self.path / STUDIES / f"{name}.json").is_file()

    def save_study(self, name: str, content: Mapping[str, Any]) -> None:
        """Write the result of a study.

        Args:
            name: the name of the study.
            content: a JSON object.

        Raises:
            RunError: the file cannot be written.
        """
        with file_errors(self.path / STUDIES):
            (self.path / STUDIES).mkdir(exist_ok=True)
            write_json(self.path / STUDIES / f"{name}.json", dict(content))

    def append(self, file: str, record: Mapping[str, Any]) -> None:
        """Append a record to history.jsonl or samples.jsonl; NaN and infinite numbers become null.

        Raises:
            RunError: the file cannot be written. Half of a line, which a full disk may leave, is not read.
        """
        line = json.dumps(finite(record), ensure_ascii=False, allow_nan=False) + "\n"
        with file_errors(self.path / file), open_for_appending(self.path / file) as handle:
            handle.write(line.encode())

    def read(self, file: str) -> list[dict[str, Any]]:
        """Return the records of history.jsonl or samples.jsonl; other lines are skipped.

        Raises:
            RunError: the file cannot be read, or is too large.
        """
        return [record for record in map(record_of, lines_of(self.path / file)) if record is not None]

    def remove_records_after(self, step: int) -> None:
        """Remove the records after a checkpoint that training resumes from, and the record of how training ended.

        A line that is not a record stays, except half of a line at the end, which a killed process may leave.
        """
        for file in (HISTORY, SAMPLES):
            lines = lines_of(self.path / file)
            remaining = [line for line in lines if remains_after(line, step)]
            if remaining != lines:
                with file_errors(self.path / file):
                    write_bytes(self.path / file, b"".join(remaining))

    @contextmanager
    def training(self) -> Iterator[None]:
        """Lock the run while it is trained. The lock ends with the process, however it ends.

        Raises:
            RunError: another process is training the run, or the lock file cannot be written.
        """
        with file_errors(self.path / LOCK):
            lock = hold_lock(self.path / LOCK)
            free = lock.__enter__()
        try:
            if not free:
                raise RunError("RUN_IN_TRAINING", path=self.path)
            yield
        finally:
            lock.__exit__(None, None, None)

    @property
    def is_training(self) -> bool:
        """Whether a process is training this run now."""
        return is_locked(self.path / LOCK)

    def state(self, last: Mapping[str, Any]) -> str:
        """Return the state of the training; see `state_of`.

        Args:
            last: the last record of the history; empty if the history is empty.
        """
        return state_of(self.path, last)

    def findings(self) -> list[Finding]:
        """Read the findings that were kept on the page, in their order.

        Raises:
            RunError: findings.json cannot be read, is damaged or of a newer version.
        """
        return read_findings(self.path)

    def tags(self) -> list[str]:
        """Read the tags that were given on the page.

        Raises:
            RunError: tags.json cannot be read, is damaged or of a newer version.
        """
        return read_tags(self.path)

    def _checkpoint(self, step: int) -> Path:
        return self.path / "checkpoints" / f"step-{step:08d}"

    def _json(self, file: str) -> Any:
        path = self.path / file
        with file_errors(path, Message("RUN_FILE_MISSING", path=path)):
            content = read_regular(path, MAX_JSON_BYTES, inside=self.path)
        try:
            return parse(content.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise RunError("RUN_JSON_INVALID", path=path, reason=shortened(error).rstrip(".")) from error


def check_run(run: Any) -> None:
    """Check that an argument is a run, not its name or its path.

    Raises:
        RunError: it is something else.
    """
    if not isinstance(run, Run):
        raise RunError("RUN_TYPE_INVALID", type=type(run).__name__)
