"""Run directories made of live files."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load as load_arrays

from gatescope.configuration import Configuration
from gatescope.errors import GatescopeError
from gatescope.explorer.live.container import Container, damaged
from gatescope.explorer.live.data_block import read_live_file
from gatescope.explorer.live.portable_task import has_corpus
from gatescope.files import write_bytes
from gatescope.messages import Message
from gatescope.runs import HISTORY, SAMPLES, WEIGHTS, Finding, Run, RunError
from gatescope.runs.records import finite, is_count
from gatescope.runs.run_errors import description_errors, file_errors
from gatescope.runs.run_findings import MAX_FINDINGS, write_findings
from gatescope.studies.common.subjects import save as save_table
from gatescope.studies.common.table import Table
from gatescope.tasks import Adopted, load
from gatescope.training import stored_settings

MAX_RUNS = 64
MAX_CHECKPOINTS = 1_000
MAX_RECORDS = 100_000
MAX_STEP = 10**12
MAX_NAME_CHARACTERS = 60
TABLES = ("labels", "ablation", "health", "saturation")
END_REASONS = ("finished", "interrupted", "failed")
PARTIAL = ".partial"


def restore(path: str | os.PathLike[str], place: str | os.PathLike[str]) -> Run:
    """Make a run directory of the first run of a live file.

    Args:
        path: the HTML file.
        place: the run directory; it must not exist, or be empty.

    Returns:
        The run, with the weights, the history, the samples, the checkpoints and the tables of the file. If the task of
        the run had files, it has the task of an adopted network, with the texts of the file.

    Raises:
        LiveFileError: the file is no live file, damaged or of a newer version.
        RunError: the directory is not empty or cannot be written, or the run in the file cannot be used.
    """
    return _restore(read_live_file(path), 0, Path(path), Path(place))


def restore_all(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> list[Run]:
    """Make a run directory of every run of a live file.

    Args:
        path: the HTML file.
        folder: an existing folder, in which the directories have the names of the runs.

    Raises:
        LiveFileError, RunError: as for `restore`.
    """
    container = read_live_file(path)
    runs = []
    for number, entry in enumerate(_entries(container, str(path))):
        name = directory_name(_name_in(entry.get("run")))
        place = Path(folder) / (name if not (Path(folder) / name).exists() else f"{name}-{number + 1}")
        runs.append(_restore(container, number, Path(path), place))
    return runs


def _entries(container: Container, file: str) -> list[dict[str, Any]]:
    entries = _objects(container.data.get("runs"), MAX_RUNS, file)
    if not entries:
        raise damaged(file, Message("LIVE_RUN_DAMAGED"))
    return entries


def _restore(container: Container, number: int, file: Path, place: Path) -> Run:
    entry = _entries(container, str(file))[number]
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise RunError("RUN_EXISTS" if Run(place).exists else "RUN_PLACE_OCCUPIED", path=place)
    partial = place.with_name(f".{place.name}{PARTIAL}")
    with file_errors(place):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            _write(Run(partial), entry, container.parts, file)
            if place.exists():
                place.rmdir()
            partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return Run(place)


def _write(run: Run, entry: Mapping[str, Any], parts: Sequence[bytes], file: Path) -> None:
    """Write the files of a run, and read those with checks of their own once, so that a damaged run is refused."""
    described, training = entry.get("run"), entry.get("training")
    if not isinstance(described, dict) or not isinstance(training, dict):
        raise damaged(str(file), Message("LIVE_RUN_DAMAGED"))
    with description_errors(file):
        configuration, task = Configuration.from_json(entry.get("network")), load(entry.get("task"))
        # A task with files would read those of this machine that a stranger's file names.
        if has_corpus(task) and not isinstance(task, Adopted):
            raise damaged(str(file), Message("LIVE_TASK_WITH_FILES"))
        if task.vocabulary != configuration.vocabulary or task.readout != configuration.readout:
            raise damaged(str(file), Message("LIVE_TASK_OF_OTHER_NETWORK"))
        Run.create(run.path, configuration, task, training)
    weights = _part(entry.get("weights"), parts, file)
    write_bytes(run.path / WEIGHTS, weights)
    run.network()
    for checkpoint in _objects(entry.get("checkpoints"), MAX_CHECKPOINTS, str(file)):
        _write_checkpoint(run, checkpoint, parts, file)
    _write_records(run, described, file)
    _write_findings(run, entry.get("stars", []), file)
    stored_settings(run)
    # The tables of rounded weights were computed with the weights before rounding, so they are not those of this run.
    if all(weight.dtype == np.float32 for weight in load_arrays(weights).values()):
        _write_tables(run, entry.get("studies"))


def _write_checkpoint(run: Run, checkpoint: Mapping[str, Any], parts: Sequence[bytes], file: Path) -> None:
    step = checkpoint.get("step")
    if not isinstance(step, int) or not is_count(step) or step >= MAX_STEP:
        raise damaged(str(file), Message("LIVE_RUN_DAMAGED"))
    folder = run.path / "checkpoints" / f"step-{step:08d}"
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / WEIGHTS, _part(checkpoint.get("weights"), parts, file))
    run.network(step)


def _part(number: object, parts: Sequence[bytes], file: Path) -> bytes:
    if not isinstance(number, int) or not is_count(number) or number >= len(parts):
        raise damaged(str(file), Message("LIVE_PARTS_DAMAGED"))
    return parts[number]


def _write_records(run: Run, described: Mapping[str, Any], file: Path) -> None:
    """Write history and samples; the last record of the history says how the training ended, and has the score."""
    history, samples = (_objects(described.get(name), MAX_RECORDS, str(file)) for name in ("history", "samples"))
    if described.get("state") in END_REASONS:
        end = {name: described.get(name) for name in ("step", "seconds", "problem", "score")}
        history = [*history, {**end, "event": "end", "reason": described["state"]}]
    for name, records in ((HISTORY, history), (SAMPLES, samples)):
        lines = (json.dumps(finite(record), ensure_ascii=False, allow_nan=False) for record in records)
        write_bytes(run.path / name, "".join(f"{line}\n" for line in lines).encode())


def _write_findings(run: Run, stars: object, file: Path) -> None:
    """Write the findings of a file, in which a stranger may have written anything."""
    entries = _objects(stars, MAX_FINDINGS, str(file))
    if not entries:
        return
    try:
        write_findings(run.path, [Finding.from_json(entry) for entry in entries])
        run.findings()
    except RunError as error:
        raise damaged(str(file), error.message) from error


def _write_tables(run: Run, studies: object) -> None:
    """Save the tables of the whole run."""
    for study in studies if isinstance(studies, list) else ():
        tables = study.get("result") if isinstance(study, dict) and study.get("stale") is False else None
        for name, table in tables.items() if isinstance(tables, dict) else ():
            if name in TABLES:
                with suppress(GatescopeError):  # a damaged table is computed again
                    save_table(run, name, Table.from_json(table))


def _objects(value: object, most: int, file: str) -> list[dict[str, Any]]:
    """Return a list of JSON objects.

    Raises:
        LiveFileError: the value is something else, or the list is longer than `most`.
    """
    if not isinstance(value, list) or len(value) > most or not all(isinstance(entry, dict) for entry in value):
        raise damaged(file, Message("LIVE_RUN_DAMAGED"))
    return value


def _name_in(described: object) -> str:
    name = described.get("name") if isinstance(described, dict) else None
    return name if isinstance(name, str) else ""


def directory_name(name: str) -> str:
    """Return a name for a file or directory: the name of a run, without what a file name cannot have.

    Args:
        name: the name of the run, which a stranger may have written.
    """
    return re.sub(r"[^\w.\- ]+", "_", name)[:MAX_NAME_CHARACTERS].strip("._ ") or "run"
