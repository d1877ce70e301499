"""The program of a live file, as built from web/: the page, its worker, the kernels, the script that unpacks them."""

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
        page: the script of the page, a module without imports.
        style: the style sheet of the page.
        worker: the script of the worker that computes, classic.
        kernels: the WebAssembly module for every browser with SIMD.
        relaxed_kernels: the module for browsers with relaxed SIMD.
        icon: the icon, SVG.
        notices: the licences of what is bundled.
    """

    boot: bytes
    page: bytes
    style: bytes
    worker: bytes
    kernels: bytes
    relaxed_kernels: bytes
    icon: bytes
    notices: bytes


FILES = {
    "boot": "boot.js",
    "page": "explorer.js",
    "style": "explorer.css",
    "worker": "worker.js",
    "kernels": "kernels.wasm",
    "relaxed_kernels": "kernels-relaxed.wasm",
    "icon": "icon.svg",
    "notices": "THIRD_PARTY.md",
}
"""Field of Program -> file in the folder of the built page."""


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
