"""The names of runs that the page may give: names that every system, shell and terminal takes as they are."""

from __future__ import annotations

import unicodedata

from gatescope.runs.run_errors import RunError

MAX_NAME_CHARACTERS = 100
MAX_NAME_BYTES = 200  # of UTF-8: file systems allow 255, and a file beside the run may add a suffix
RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{device}{n}" for device in ("com", "lpt") for n in range(1, 10))})
REFUSED = '/\\:*?"<>|'


def check_run_name(name: str) -> None:
    """Check that a text can be the name of a run.

    Args:
        name: the text.

    Raises:
        RunError: the name is empty, too long, hidden, reserved by Windows, begins like an option, or has a character
            that a path, a shell or a terminal reads as something else.
    """
    if not name or len(name) > MAX_NAME_CHARACTERS or len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise RunError("RUN_NAME_LENGTH", limit=MAX_NAME_CHARACTERS, count=len(name))
    for character in name:
        # C*: control, format, surrogate, private and unassigned; Z*: separators, of which the space alone is allowed.
        if character in REFUSED or (unicodedata.category(character)[0] in "CZ" and character != " "):
            raise RunError("RUN_NAME_CHARACTER", character=f"U+{ord(character):04X}", refused=REFUSED)
    if name[0] in ".-~ " or name[-1] in ". ":
        raise RunError("RUN_NAME_ENDS", name=name)
    if name.partition(".")[0].strip().lower() in RESERVED:
        raise RunError("RUN_NAME_RESERVED", name=name)
