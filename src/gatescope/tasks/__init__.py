"""Tasks for recurrent networks, each with its data, its score and its level of chance."""

from __future__ import annotations

from pathlib import Path

from gatescope.names import Catalogue, named_settings
from gatescope.tasks.addition import Addition
from gatescope.tasks.adopted import Adopted
from gatescope.tasks.base.task import Batch, Predict, Quantity, Recommended, Score, Task, TaskError
from gatescope.tasks.counting.copy_letters import Copy
from gatescope.tasks.counting.counter import Counter
from gatescope.tasks.counting.selective_counter import SelectiveCounter
from gatescope.tasks.counting.state_memoriser import StateMemoriser
from gatescope.tasks.forecasting.forecasting import Forecasting
from gatescope.tasks.languages.anbn import AnBn, AnBnCn
from gatescope.tasks.languages.dyck import Dyck1, Dyck2
from gatescope.tasks.languages.parity import Parity
from gatescope.tasks.sentiment.sentiment import Sentiment
from gatescope.tasks.tagging.tagging import Tagging
from gatescope.tasks.text import Text

_TASKS: tuple[type[Task], ...] = (
    Counter,
    SelectiveCounter,
    StateMemoriser,
    Copy,
    AnBn,
    AnBnCn,
    Dyck1,
    Dyck2,
    Parity,
    Addition,
    Forecasting,
    Sentiment,
    Tagging,
    Text,
)
TASKS: Catalogue[type[Task]] = Catalogue("Task", {task.name: named_settings(task) for task in _TASKS})
"""Name -> task. `TASKS["counter"]()`, `TASKS["text"](paths=["notes/"], bytes=False)`."""


def load(data: object, folder: Path | None = None) -> Task:
    """Return the task that `to_json` wrote.

    Args:
        data: the content of task.json.
        folder: its folder, in which relative paths of texts lie.

    Raises:
        TaskError: `data` does not describe a known task.
    """
    name = data.get("name") if isinstance(data, dict) else None
    tasks: dict[str, type[Task]] = {**TASKS, Adopted.name: Adopted}
    if not isinstance(name, str) or name not in tasks:
        raise TaskError("TASK_NAME_UNKNOWN", names=", ".join(tasks), name=name)
    if folder is not None and isinstance(data, dict) and isinstance(data.get("paths"), list):
        paths = [str(folder.absolute() / path) if isinstance(path, str) else path for path in data["paths"]]
        data = {**data, "paths": paths}
    return tasks[name].from_json(data)


__all__ = [
    "TASKS",
    "Addition",
    "Adopted",
    "AnBn",
    "AnBnCn",
    "Batch",
    "Copy",
    "Counter",
    "Dyck1",
    "Dyck2",
    "Forecasting",
    "Parity",
    "Predict",
    "Quantity",
    "Recommended",
    "Score",
    "SelectiveCounter",
    "Sentiment",
    "StateMemoriser",
    "Tagging",
    "Task",
    "TaskError",
    "Text",
    "load",
]
