"""The task, the name and the directory of a new run, from the arguments of a command."""

from __future__ import annotations

import glob
import inspect
import re
from collections.abc import Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatescope.cli.subject import RUNS
from gatescope.cli.train_options import DataOptions
from gatescope.cli.usage import UsageError

if TYPE_CHECKING:
    from gatescope.tasks import Task
    from gatescope.vocabulary import Vocabulary

COLUMN_OPTIONS = ("text", "label", "dates")
LIST_OPTIONS = ("columns", "target", "names")


def task_for(what: Sequence[str], data: DataOptions, vocabulary: Vocabulary | None = None) -> Task:
    """Return the task that the arguments of a command name.

    Args:
        what: the name of a task and paths of its files, or only paths of texts; not empty.
        data: options of the task.
        vocabulary: the vocabulary of a network that is trained further on another text.

    Raises:
        GatescopeError: no such task or file exists, or an option does not apply to the task.
    """
    from gatescope.tasks import TASKS

    name, *paths = what
    if name not in TASKS:
        name, paths = "text", [name, *paths]
    task_settings = _settings_of(TASKS[name])
    settings: dict[str, Any] = {
        option: _setting_value(option, value)
        for option, value in asdict(data).items()
        if value is not None and value is not False
    }
    if vocabulary is not None and "vocabulary" in task_settings:
        settings["vocabulary"] = vocabulary
    for option in settings:
        if option not in task_settings:
            tasks = [task_name for task_name, task in TASKS.items() if option in _settings_of(task)]
            raise UsageError(
                "TRAIN_OPTION_NOT_OF_TASK", option=option.replace("_", "-"), task=name, tasks=", ".join(tasks)
            )
    if "paths" not in task_settings:
        if paths:
            raise UsageError("TRAIN_TASK_WITHOUT_FILES", task=name, files=" ".join(paths))
        return TASKS[name](**settings)
    for path in paths:
        if not Path(path).expanduser().exists() and not glob.has_magic(path):
            raise _unknown_task(path, TASKS if len(what) == 1 else ())
    return TASKS[name](paths or None, **settings)


def _unknown_task(path: str, candidates: Sequence[str] | dict[str, Any]) -> UsageError:
    from gatescope.tasks import TASKS

    names = ", ".join(TASKS)
    if close := get_close_matches(path, list(candidates), n=1):
        return UsageError("TRAIN_TASK_UNKNOWN_CLOSE", path=path, tasks=names, close=close[0])
    return UsageError("TRAIN_TASK_UNKNOWN", path=path, tasks=names)


def _setting_value(option: str, value: Any) -> Any:
    """Convert the text of an option to a number of a column, a list of columns, three shares, or leave it as it is."""
    if option in COLUMN_OPTIONS and value.isdigit():
        return int(value)
    if option == "parts":
        return _parse_shares(value)
    return value.split(",") if option in LIST_OPTIONS else value


def _parse_shares(text: str) -> tuple[float, ...]:
    try:
        shares = tuple(map(float, text.split(",")))
    except ValueError:
        shares = ()
    if len(shares) != 3:
        raise UsageError("TRAIN_PARTS_FORM", parts=text)
    return shares


def _settings_of(task: type[Task]) -> set[str]:
    return set(inspect.signature(task).parameters)


def default_name(what: Sequence[str]) -> str:
    """Return the default name of a run: the task, or the first file or folder without its suffix."""
    from gatescope.tasks import TASKS

    path = next((word for word in what if word not in TASKS), what[0])
    wildcard = re.search(r"[*?[]", path) if glob.has_magic(path) else None
    # "notes/a*.txt" is named by its folder, "notes"; the "x" stands for the rest of the file name.
    named = path if wildcard is None else str(Path(path[: wildcard.start()] + "x").parent)
    stem = Path(named).expanduser().absolute().stem
    return re.sub(r"[^\w.-]+", "_", stem).strip("._") or "text"


def free_run_path(name: str) -> Path:
    """Return ./runs/name, or ./runs/name-2 and so on if ./runs/name exists."""
    return free_path(RUNS / name)


def free_path(path: Path) -> Path:
    """Return a path if it does not exist yet; otherwise the path with -2, -3 and so on, the first that is free."""
    free, number = path, 2
    while free.exists():
        free, number = path.with_name(f"{path.name}-{number}"), number + 1
    return free
