"""`gatescope tasks`: list the tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gatescope.cli.app import LIST_GROUP, command
from gatescope.cli.options import Json
from gatescope.cli.output import localized_title, print_json, print_message, print_table
from gatescope.cli.usage import unknown_name

if TYPE_CHECKING:
    from gatescope.tasks import Task


@command(LIST_GROUP)
def tasks(name: Annotated[str | None, Parameter(name="TASK")] = None, /, *, json: Json = False) -> None:
    """List the tasks, with the network that is recommended for each task."""
    from gatescope.tasks import TASKS

    if name is not None:
        if name not in TASKS:
            raise unknown_name("Task", name, TASKS)
        if json:
            _print_bundle(TASKS[name])
        else:
            _print_task(TASKS[name])
        return
    if json:
        print_json(
            [
                {"name": task.name, "title": task.title, "question": task.question, **vars(task.settings)}
                for task in TASKS.values()
            ]
        )
        return
    rows = [(task.name, " + ".join(map(str, task.settings.layers)), _question(task)) for task in TASKS.values()]
    print_table(("task", "neurons", "question"), rows)
    print()
    print_message("TASKS_ADVICE")


def _print_task(task: type[Task]) -> None:
    print(f"{localized_title('task', task.name, task.title)} ({task.name})\n{_question(task)}\n")
    print_table(("setting", "recommended"), [(key, str(value)) for key, value in vars(task.settings).items()])
    print()
    print_message("TASKS_TRAIN", task=task.name)


def _question(task: type[Task]) -> str:
    return localized_title("question", task.name, task.question)


def _print_bundle(task: type[Task]) -> None:
    """Print the data of a task that has them without files."""
    from gatescope.tasks.base.strings import StringTask
    from gatescope.training import TrainingError, bundle

    if not issubclass(task, StringTask):
        raise TrainingError("BUNDLE_TASK_UNSUPPORTED", task=task.name)
    print_json(bundle(task()))
