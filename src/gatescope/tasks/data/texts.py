"""Texts to apply a network to: one a line, or a column of a table, with or without labels."""

from __future__ import annotations

import json
import os
from pathlib import Path

from gatescope.errors import setting
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.labelled import JSON_LINES, LABEL_NAMES, TEXT_NAMES
from gatescope.tasks.data.tables import (
    LARGEST,
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
    largest: int = LARGEST,
    encoding: str | None = None,
) -> tuple[list[str], list[str]]:
    """Read the texts of a file: a column of a table (.csv, .tsv), a key of JSON lines, or else its lines.

    Args:
        path: the file.
        text: the column or key of the texts, by name or (of a table) by number from 1; None: found by its name, or the
            only one that has no labels.
        skip_bad: leave wrong lines out instead of refusing the file. Empty texts are wrong lines of a table; empty
            lines of a plain file are never texts.
        largest: the most bytes the file may have.
        encoding: of the file; None: UTF-8, or what its byte order mark says.

    Returns:
        The texts, with one space for each run of white space, and a sentence for each line that was left out.

    Raises:
        TaskError: the file cannot be read, has no texts, or it is not clear which column has them.
    """
    suffix = Path(path).suffix.lower()
    faults: list[Fault] = []
    if suffix in JSON_LINES:
        found = _of_json_lines(path, text, largest, encoding, faults)
    elif suffix in TABLES:
        rows = read_rows(path, largest, encoding)
        faults += rows.faults
        column, named = _column(rows, text)
        found = [(line, row[column]) for line, row in zip(rows.lines[named:], rows.fields[named:], strict=True)]
    else:
        found = [(k, line) for k, line in enumerate(read_lines(path, largest, encoding), 1) if line.strip()]
    texts = []
    for line, value in found:
        if (wrong := undecoded(value)) is not None:
            faults.append(Fault(line, wrong))
        elif value.strip():
            texts.append(" ".join(value.split()))
        else:
            faults.append(Fault(line, "the text is empty"))
    if not texts:
        faults.append(Fault(None, "there are no texts"))
    if faults and not (skip_bad and texts):
        refuse(path, faults, can_skip=bool(texts))
    return texts, [str(fault) for fault in sorted(faults, key=lambda fault: fault.line or 0)]


def _column(rows: Rows, text: str | int | None) -> tuple[int, bool]:
    """Return the column of the texts, and whether the first row has the names of the columns."""
    if not rows.fields:
        refuse(rows.path, [*rows.faults, Fault(None, "there are no rows")])
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
            "TEXTS_COLUMN_TEXTS_NONE_NAME",
            path=rows.path,
            column_list=column_list(first, named),
            setting=setting("text", None),
        )
    return columns[0], named


def _of_json_lines(
    path: str | os.PathLike[str], text: str | int | None, largest: int, encoding: str | None, faults: list[Fault]
) -> list[tuple[int, str]]:
    """Return line and text of each object of a file of JSON lines."""
    found, key = [], text
    for number, line in enumerate(read_lines(path, largest, encoding), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            faults.append(Fault(number, "the line is no JSON"))
            continue
        if isinstance(value, dict) and key is None:
            names = [name for name in value if name.casefold() in TEXT_NAMES]
            names = names or [name for name in value if name.casefold() not in LABEL_NAMES]
            if len(names) != 1:
                raise TaskError(
                    "TEXTS_KEY_TEXTS_NONE_NAME",
                    path=path,
                    map=", ".join(map(repr, value)),
                    setting=setting("text", None),
                )
            key = names[0]
        content = value.get(key) if isinstance(value, dict) else value
        if isinstance(content, str):
            found.append((number, content))
        else:
            faults.append(Fault(number, f"there is no text under {key!r}" if key is not None else "there is no text"))
    return found
