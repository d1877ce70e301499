"""`gatescope explore`: the page in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gatescope.cli.app import LOOK, command
from gatescope.cli.common import RUNS, UsageError

Port = Annotated[int, Parameter(help="Where to listen on 127.0.0.1; 0 for any free port.")]
NoBrowser = Annotated[bool, Parameter(negative="", show_default=False, help="Only print the address.")]
PORT = 8791


@command(
    LOOK,
    "[RUN|DIR...] [OPTIONS]",
    "gatescope explore                              # all runs in ./runs",
    "gatescope explore runs/counter --no-browser",
    "gatescope explore runs more/runs --port 0      # two folders of runs, any free port",
)
def explore(*places: Path, port: Port = PORT, no_browser: NoBrowser = False) -> None:
    """Look inside networks in the browser: every gate of every neuron, on any text you type.

    The page is served on 127.0.0.1 only and needs no network; runs that appear or go on training are followed.

    Parameters
    ----------
    places
        Run directories, names of runs in ./runs, and folders of runs; ./runs when none is given.
    """
    if not places and not RUNS.is_dir():
        raise UsageError("EXPLORE_FOLDER_HERE_TRAIN_SOMETHING", runs=RUNS)
    from gatescope.explorer import serve

    try:
        serve([_place(given) for given in places] or [RUNS], port=port, open_browser=not no_browser, announce=announce)
    except KeyboardInterrupt:  # how one leaves it
        print("\nstopped")


def _place(given: Path) -> Path:
    """A path, or the run of this name in ./runs."""
    return RUNS / given if not given.exists() and (RUNS / given).is_dir() else given


def announce(address: str) -> None:
    """Say where the page is."""
    print(f"gatescope is at {address} (stop with Ctrl-C)", flush=True)
