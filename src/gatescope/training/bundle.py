"""A task as one JSON document, with which another program trains and scores a network. The page does.

The document has every string to train, validate and score on, the rules of the validation and the score, the network
that the task recommends, and the settings of its training. No generator and no score is then written twice.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

from gatescope.files import write_bytes
from gatescope.tasks import Task
from gatescope.tasks.base.task import HasData
from gatescope.training.recommended import recommended_network
from gatescope.training.settings import Settings, TrainingError

FORMAT = 1
MAX_COMPRESSED_BYTES = 128 << 10


def bundle(task: Task) -> dict[str, Any]:
    """Return a task as data.

    Args:
        task: a memory task, a formal language, or a small text.

    Returns:
        A JSON object; docs/browser.md lists its fields.

    Raises:
        TrainingError: the score of the task is not available as data, or the data are too large.
        TaskError: the data of the task are gone.
    """
    if not isinstance(task, HasData):
        raise TrainingError("BUNDLE_TASK_UNSUPPORTED", task=getattr(task, "name", type(task).__name__))
    data, recommended = task.task_data(), task.recommended
    settings = asdict(Settings.recommended(task))
    del settings["batches"]  # the reader of a bundle draws its own
    document = {
        "format": FORMAT,
        "task": task.name,
        "title": task.title,
        "question": task.question,
        "vocabulary": task.vocabulary.to_json(),
        "readout": task.readout.to_json(),
        **vars(data),
        "examples": task.examples(),
        "suggested": {
            "network": recommended_network(task).to_json(),
            "recipe": {
                **settings,
                "batch": recommended.batch,
                "unroll": recommended.unroll,
                "scores_while_training": bool(recommended.score_every),
            },
        },
    }
    size = len(_compressed(document))
    if size > MAX_COMPRESSED_BYTES:
        raise TrainingError("BUNDLE_TOO_LARGE", task=task.name, most=MAX_COMPRESSED_BYTES, size=size)
    return document


def write_bundle(path: str | PathLike[str], task: Task) -> None:
    """Write a task as JSON, in UTF-8.

    Args:
        path: the file; it is replaced.
        task: as in `bundle`.

    Raises:
        TrainingError: as in `bundle`.
        TaskError: as in `bundle`.
        FileError: the file cannot be written.
    """
    write_bytes(Path(path), _json(bundle(task)))


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _compressed(document: dict[str, Any]) -> bytes:
    return gzip.compress(_json(document), 9, mtime=0)
