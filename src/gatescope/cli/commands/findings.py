"""`gatescope findings`: list the views of a run that somebody kept on the page."""

from __future__ import annotations

from gatescope.cli.app import LIST_GROUP, command
from gatescope.cli.commands.explore import DEFAULT_PORT
from gatescope.cli.options import Flag, Json, RunName
from gatescope.cli.output import print_json, print_message, print_table, visible
from gatescope.cli.subject import find_run

MAX_SHOWN_CHARACTERS = 40  # of a text


@command(LIST_GROUP)
def findings(run: RunName, /, *, markdown: Flag = False, json: Json = False) -> None:
    """List the views of a run that somebody kept on the page, each with its sentence."""
    from gatescope.explorer.star_markdown import markdown as as_markdown
    from gatescope.explorer.star_markdown import place_of

    opened = find_run(run)
    views = opened.findings()
    if json:
        print_json([finding.to_json() for finding in views])
    elif markdown:
        print(as_markdown(opened.name, views, f"http://127.0.0.1:{DEFAULT_PORT}/"), end="")
    elif not views:
        print_message("FINDINGS_NONE", run=opened.path)
    else:
        rows = []
        for number, finding in enumerate(views, 1):
            text = finding.view.get("text", "")
            shown = visible(text if isinstance(text, str) else "")
            cut = shown if len(shown) <= MAX_SHOWN_CHARACTERS else f"{shown[:MAX_SHOWN_CHARACTERS]}…"
            rows.append((str(number), finding.sentence, ", ".join(place_of(finding)), cut, finding.created[:10]))
        print_table(("", "finding", "place", "text", "kept"), rows, right=("",))
