"""`gatescope explore`: open the explorer in the browser."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from gatescope.cli.app import INSPECT_GROUP, command
from gatescope.cli.live import explored_places
from gatescope.cli.options import Flag
from gatescope.cli.output import print_message
from gatescope.cli.subject import RUNS
from gatescope.cli.usage import UsageError

DEFAULT_PORT = 8791


@command(INSPECT_GROUP)
def explore(*places: Path, port: int = DEFAULT_PORT, no_browser: Flag = False) -> None:
    """Open the explorer: every gate of every neuron, on any text you type, in the browser."""
    if not places and not RUNS.is_dir():
        raise UsageError("EXPLORE_NO_RUNS", runs=RUNS)
    from gatescope.explorer import serve

    try:
        with TemporaryDirectory(prefix="gatescope-") as folder:
            serve(
                explored_places([_place_of(path) for path in places] or [RUNS], Path(folder)),
                port=port,
                open_browser=not no_browser,
                announce=print_address,
                copies=Path(folder),
            )
    except KeyboardInterrupt:  # the usual way to leave the explorer
        print()
        print_message("COMMAND_STOPPED")


def _place_of(path: Path) -> Path:
    """Return an existing path, or the run of this name in ./runs."""
    return RUNS / path if not path.exists() and (RUNS / path).is_dir() else path


def print_address(address: str) -> None:
    """Print the address of the page."""
    print_message("EXPLORE_ADDRESS", address=address)
