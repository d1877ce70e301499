"""`gatescope tasks`: list the tasks."""

from __future__ import annotations

from gatescope.cli.app import LIST_GROUP, command
from gatescope.cli.options import Json
from gatescope.cli.output import print_json, print_message, print_table


@command(LIST_GROUP)
def tasks(*, json: Json = False) -> None:
    """List the tasks, with the network that is recommended for each task."""
    from gatescope.tasks import TASKS

    if json:
        print_json(
            [
                {"name": task.name, "title": task.title, "question": task.question, **vars(task.settings)}
                for task in TASKS.values()
            ]
        )
        return
    rows = [(task.name, " + ".join(map(str, task.settings.layers)), task.question) for task in TASKS.values()]
    print_table(("task", "neurons", "question"), rows)
    print()
    print_message("TASKS_ADVICE")
