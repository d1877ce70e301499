"""`gatescope runs`: list the runs in a folder."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from gatescope.cli.app import LIST_GROUP, command
from gatescope.cli.options import Json, RunsFolder
from gatescope.cli.output import harmless, localized, localized_title, print_json, print_message, print_table
from gatescope.cli.subject import RUNS
from gatescope.cli.usage import UsageError, unknown_name
from gatescope.messages import Message


@command(LIST_GROUP)
def runs(
    folder: RunsFolder = RUNS,
    /,
    *,
    tag: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    json: Json = False,
) -> None:
    """List the runs in a folder with their task, network, state, step, score and tags."""
    if not folder.is_dir():
        raise UsageError("RUNS_FOLDER_MISSING", folder=folder)
    from gatescope.explorer.gallery import Gallery

    summaries = Gallery([folder]).summaries()
    known = sorted({name for summary in summaries for name in summary["tags"]})
    for name in tag:
        if name not in known:
            raise unknown_name("Tag", name, known) if known else UsageError("RUNS_TAGS_NONE", folder=folder)
    summaries = [summary for summary in summaries if set(tag) <= set(summary["tags"])]
    if json:
        print_json(summaries)
        return
    if not summaries:
        print_message("RUNS_TAGGED_NONE" if tag else "RUNS_NONE", folder=folder)
        return
    columns, rows = ("run", "task", "cell", "neurons", "state", "step", "loss", "score"), map(_run_cells, summaries)
    if known:  # a column of its own once a run has a tag
        columns = (*columns, "tags")
        rows = ((*row, ", ".join(summary["tags"])) for row, summary in zip(rows, summaries, strict=True))
    print_table(columns, list(rows), right=("step", "loss"))
    for summary in summaries:
        for note in summary["notes"]:
            print(harmless(f"{summary['name']}: {note}"))


def _run_cells(summary: dict[str, Any]) -> tuple[str, ...]:
    loss, score = summary["loss"], summary["score"]
    sentence = "" if score is None else localized(Message.from_json(score.get("message")) or score["text"])
    return (
        summary["name"],
        summary["task"]["name"],
        summary["cell"]["name"],
        " + ".join(str(layer["neurons"]) for layer in summary["layers"]),
        localized_title("state", summary["state"]),
        f"{summary['step']:,}" if summary["task"]["name"] else "",
        "" if loss is None else f"{loss:.3f}",
        summary["problem"] or sentence,
    )
