"""Writing live files."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from gatescope.explorer.live.container import LiveFileError
from gatescope.explorer.live.live_data import LiveRun, check_size
from gatescope.explorer.live.page_file import PARTS, live_page, packed
from gatescope.explorer.live.program import Program, program
from gatescope.files import FileError, write_bytes


@dataclass(frozen=True)
class Sizes:
    """The bytes of a live file, part by part.

    Attributes:
        total: the whole file.
        page: the script and the style of the page.
        worker: the script of the worker.
        kernels: both WebAssembly modules.
        data: the data of the run.
        rest: the frame of the document, with the licences.
    """

    total: int
    page: int
    worker: int
    kernels: int
    data: int

    @property
    def rest(self) -> int:
        """The frame of the document, with the licences."""
        return self.total - self.page - self.worker - self.kernels - self.data


def write_live_file(live: LiveRun, path: str | PathLike[str]) -> Sizes:
    """Write a live file; an existing file is replaced.

    Args:
        live: the run.
        path: the HTML file.

    Raises:
        LiveFileError: the run is too large, the page was not built, or the file cannot be written.
    """
    built, data = program(), live.container().to_bytes()
    check_size(live, data)
    content = live_page(live.data["run"]["name"], data, built)
    try:
        write_bytes(Path(path), content)
    except FileError as error:
        raise LiveFileError(error.message) from error
    return _sizes(content, data, built)


def _sizes(content: bytes, data: bytes, built: Program) -> Sizes:
    sizes = {field: len(packed(getattr(built, field))) for field in PARTS}
    return Sizes(
        total=len(content),
        page=sizes["page"] + sizes["style"] + len(built.boot),
        worker=sizes["worker"],
        kernels=sizes["kernels"] + sizes["relaxed_kernels"],
        data=len(packed(data)),
    )
