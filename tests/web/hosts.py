"""The two hosts of the page: the local server, and a live file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gatescope.explorer.live import LiveOptions, live_run, write_live_file
from gatescope.runs import Run

HOSTS = ("server", "live")


def live_address(run: Path, folder: Path, **options: Any) -> str:
    """Write a live file of a run into a folder, and return its address.

    Args:
        run: the run directory.
        folder: the folder of the file.
        options: those of `LiveOptions`.
    """
    path = folder / f"{run.name}.html"
    write_live_file(live_run(Run(run), LiveOptions(**options)), path)
    return path.as_uri()


def address_of(host: str, start_server: Callable[[Path], str], runs: Path, folder: Path, **options: Any) -> str:
    """Return the address of the counter on one of the HOSTS; `options` are those of the live file."""
    return start_server(runs) if host == "server" else live_address(runs / "counter", folder, **options)
