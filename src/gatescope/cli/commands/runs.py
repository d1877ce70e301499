"""`gatescope runs`: list the runs in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gatescope.cli.app import LIST_GROUP, command
from gatescope.cli.options import Json
from gatescope.cli.output import harmless, print_json, print_message, print_table
from gatescope.cli.subject import RUNS
from gatescope.cli.usage import UsageError


@command(LIST_GROUP)
def runs(folder: Path = RUNS, /, *, json: Json = False) -> None:
    """List the runs in a folder with their task, network, state, step and score."""
    if not folder.is_dir():
        raise UsageError("RUNS_FOLDER_MISSING", folder=folder)
    from gatescope.explorer.gallery import Gallery

    summaries = Gallery([folder]).summaries()
    if json:
        print_json(summaries)
        return
    if not summaries:
        print_message("RUNS_NONE", folder=folder)
        return
    print_table(
        ("run", "task", "cell", "neurons", "state", "step", "loss", "score"),
        [_run_cells(summary) for summary in summaries],
        right=("step", "loss"),
    )
    for summary in summaries:
        for note in summary["notes"]:
            print(harmless(f"{summary['name']}: {note}"))


def _run_cells(summary: dict[str, Any]) -> tuple[str, ...]:
    loss, score = summary["loss"], summary["score"]
    return (
        summary["name"],
        summary["task"]["name"],
        summary["cell"]["name"],
        " + ".join(str(layer["neurons"]) for layer in summary["layers"]),
        summary["state"],
        f"{summary['step']:,}" if summary["task"]["name"] else "",
        "" if loss is None else f"{loss:.3f}",
        summary["problem"] or ("" if score is None else score["text"]),
    )
