"""Tags of a run: short words that somebody gave it on the page, in tags.json of the run."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gatescope.files import write_json
from gatescope.runs.edited_json import FORMAT, edits, read_entries
from gatescope.runs.run_errors import RunError, file_errors

TAGS = "tags.json"
MAX_TAGS = 20
MAX_TAG_CHARACTERS = 40
MAX_TAGS_BYTES = 64 << 10  # of the file


def checked_tag(tag: Any) -> str:
    """Return a tag without white space around it.

    Args:
        tag: a JSON value.

    Raises:
        RunError: it is no text, empty or too long, or has a comma or a control character.
    """
    text = tag.strip() if isinstance(tag, str) else ""
    is_plain = not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in text)
    if not text or len(text) > MAX_TAG_CHARACTERS or "," in text or not is_plain:
        raise RunError("TAG_INVALID", limit=MAX_TAG_CHARACTERS)
    return text


def read_tags(run: Path) -> list[str]:
    """Return the tags of a run in their order.

    Args:
        run: the run directory.

    Raises:
        RunError: tags.json cannot be read, is too large, damaged or of a newer version.
    """
    path = run / TAGS
    entries = read_entries(path, "tags", MAX_TAGS_BYTES)
    try:
        tags = [checked_tag(entry) for entry in entries]
    except RunError as error:
        raise RunError("RUN_EDITS_DAMAGED", path=path, what="tags") from error
    if len(tags) > MAX_TAGS or len(set(tags)) < len(tags):
        raise RunError("RUN_EDITS_DAMAGED", path=path, what="tags")
    return tags


def change_tags(run: Path, add: Iterable[Any] = (), remove: Iterable[Any] = ()) -> list[str]:
    """Add tags to a run and remove others. A tag that is there already, or not there, changes nothing.

    Args:
        run: the run directory.
        add: the tags to add.
        remove: the tags to remove.

    Returns:
        The tags of the run.

    Raises:
        RunError: a tag cannot be given, there are too many, or the file cannot be written.
    """
    added, removed = [checked_tag(tag) for tag in add], {checked_tag(tag) for tag in remove}
    with edits(run):
        old = read_tags(run)
        tags = list(dict.fromkeys([*(tag for tag in old if tag not in removed), *added]))
        if len(tags) > MAX_TAGS:
            raise RunError("TAGS_TOO_MANY", limit=MAX_TAGS, count=len(tags))
        if tags != old:
            with file_errors(run / TAGS):
                write_json(run / TAGS, {"format": FORMAT, "tags": tags})
        return tags
