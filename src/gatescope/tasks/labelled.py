"""Texts with a label each, read from the files people have them in; what labels have to be to be learnt."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from gatescope.tasks.tables import (
    LARGEST,
    Fault,
    Rows,
    column_list,
    column_number,
    not_utf8,
    read_lines,
    read_rows,
    refuse,
    shown,
)
from gatescope.tasks.task import TaskError

TEXT_NAMES = ("text", "sentence", "review", "comment", "content", "phrase", "message", "tweet", "document", "utterance")
"""What a column of texts is called where nobody says which one it is."""

LABEL_NAMES = ("label", "sentiment", "class", "category", "target", "polarity", "tag", "rating")
"""What a column of labels is called where nobody says which one it is."""

_JSON_LINES = (".jsonl", ".ndjson")
_MANY_CLASSES = 20  # more classes than this must have two examples each, on average


@dataclass(frozen=True)
class LabelledTexts:
    """Texts, each with one of the classes.

    Arguments:
        texts: (N,) as in the file, newlines inside them included, without white space around them.
        labels: (N,) numbers of the classes.
        classes: the names of the classes, in the order of the alphabet or, where all are numbers, of the numbers.
        lines: (N,) the line of the file, from 1, at which each starts.
        skipped: the lines that were left out, each with the reason.
    """

    texts: tuple[str, ...]
    labels: Int[np.ndarray, " N"]
    classes: tuple[str, ...]
    lines: Int[np.ndarray, " N"]
    skipped: tuple[str, ...] = ()


def read_labelled(
    path: str | os.PathLike[str],
    text: str | int | None = None,
    label: str | int | None = None,
    classes: Sequence[str] | None = None,
    skip_bad: bool = False,
    largest: int = LARGEST,
) -> LabelledTexts:
    """The labelled texts of a table (CSV, TSV: any of comma, semicolon, tab) or of JSON lines (.jsonl, .ndjson).

    A table may do without a line of names where it has two columns: the one with fewer different values has the labels.

    Arguments:
        text, label: the columns, by name or by number (from 1); None: found by name, where that is clear.
        classes: the names the labels must be of, such as those of the texts trained on; None: those that occur.
        skip_bad: leave wrong lines out instead of refusing the file.
        largest: the most bytes the file may have.

    Raises: TaskError, which lists every line that cannot be used.
    """
    if Path(path).suffix.lower() in _JSON_LINES:
        rows = _json_rows(path, largest)
        named = True
    elif Path(path).suffix.lower() == ".json":
        raise TaskError(f"{path}: of JSON, files with one object a line are read; write it so, and call it .jsonl.")
    else:
        rows, named = read_rows(path, largest), False
    if not rows.fields:
        refuse(path, rows.faults or [Fault(None, "there are no rows")])
    text_column, label_column, named = _columns(rows, text, label, named)
    faults = list(rows.faults)
    kept: list[tuple[int, str, str]] = []
    for line, row in zip(rows.lines[named:], rows.fields[named:], strict=True):
        value, name = row[text_column], row[label_column]
        if not value:
            faults.append(Fault(line, "the text is empty"))
        if not name:
            faults.append(Fault(line, "there is no label"))
        elif classes is not None and name not in classes:
            faults.append(Fault(line, f"the label {shown(name)} is none of the classes {', '.join(classes)}"))
            continue
        if value and name:
            kept.append((line, value, name))
    skipped = judged(path, faults, skip_bad, (name for _, _, name in kept), classes)
    found = ordered({name for _, _, name in kept}) if classes is None else tuple(classes)
    number = {name: k for k, name in enumerate(found)}
    return LabelledTexts(
        tuple(value for _, value, _ in kept),
        np.array([number[name] for _, _, name in kept], dtype=np.int64),
        found,
        np.array([line for line, _, _ in kept], dtype=np.int64),
        skipped,
    )


def judged(
    path: str | os.PathLike[str],
    faults: list[Fault],
    skip_bad: bool,
    names: Iterable[str],
    classes: Sequence[str] | None,
) -> tuple[str, ...]:
    """What is skipped. Raises: TaskError for faults that are not, and for labels that cannot be learnt."""
    counts = Counter(names)
    serious: list[Fault] = []
    if not counts:
        serious.append(Fault(None, "nothing is left that could be used"))
    elif classes is None and len(counts) == 1:
        serious.append(Fault(None, f"every label is {shown(next(iter(counts)))}; there must be two classes at least"))
    elif classes is None and len(counts) > max(_MANY_CLASSES, counts.total() // 2):
        many = f"the {counts.total():,} labels have {len(counts):,} different values"
        serious.append(Fault(None, f"{many}, so they are no classes; name the column that has the labels"))
    if serious or (faults and not skip_bad):
        refuse(path, faults + serious, can_skip=True)
    return tuple(map(str, sorted(faults, key=lambda fault: fault.line or 0)))


def ordered(names: set[str]) -> tuple[str, ...]:
    """Classes in the order of the numbers they are, or else of the alphabet."""
    try:
        numbers = {name: float(name) for name in names}
    except ValueError:
        return tuple(sorted(names))
    if not all(map(math.isfinite, numbers.values())):
        return tuple(sorted(names))
    return tuple(sorted(names, key=lambda name: (numbers[name], name)))


# --- which column has what -------------------------------------------------------------------------------------------


def _columns(rows: Rows, text: str | int | None, label: str | int | None, named: bool) -> tuple[int, int, bool]:
    """The columns of the texts and of the labels, and whether the first row has the names of the columns."""
    first = rows.fields[0]
    lower = [field.casefold() for field in first]
    given: dict[str, int] = {}
    for what, column in (("text", text), ("label", label)):
        if column is not None:
            given[what], by_name = column_number(column, first, rows)
            named |= by_name
    found = {"text": [k for k, name in enumerate(lower) if name in TEXT_NAMES and k not in given.values()]}
    found["label"] = [k for k, name in enumerate(lower) if name in LABEL_NAMES and k not in given.values()]
    named |= bool(found["text"] or found["label"] or set(lower) & {*TEXT_NAMES, *LABEL_NAMES})
    for what, columns in found.items():
        if what not in given and named and len(columns) == 1:
            given[what] = columns[0]
    if len(given) == 1 and rows.width == 2:
        missing = "label" if "text" in given else "text"
        given[missing] = 1 - next(iter(given.values()))
    if not given and rows.width == 2 and not named:
        given = _by_content(rows)
    if len(given) < 2:
        missing = " and ".join(what for what in ("text", "label") if what not in given)
        raise TaskError(
            f"{rows.path} has the columns {column_list(first, named)}, and it is not clear which has the "
            f"{missing}; say so with {missing.replace(' and ', '=... and ')}=..., by name or by number."
        )
    if given["text"] == given["label"]:
        raise TaskError(f"Text and label are the same column of {rows.path}; it has {column_list(first, named)}.")
    if not named:
        _refuse_unknown_names(rows, given["label"])
    return given["text"], given["label"], named


def _by_content(rows: Rows) -> dict[str, int]:
    """Of two columns without names: the labels are where fewer different values are, else where they are shorter."""
    columns = list(zip(*rows.fields, strict=True))
    measure = [(len(set(column)), sum(map(len, column))) for column in columns]
    label = 0 if measure[0] < measure[1] else 1
    return {"label": label, "text": 1 - label}


def _refuse_unknown_names(rows: Rows, label: int) -> None:
    """Raises: TaskError where the first row looks like names of columns that nobody knows.

    The label of the first row occurs nowhere else and all other labels do: as a class it could not be learnt anyway.
    """
    counts = Counter(row[label] for row in rows.fields)
    first = rows.fields[0][label]
    if len(rows.fields) > 4 and counts.pop(first) == 1 and counts and min(counts.values()) > 1:
        raise TaskError(
            f"The first line of {rows.path} looks like names of columns ({column_list(rows.fields[0], named=True)}): "
            f"the label {shown(first)} occurs nowhere else; name the columns with text=... and label=..., or begin "
            "the file with a line of names."
        )


# --- JSON lines ------------------------------------------------------------------------------------------------------


def _json_rows(path: str | os.PathLike[str], largest: int) -> Rows:
    """JSON lines as rows, the names of all keys that occur first; values that are no text or number are faults."""
    objects: list[tuple[int, dict[str, Any]]] = []
    faults: list[Fault] = []
    for number, line in enumerate(read_lines(path, largest), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            faults.append(Fault(number, not_utf8(line) or f"not JSON: {error.msg} at character {error.pos + 1:,}"))
        except (ValueError, RecursionError):
            faults.append(Fault(number, "JSON that cannot be read: a number too long, or nested too deep"))
        else:
            if isinstance(value, dict):
                objects.append((number, value))
            else:
                faults.append(Fault(number, f"an object such as {{...}} was expected, not {shown(line.strip())}"))
    names = list(dict.fromkeys(name for _, row in objects for name in row))
    rows = Rows(Path(path), [names] if objects else [], [0] if objects else [], len(names), ",", faults)
    for number, row in objects:
        fields = [_json_field(row.get(name)) for name in names]
        wrong = next(filter(None, (not_utf8(field) for field in fields if field is not None)), None)
        if wrong:
            faults.append(Fault(number, wrong))
            continue
        rows.fields.append([field or "" for field in fields])
        rows.lines.append(number)
    return rows


def _json_field(value: Any) -> str:
    """A text, number or truth value as text; what is nothing, or is made of parts, is missing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, str | int | float):
        return str(value).strip()
    return ""
