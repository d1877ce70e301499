"""Live files: one HTML file with a network and everything that computes it in a browser; and reading such files."""

from gatescope.explorer.live.container import LiveFileError
from gatescope.explorer.live.data_block import is_live_file, read_live_file
from gatescope.explorer.live.live_data import LiveOptions, LiveRun, live_run
from gatescope.explorer.live.live_file import Sizes, write_live_file
from gatescope.explorer.live.restoring import restore, restore_all
from gatescope.explorer.live.site import Site, write_site

__all__ = [
    "LiveFileError",
    "LiveOptions",
    "LiveRun",
    "Site",
    "Sizes",
    "is_live_file",
    "live_run",
    "read_live_file",
    "restore",
    "restore_all",
    "write_live_file",
    "write_site",
]
