"""Static sites: a folder with the page, the kernels, the playground and one data file per run, for any web host."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

from gatescope.explorer.live.container import LiveFileError
from gatescope.explorer.live.live_data import LiveRun, check_size, summary_in
from gatescope.explorer.live.page_file import GZIP_LEVEL, host_mark, sentence, source_hash
from gatescope.explorer.live.program import LIVE_FILES, STATIC, program
from gatescope.explorer.live.restoring import directory_name
from gatescope.explorer.playground import FILES as PLAYGROUND_FILES
from gatescope.explorer.playground import FOLDER as PLAYGROUND_FOLDER
from gatescope.explorer.playground import playground_file
from gatescope.files import FileError, read_regular, write_bytes
from gatescope.runs import Run
from gatescope.runs.records import finite, parse
from gatescope.version import __version__

INDEX, PAGE, EMBED = "runs.json", "index.html", "gatescope-embed.js"
DATA_FOLDER, DATA_SUFFIX = "runs", ".data"
MAX_INDEX_BYTES = 64 << 20
STYLE = (
    "@keyframes late{to{visibility:visible}}"
    "#gatescope-not-started{font:16px/1.5 system-ui,sans-serif;margin:2rem;max-width:40rem;"
    "visibility:hidden;animation:late 0s 3s forwards}"
)
"""Shows a sentence if the page has not taken its place after 3 s, as from disk, where browsers start no module."""

POLICY = (
    f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' {source_hash(STYLE)}; "
    "img-src 'self' data: blob:; worker-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
BODY = '<div id="page">'
HEAD = '<meta charset="utf-8" />'
HOST = (
    f"{host_mark('site')}"
    f'    <meta http-equiv="Content-Security-Policy" content="{POLICY}" />\n'
    f"    <style>{STYLE}</style>"
)


@dataclass(frozen=True)
class Site:
    """A site that was written.

    Attributes:
        folder: its folder.
        program_bytes: the bytes of the page, the worker, the kernels and the tasks of the playground.
        data_bytes: name of a run -> the bytes of its data file.
    """

    folder: Path
    program_bytes: int
    data_bytes: Mapping[str, int]


def write_site(lives: Sequence[LiveRun], folder: str | PathLike[str], *, overwrite: bool = False) -> Site:
    """Write a static site. All addresses in it are relative, and it fetches its own files alone.

    Args:
        lives: the runs, in the order of the page.
        folder: the folder; it is made if it does not exist.
        overwrite: whether files of an earlier site in this folder may be replaced. Other files stay.

    Raises:
        LiveFileError: the folder is a run directory or has files that would be replaced, a run is too large, or a file
            cannot be written.
    """
    place = Path(folder)
    # A forgotten FOLDER makes the first run the folder.
    if Run(place).exists:
        raise LiveFileError("LIVE_SITE_IN_RUN", folder=place)
    named = _with_different_names(lives)
    files = {**_program_files(), **{f"{DATA_FOLDER}/{name}{DATA_SUFFIX}": _data(live) for name, live in named.items()}}
    index = {
        "version": __version__,
        "runs": [summary_in(live.data["run"]) for live in named.values()],
        "findings": [live.data.get("findings", []) for live in named.values()],
        "files": [f"{DATA_FOLDER}/{name}{DATA_SUFFIX}" for name in named],
    }
    files[INDEX] = json.dumps(finite(index), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    # The page comes last, so that a site that was written in part is not shown.
    files[PAGE] = files.pop(PAGE)
    earlier = _data_files_of(place)
    if not overwrite:
        check_free(place, (*files, *earlier))
    try:
        for inner in (DATA_FOLDER, PLAYGROUND_FOLDER):
            (place / inner).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_bytes(place / name, content)
        for name in earlier - set(files):
            (place / name).unlink(missing_ok=True)
    except FileError as error:
        raise LiveFileError(error.message) from error
    except OSError as error:
        raise LiveFileError("LIVE_SITE_UNWRITABLE", folder=place, reason=error.strerror or error) from error
    sizes = {live.data["run"]["name"]: len(files[f"{DATA_FOLDER}/{name}{DATA_SUFFIX}"]) for name, live in named.items()}
    return Site(place, sum(map(len, files.values())) - sum(sizes.values()), sizes)


def check_free(folder: Path, names: Iterable[str] = ()) -> None:
    """Refuse a folder with files that a site would replace.

    Args:
        folder: the folder; it need not exist.
        names: the files of the site. By default those that every site has.

    Raises:
        LiveFileError: one of the files exists.
    """
    for name in names or (PAGE, INDEX, EMBED):
        if (folder / name).exists():
            raise LiveFileError("LIVE_SITE_EXISTS", folder=folder, file=name)


def _with_different_names(lives: Sequence[LiveRun]) -> dict[str, LiveRun]:
    """Return file name -> run. A second run of the same name gets a number, on the page as well."""
    named: dict[str, LiveRun] = {}
    shown: set[str] = set()
    for live in lives:
        run, number = live.data["run"], 2
        name = run["name"]
        while name in shown:
            name, number = f"{run['name']} ({number})", number + 1
        shown.add(name)
        stem, number = directory_name(name), 2
        while stem.casefold() in map(str.casefold, named):
            stem, number = f"{directory_name(name)}-{number}", number + 1
        named[stem] = live.renamed(name)
    return named


def _data(live: LiveRun) -> bytes:
    content = live.container().to_bytes()
    check_size(live, content)
    return gzip.compress(content, GZIP_LEVEL, mtime=0)


def _program_files() -> dict[str, bytes]:
    """Return the files of the page, its document with the policy of a site."""
    program()  # refuses a page that was not built
    files = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir()) if path.name not in LIVE_FILES}
    document = files[PAGE].decode("utf-8")
    notice = f'<p id="gatescope-not-started">{sentence("LIVE_SITE_NOT_STARTED")}</p>'
    document = document.replace(HEAD, f"{HEAD}\n    {HOST}").replace(BODY, f"{BODY}{notice}")
    files[PAGE] = document.encode("utf-8")
    return files | {f"{PLAYGROUND_FOLDER}/{name}.json": playground_file(name) for name in PLAYGROUND_FILES}


def _data_files_of(place: Path) -> set[str]:
    """Return the data files of an earlier site in a folder."""
    try:
        index: Any = parse(read_regular(place / INDEX, MAX_INDEX_BYTES).decode("utf-8"))
        names = index["files"]
    except (FileError, ValueError, RecursionError, KeyError, TypeError):
        return set()
    plain = {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()
    # A list that someone changed must not name a file outside of the site.
    return {
        name
        for name in plain
        if PurePosixPath(name).parts == (DATA_FOLDER, PurePosixPath(name).name) and name.endswith(DATA_SUFFIX)
    }
