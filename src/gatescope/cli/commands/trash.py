"""`gatescope trash`: list deleted runs, restore one, or remove them for good."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gatescope.cli.app import LIST_GROUP, command
from gatescope.cli.options import Flag, Json, RunsFolder
from gatescope.cli.output import harmless, phrase, print_json, print_message, print_table, shell_quoted
from gatescope.cli.subject import RUNS
from gatescope.cli.usage import UsageError


@command(LIST_GROUP)
def trash(
    folder: RunsFolder = RUNS,
    /,
    *,
    restore: Annotated[str | None, Parameter(metavar="NAME|ID")] = None,
    name: str | None = None,
    empty: Flag = False,
    yes: Flag = False,
    json: Json = False,
) -> int | None:
    """List the runs that were deleted on the page, restore one, or remove all of them for good."""
    from gatescope.runs.moves import deleted_runs, empty_trash, restore_run

    if not folder.is_dir():
        raise UsageError("RUNS_FOLDER_MISSING", folder=folder)
    if empty and restore is not None:
        raise UsageError("TRASH_RESTORE_AND_EMPTY")
    if name is not None and restore is None:
        raise UsageError("TRASH_NAME_WITHOUT_RESTORE")
    if yes and not empty:
        raise UsageError("TRASH_YES_WITHOUT_EMPTY")
    deleted = deleted_runs(folder)
    if restore is not None:
        restored = restore_run(folder, _entry_of(folder, restore), name)
        print_json({"run": str(restored)}) if json else print_message("TRASH_RESTORED", path=restored)
        return None
    if empty:
        if deleted and not yes and not _agrees(len(deleted), folder):
            print_message("TRASH_KEPT")
            return 1
        removed = empty_trash(folder)
        print_json({"removed": removed}) if json else print_message("TRASH_EMPTIED", count=removed)
        return None
    if json:
        print_json([run.to_json() for run in deleted])
    elif not deleted:
        print_message("TRASH_NONE", folder=folder)
    else:
        print_table(("run", "deleted", "id"), [(run.name, run.deleted, run.id) for run in deleted])
        last = deleted[0]
        where = "" if folder == RUNS else f" {shell_quoted(folder)}"
        print()
        print_message("NEXT_RESTORE", command=f"gatescope trash{where} --restore {shell_quoted(Path(last.name))}")
    return None


def _entry_of(folder: Path, name_or_id: str) -> str:
    """Return the id of the deleted run of a name, the last deleted one, or of an id.

    Raises:
        UsageError: no such run is in the trash.
    """
    from gatescope.cli.usage import unknown_name
    from gatescope.runs.moves import deleted_runs

    deleted = deleted_runs(folder)
    match = next((run for run in deleted if name_or_id in (run.name, run.id)), None)
    if match is not None:
        return match.id
    if not deleted:
        raise UsageError("TRASH_RESTORE_NOTHING", folder=folder)
    raise unknown_name("Deleted run", name_or_id, list(dict.fromkeys(run.name for run in deleted)))


def _agrees(count: int, folder: Path) -> bool:
    """Ask on the terminal whether runs are removed for good.

    Raises:
        UsageError: nobody can answer.
    """
    if not sys.stdin.isatty():
        raise UsageError("TRASH_EMPTY_UNASKED")
    question = harmless(phrase("TRASH_EMPTY_QUESTION", count=count, folder=folder))
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes", "是")
