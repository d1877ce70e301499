"""The lines of history.jsonl and samples.jsonl, records or not."""

from __future__ import annotations

from pathlib import Path

from gatescope.runs.records import record_of
from gatescope.runs.run_errors import read_if_any

MAX_RECORDS_BYTES = 256 << 20  # of one file: a million records


def lines_of(path: Path) -> list[bytes]:
    """Return the lines of a file of records, with their line ends; none if the file does not exist.

    Raises:
        RunError: the file cannot be read, is too large, or lies outside its run directory.
    """
    return (read_if_any(path, MAX_RECORDS_BYTES) or b"").splitlines(keepends=True)


def remains_after(line: bytes, step: int) -> bool:
    """Return whether a line remains if training resumes from a checkpoint.

    A record of a later step and the record of how training ended do not remain, nor does half of a line at the end.
    Another line that is not a record does.
    """
    record = record_of(line)
    if record is None:
        return line.endswith(b"\n")
    return record.get("step", 0) <= step and record.get("event") != "end"
