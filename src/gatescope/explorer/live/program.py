"""The program of a live file, as built from web/: the page with all that it needs, packed, and what unpacks it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatescope.explorer.live.container import LiveFileError

STATIC = Path(__file__).parent.parent / "static"


@dataclass(frozen=True)
class Program:
    """The built files of the page, as bytes.

    Attributes:
        boot: the script that unpacks the others and starts the page; classic, short, and old in its syntax.
        unpack: the script that unpacks the program, classic.
        packed: the page, its style sheet, its worker, the kernels and the Chinese sentences (see web/live/unpack.ts).
        icon: the icon, SVG.
        notices: the licences of what is bundled.
    """

    boot: bytes
    unpack: bytes
    packed: bytes
    icon: bytes
    notices: bytes


FILES = {
    "boot": "boot.js",
    "unpack": "unpack.js",
    "packed": "live-program.lzma",
    "icon": "icon.svg",
    "notices": "THIRD_PARTY.md",
}
"""Field of Program -> file in the folder of the built page."""

WIDGET = "widget.js"
LIVE_FILES = frozenset({FILES["boot"], FILES["unpack"], FILES["packed"], WIDGET})
"""The files of the built page that live files and widgets alone have; a server and a site have several scripts."""


def program(folder: Path = STATIC) -> Program:
    """Read the program.

    Args:
        folder: the folder of the built page.

    Raises:
        LiveFileError: a file is missing, because the page was not built.
    """
    try:
        return Program(**{field: (folder / name).read_bytes() for field, name in FILES.items()})
    except OSError as error:
        raise LiveFileError("LIVE_PROGRAM_MISSING", file=error.filename) from error
