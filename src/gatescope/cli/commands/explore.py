"""`gatescope explore`: open the explorer in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gatescope.cli.app import INSPECT_GROUP, command
from gatescope.cli.subject import RUNS
from gatescope.cli.usage import UsageError

Port = Annotated[int, Parameter(help="Port on 127.0.0.1. 0 takes any free port.")]
NoBrowser = Annotated[
    bool, Parameter(negative="", show_default=False, help="Print the address without opening a browser.")
]
DEFAULT_PORT = 8791


@command(
    INSPECT_GROUP,
    "[RUN|DIR...] [OPTIONS]",
    "gatescope explore                              # all runs in ./runs",
    "gatescope explore runs/counter --no-browser",
    "gatescope explore runs more/runs --port 0      # two folders of runs, any free port",
)
def explore(*places: Path, port: Port = DEFAULT_PORT, no_browser: NoBrowser = False) -> None:
    """Open the explorer: every gate of every neuron, on any text you type, in the browser.

    The explorer serves its page on 127.0.0.1 only and needs no internet connection. It shows new runs and runs in
    training as they change.

    Parameters
    ----------
    places
        Run directories, names of runs in ./runs, and folders of runs. Defaults to ./runs.
    """
    if not places and not RUNS.is_dir():
        raise UsageError("EXPLORE_NO_RUNS", runs=RUNS)
    from gatescope.explorer import serve

    try:
        serve(
            [_place_of(path) for path in places] or [RUNS],
            port=port,
            open_browser=not no_browser,
            announce=print_address,
        )
    except KeyboardInterrupt:  # the usual way to leave the explorer
        print("\nStopped.")


def _place_of(path: Path) -> Path:
    """Return an existing path, or the run of this name in ./runs."""
    return RUNS / path if not path.exists() and (RUNS / path).is_dir() else path


def print_address(address: str) -> None:
    """Print the address of the page."""
    print(f"gatescope is at {address} (press Ctrl-C to stop).", flush=True)
