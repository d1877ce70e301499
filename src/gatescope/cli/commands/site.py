"""`gatescope site`: write a static site of several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gatescope.cli.app import EXCHANGE_GROUP, command
from gatescope.cli.live import collect, live_options
from gatescope.cli.options import Flag, Json, use_threads
from gatescope.cli.output import format_file_size, print_json, print_message, shell_quoted
from gatescope.cli.subject import find_run
from gatescope.cli.usage import UsageError


@command(EXCHANGE_GROUP)
def site(
    folder: Annotated[Path, Parameter(name="FOLDER")],
    /,
    *runs: str,
    checkpoints: int | None = None,
    passages: int | None = None,
    without_text: Flag = False,
    findings: Flag = False,
    half: Flag = False,
    overwrite: bool = False,
    json: Json = False,
) -> None:
    """Write a static site of several runs, for any web host."""
    use_threads(1)
    from gatescope.explorer.live import write_site
    from gatescope.explorer.live.disclosure import Disclosure
    from gatescope.explorer.live.site import check_free

    if not runs:
        raise UsageError("SITE_RUNS_MISSING")
    if not overwrite:
        check_free(folder)
    options = live_options(checkpoints, passages, half=half, without_text=without_text, findings=findings)
    lives = collect([find_run(name) for name in runs], options, quiet=json)
    written = write_site(lives, folder, overwrite=overwrite)
    if json:
        leaves = [Disclosure.of(live).to_json() for live in lives]
        sizes = {"program": written.program_bytes, "runs": dict(written.data_bytes)}
        print_json({"folder": str(folder), "leaves": leaves, "sizes": sizes})
        return
    shown = ", ".join(f"{name} {format_file_size(size)}" for name, size in written.data_bytes.items())
    print_message("SITE_WRITTEN", folder=folder, program=format_file_size(written.program_bytes), data=shown)
    print()
    print_message("NEXT_LOOK_AT_SITE", command=f"python -m http.server --directory {shell_quoted(folder)}")
