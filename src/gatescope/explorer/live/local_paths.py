"""Removing the paths of this machine from what a live file says about a run.

Notes, errors and sources of a run name files by absolute paths, which show the user's name and folders. The name of the
file stays; its folders do not. Texts that a network reads are left as they are, because they are data.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HOME = "~"
_FILE_URL = re.compile(r"file://(?=/)")
# Not within a word, so that "and/or" stays, and not after a slash, so that the address of a web page stays.
_POSIX = re.compile(r"(?<![\w./~\\-])(?:~\w*|\.{1,2})?/(?:[^\s/:;,\"'`<>|()\[\]{}]+/)*(?=[^\s/:;,\"'`<>|()\[\]{}])")
_WINDOWS = re.compile(r"(?<![A-Za-z])(?:[A-Za-z]:[\\/]|\\\\)(?:[^\s\\/:;,\"'`<>|()\[\]{}]+[\\/])*")


class LocalPaths:
    """Removes folders from sentences.

    Args:
        paths: paths that may occur in them; they may contain spaces.
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        folders = {Path.home(), Path.cwd(), Path(tempfile.gettempdir())}
        for path in paths:
            folders |= {Path(path).parent, Path(path).expanduser().absolute().parent, Path(path).resolve().parent}
        self._home = str(Path.home())
        names = sorted({str(folder) for folder in folders} - {".", "/", ""}, key=len, reverse=True)
        self._folders = [name for name in names if Path(name).is_absolute() or name.startswith("~")]

    def removed(self, value: Any) -> Any:
        """Return a JSON value in which no string names a folder of this machine.

        Args:
            value: a string, a number, None, or lists and objects of these.
        """
        if isinstance(value, str):
            return self._removed_from(value)
        if isinstance(value, Mapping):
            return {self.removed(key): self.removed(entry) for key, entry in value.items()}
        return [self.removed(entry) for entry in value] if isinstance(value, list | tuple) else value

    def _removed_from(self, text: str) -> str:
        text = _FILE_URL.sub("", text)
        for folder in self._folders:
            # A folder whose name has spaces becomes one without, which the patterns then remove with its subfolders.
            text = text.replace(f"{folder}/", "/folder/").replace(f"{folder}\\", "\\\\folder\\")
            text = text.replace(folder, HOME if folder == self._home else Path(folder).name)
        return _POSIX.sub("", _WINDOWS.sub("", text))


def paths_in(value: Any) -> list[str]:
    """Return the strings in a JSON value that are paths as a whole: absolute, or below the home folder.

    Args:
        value: task.json.
    """
    if isinstance(value, str):
        return [value] if "\n" not in value and re.match(r"/[^/]|~|[A-Za-z]:[\\/]|\\\\", value) else []
    if isinstance(value, Mapping):
        value = list(value.values())
    return [path for entry in value for path in paths_in(entry)] if isinstance(value, list | tuple) else []
