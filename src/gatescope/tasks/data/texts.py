"""Texts to apply a network to: one on each line, or a column of a table, with or without labels."""

from __future__ import annotations

import os
from pathlib import Path

from gatescope.errors import setting
from gatescope.messages import Message
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.labelled import JSON_LINES, LABEL_NAMES, TEXT_NAMES, read_json
from gatescope.tasks.data.tables import (
    MAX_FILE_BYTES,
    Fault,
    Rows,
    column_list,
    column_number,
    read_lines,
    read_rows,
    refuse,
    undecoded,
)

TABLES = (".csv", ".tsv", ".tab")


def read_texts(
    path: str | os.PathLike[str],
    text: str | int | None = None,
    *,
    skip_bad: bool = False,
    largest: int = MAX_FILE_BYTES,
    encoding: str | None = None,
) -> tuple[list[str], list[str]]:
    """Read the texts of a file: a column of a table (.csv, .tsv), a key of JSON lines, or else its lines.

    Args:
        path: the file.
        text: the column or key of the texts, by name or (in a table) by number from 1; None: found by its name, or the
            only one without labels.
        skip_bad: leave wrong lines out instead of refusing the file. An empty text is a wrong line of a table; empty
            lines of a plain file are never texts.
        largest: the most bytes that the file may have.
        encoding: of the file; None: UTF-8, or the encoding of its byte order mark.

    Returns:
        The texts, with one space for each run of white space, and a sentence about each line that was left out.

    Raises:
        TaskError: the file cannot be read, has no texts, or it is not clear which column has them.
    """
    suffix = Path(path).suffix.lower()
    faults: list[Fault] = []
    name: str | None = None
    if suffix in JSON_LINES:
        lines, name = _json_texts(path, text, largest, encoding, faults)
    elif suffix in TABLES:
        rows = read_rows(path, largest, encoding)
        faults += rows.faults
        column, named = _column(rows, text)
        name = rows.fields[0][column] if named else str(column + 1)
        lines = [(line, row[column]) for line, row in zip(rows.lines[named:], rows.fields[named:], strict=True)]
    else:
        lines = [(k, line) for k, line in enumerate(read_lines(path, largest, encoding), 1) if line.strip()]
    texts = []
    for line, value in lines:
        if (problem := undecoded(value)) is not None:
            faults.append(Fault(line, problem, name))
        elif value.strip():
            texts.append(" ".join(value.split()))
        else:
            faults.append(Fault(line, Message("FAULT_TEXT_EMPTY"), name))
    if not texts:
        faults.append(Fault(None, Message("FAULT_TEXTS_NONE")))
    if faults and not (skip_bad and texts):
        refuse(path, faults, can_skip=bool(texts))
    return texts, [str(fault) for fault in sorted(faults, key=lambda fault: fault.line or 0)]


def _column(rows: Rows, text: str | int | None) -> tuple[int, bool]:
    """Return the column of the texts, and whether the first row has the names of the columns."""
    if not rows.fields:
        refuse(rows.path, [*rows.faults, Fault(None, Message("FAULT_NO_ROWS"))])
    first = rows.fields[0]
    lower = [field.casefold() for field in first]
    named = any(name in (*TEXT_NAMES, *LABEL_NAMES) for name in lower)
    if text is not None:
        column, by_name = column_number(text, first, rows)
        return column, named or by_name
    columns = [k for k, name in enumerate(lower) if name in TEXT_NAMES]
    if len(columns) != 1:
        columns = [k for k, name in enumerate(lower) if not (named and name in LABEL_NAMES)]
    if len(columns) != 1:
        raise TaskError(
            "TEXTS_COLUMN_UNCLEAR",
            path=rows.path,
            columns=column_list(first, named),
            setting=setting("text", None),
        )
    return columns[0], named


def _json_texts(
    path: str | os.PathLike[str], text: str | int | None, largest: int, encoding: str | None, faults: list[Fault]
) -> tuple[list[tuple[int, str]], str | None]:
    """Return line and text of each object of JSON lines, and their key; wrong lines are added to the faults."""
    texts: list[tuple[int, str]] = []
    key = text
    for line, content in enumerate(read_lines(path, largest, encoding), 1):
        if not content.strip():
            continue
        value = read_json(content)
        if isinstance(value, Message):
            faults.append(Fault(line, value))
            continue
        if isinstance(value, dict) and key is None:
            keys = [name for name in value if name.casefold() in TEXT_NAMES]
            keys = keys or [name for name in value if name.casefold() not in LABEL_NAMES]
            if len(keys) != 1:
                names = ", ".join(map(repr, value))
                raise TaskError("TEXTS_KEY_UNCLEAR", path=path, line=line, keys=names, setting=setting("text", None))
            key = keys[0]
        part = value.get(key) if isinstance(value, dict) else value
        if isinstance(part, str):
            texts.append((line, part))
        else:
            faults.append(Fault(line, Message("FAULT_JSON_TEXT"), None if key is None else str(key)))
    return texts, None if key is None else str(key)
