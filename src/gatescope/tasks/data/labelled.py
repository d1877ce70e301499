"""Texts with one label each, read from tables and JSON lines."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from gatescope.errors import setting
from gatescope.messages import Message
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.class_names import check_labels, label_problem, sorted_classes, unified_labels
from gatescope.tasks.data.tables import (
    MAX_COLUMNS,
    MAX_FILE_BYTES,
    Fault,
    Rows,
    column_list,
    column_number,
    read_lines,
    read_rows,
    refuse,
    shown,
    undecoded,
)

TEXT_NAMES = (
    *("text", "sentence", "review", "comment", "content", "phrase", "message", "tweet", "document", "utterance"),
    *("文本", "内容", "內容", "评论", "評論", "句子", "正文", "文章", "テキスト", "本文", "レビュー", "문장", "리뷰"),
)
"""The names by which a column of texts is found."""

LABEL_NAMES = (
    *("label", "sentiment", "class", "category", "target", "polarity", "tag", "rating"),
    *("标签", "標籤", "类别", "類別", "分类", "情感", "ラベル", "感情", "라벨", "감정"),
)
"""The names by which a column of labels is found."""

JSON_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class LabelledTexts:
    """Texts, each with one of the classes.

    Attributes:
        texts: (N,) as in the file, with the newlines inside them and without white space around them.
        labels: (N,) numbers of the classes.
        classes: the names of the classes, in alphabetical order or, if all are numbers, in numerical order.
        lines: (N,) the line of the file, from 1, at which each text starts.
        skipped: the lines that were left out, each with the reason.
    """

    texts: tuple[str, ...]
    labels: Int[np.ndarray, " N"]
    classes: tuple[str, ...]
    lines: Int[np.ndarray, " N"]
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Pairs:
    """The text and the label of each row, and the names of the two columns.

    Attributes:
        pairs: (line, text, label) of each row.
        text_name: the name of the column of texts.
        label_name: the name of the column of labels.
    """

    pairs: list[tuple[int, str, str]]
    text_name: str
    label_name: str


def read_labelled(
    path: str | os.PathLike[str],
    text: str | int | None = None,
    label: str | int | None = None,
    classes: Sequence[str] | None = None,
    skip_bad: bool = False,
    largest: int = MAX_FILE_BYTES,
    *,
    encoding: str | None = None,
    merge_labels: bool = False,
) -> LabelledTexts:
    """Read the labelled texts of a table (CSV or TSV) or of JSON lines (.jsonl, .ndjson).

    A table of two columns needs no line of names: the column with fewer different values has the labels.

    Args:
        path: the file.
        text: the column of the texts, by name or by number (from 1); None: found by its name if that is clear.
        label: the column of the labels, likewise.
        classes: the labels that may occur, such as those of the training texts; None: all that occur.
        skip_bad: leave wrong lines out instead of refusing the file.
        largest: the most bytes that the file may have.
        encoding: of the file; None: UTF-8, or the encoding of its byte order mark.
        merge_labels: treat spellings of one class, such as 1 and 1.0 or Positive and positive, as that class.

    Raises:
        TaskError: the file cannot be used; the message lists every wrong line.
    """
    faults: list[Fault] = []
    read = _pairs(path, text, label, largest, encoding, faults)
    pairs: list[tuple[int, str, str]] = []
    for line, value, name in read.pairs:
        if not value:
            faults.append(Fault(line, Message("FAULT_TEXT_EMPTY"), read.text_name))
        if not name:
            faults.append(Fault(line, Message("FAULT_LABEL_MISSING"), read.label_name))
        elif (problem := label_problem(name, classes, merge_labels)) is not None:
            faults.append(Fault(line, problem, read.label_name))
        elif value:
            pairs.append((line, value, name))
    names = unified_labels([name for _, _, name in pairs], classes, merge_labels)
    skipped = check_labels(path, faults, skip_bad, names, classes)
    known = sorted_classes(set(names)) if classes is None else tuple(classes)
    index = {name: k for k, name in enumerate(known)}
    return LabelledTexts(
        tuple(value for _, value, _ in pairs),
        np.array([index[name] for name in names], dtype=np.int64),
        known,
        np.array([line for line, _, _ in pairs], dtype=np.int64),
        skipped,
    )


def _pairs(
    path: str | os.PathLike[str],
    text: str | int | None,
    label: str | int | None,
    largest: int,
    encoding: str | None,
    faults: list[Fault],
) -> _Pairs:
    """Return the text and the label of each row of a file; wrong rows are added to the faults."""
    suffix = Path(path).suffix.lower()
    if suffix == ".json":
        raise TaskError("LABELLED_JSON_SUFFIX", path=path)
    if suffix in JSON_LINES:
        return _json_pairs(path, text, label, largest, encoding, faults)
    rows = read_rows(path, largest, encoding)
    if not rows.fields:
        refuse(path, rows.faults or [Fault(None, Message("FAULT_NO_ROWS"))])
    text_column, label_column, named = _columns(rows, text, label, False)
    faults += rows.faults
    names = rows.fields[0] if named else [str(k + 1) for k in range(rows.width)]
    pairs = [
        (line, row[text_column], row[label_column])
        for line, row in zip(rows.lines[named:], rows.fields[named:], strict=True)
    ]
    return _Pairs(pairs, names[text_column], names[label_column])


# --- columns ---------------------------------------------------------------------------------------------------------


def _columns(rows: Rows, text: str | int | None, label: str | int | None, named: bool) -> tuple[int, int, bool]:
    """Return the columns of texts and labels, and whether the first row has the names of the columns.

    `named` is whether that is already known.

    Raises:
        TaskError: it is not clear which columns they are.
    """
    first = rows.fields[0]
    lower = [field.casefold() for field in first]
    chosen: dict[str, int] = {}
    for part, column in (("text", text), ("label", label)):
        if column is not None:
            chosen[part], by_name = column_number(column, first, rows)
            named |= by_name
    taken = set(chosen.values())
    matches = {
        part: [k for k, name in enumerate(lower) if name in names and k not in taken]
        for part, names in (("text", TEXT_NAMES), ("label", LABEL_NAMES))
    }
    named |= bool(matches["text"] or matches["label"] or set(lower) & {*TEXT_NAMES, *LABEL_NAMES})
    for part, columns in matches.items():
        if part not in chosen and named and len(columns) == 1:
            chosen[part] = columns[0]
    if len(chosen) == 1 and rows.width == 2:
        other = "label" if "text" in chosen else "text"
        chosen[other] = 1 - next(iter(chosen.values()))
    if not chosen and rows.width == 2 and not named:
        chosen = _columns_by_content(rows)
    if len(chosen) < 2:
        missing = [part for part in ("text", "label") if part not in chosen]
        raise TaskError(
            "LABELLED_COLUMN_UNCLEAR",
            path=rows.path,
            parts=" and ".join(f"{part}s" for part in missing),
            columns=column_list(first, named),
            settings=" and ".join(setting(part, None) for part in missing),
        )
    if chosen["text"] == chosen["label"]:
        raise TaskError("LABELLED_COLUMN_SAME", path=rows.path, columns=column_list(first, named))
    if not named:
        _check_first_row(rows, chosen["label"])
    return chosen["text"], chosen["label"], named


def _columns_by_content(rows: Rows) -> dict[str, int]:
    """Return the columns of two columns without names: labels have fewer different values, or else are shorter."""
    columns = list(zip(*rows.fields, strict=True))
    measures = [(len(set(column)), sum(map(len, column))) for column in columns]
    label = 0 if measures[0] < measures[1] else 1
    return {"label": label, "text": 1 - label}


def _check_first_row(rows: Rows, label: int) -> None:
    """Refuse a first row that looks like unknown names of columns.

    Its label occurs once and every other label more often, so it could not be learned as a class anyway.

    Raises:
        TaskError: the first row looks like names.
    """
    counts = Counter(row[label] for row in rows.fields)
    first = rows.fields[0][label]
    if len(rows.fields) > 4 and counts.pop(first) == 1 and counts and min(counts.values()) > 1:
        raise TaskError(
            "LABELLED_NAMES_UNKNOWN",
            path=rows.path,
            columns=column_list(rows.fields[0], named=True),
            label=shown(first),
            text=setting("text", None),
            label_setting=setting("label", None),
        )


# --- JSON lines ------------------------------------------------------------------------------------------------------


def _json_pairs(
    path: str | os.PathLike[str],
    text: str | int | None,
    label: str | int | None,
    largest: int,
    encoding: str | None,
    faults: list[Fault],
) -> _Pairs:
    """Return the text and the label of each line. The columns are the keys, in the order in which they occur first."""
    objects: list[tuple[int, dict[str, Any]]] = []
    for line, content in enumerate(read_lines(path, largest, encoding), 1):
        if not content.strip():
            continue
        value = read_json(content)
        if isinstance(value, Message):
            faults.append(Fault(line, value))
        elif isinstance(value, dict):
            objects.append((line, {name: _json_field(part) for name, part in value.items()}))
        else:
            faults.append(Fault(line, Message("FAULT_JSON_OBJECT", value=shown(content.strip()))))
    names = list(dict.fromkeys(name for _, row in objects for name in row))
    if not names:
        refuse(path, faults or [Fault(None, Message("FAULT_NO_ROWS"))])
    if len(names) > MAX_COLUMNS:
        raise TaskError("LABELLED_KEYS_TOO_MANY", path=path, largest=MAX_COLUMNS, count=len(names))
    columns = _columns(Rows(Path(path), [names], [0], len(names), ",", []), text, label, True)
    text_key, label_key = (names[column] for column in columns[:2])
    pairs: list[tuple[int, str, str]] = []
    for line, row in objects:
        value, name = row.get(text_key, ""), row.get(label_key, "")
        if problem := undecoded(value) or undecoded(name):
            faults.append(Fault(line, problem))
        else:
            pairs.append((line, value, name))
    return _Pairs(pairs, text_key, label_key)


def read_json(line: str) -> Any:
    """Return the value of a line of JSON, or a `Message` about the problem."""
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        return undecoded(line) or Message("FAULT_JSON", reason=error.msg, character=error.pos + 1)
    except (ValueError, RecursionError):
        return Message("FAULT_JSON_LIMIT")


def _json_field(value: object) -> str:
    """Return a text, number or truth value as text; "" for null, objects and lists."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, str | int | float):
        return str(value).strip()
    return ""
