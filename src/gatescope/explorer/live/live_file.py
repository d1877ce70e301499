"""Writing live files."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from gatescope.explorer.live.container import LiveFileError
from gatescope.explorer.live.live_data import LiveRun, check_size
from gatescope.explorer.live.page_file import packed, page_of
from gatescope.explorer.live.program import Program, program
from gatescope.files import FileError, write_bytes


@dataclass(frozen=True)
class Sizes:
    """The bytes of a live file, part by part.

    Attributes:
        total: the whole file.
        program: the page, its worker and the kernels.
        data: the data of the run.
        rest: the frame of the document, with the licences.
    """

    total: int
    program: int
    data: int

    @property
    def rest(self) -> int:
        """The frame of the document, with the licences."""
        return self.total - self.program - self.data


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
    block = packed(data)
    content = page_of(live.data["run"]["name"], block, len(data), built)
    try:
        write_bytes(Path(path), content)
    except FileError as error:
        raise LiveFileError(error.message) from error
    return _sizes(content, block, built)


def _sizes(content: bytes, block: str, built: Program) -> Sizes:
    scripts = len(built.boot) + len(packed(built.unpack))
    return Sizes(len(content), program=scripts + len(b64encode(built.packed)), data=len(block))
