"""Texts with a label each, and sentences with a label for every token, read from the files people have them in."""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from gatescope.errors import setting
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.classes import known_spelling, spellings
from gatescope.tasks.data.tables import (
    LARGEST,
    MOST_COLUMNS,
    Fault,
    Rows,
    column_list,
    column_number,
    expect_short_lines,
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
"""What a column of texts is called where nobody says which one it is."""

LABEL_NAMES = (
    *("label", "sentiment", "class", "category", "target", "polarity", "tag", "rating"),
    *("标签", "標籤", "类别", "類別", "分类", "情感", "ラベル", "感情", "라벨", "감정"),
)
"""What a column of labels is called where nobody says which one it is."""

JSON_LINES = (".jsonl", ".ndjson")
_MANY_CLASSES = 20  # more classes than this must have two examples each, on average
_CONLLU_WIDTH = 10
_CONLLU_EXTRA = re.compile(r"\d+[-.]\d+")  # ids of multi-word tokens and empty nodes


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


@dataclass(frozen=True)
class TaggedSentences:
    """Sentences of tokens, each token with one of the classes.

    Arguments:
        tokens: of each of the N sentences, its tokens.
        tags: of each of the N sentences, (T,) numbers of the classes.
        classes: the names of the classes, in the order of the alphabet or, where all are numbers, of the numbers.
        lines: (N,) the line of the file, from 1, at which each starts.
        skipped: the lines because of which a sentence was left out, each with the reason.
    """

    tokens: tuple[tuple[str, ...], ...]
    tags: tuple[Int[np.ndarray, " _"], ...]
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
    *,
    encoding: str | None = None,
    merge_labels: bool = False,
) -> LabelledTexts:
    """The labelled texts of a table (CSV, TSV: any of comma, semicolon, tab) or of JSON lines (.jsonl, .ndjson).

    A table may do without a line of names where it has two columns: the one with fewer different values has the labels.

    Arguments:
        text, label: the columns, by name or by number (from 1); None: found by name, where that is clear.
        classes: the names the labels must be of, such as those of the texts trained on; None: those that occur.
        skip_bad: leave wrong lines out instead of refusing the file.
        largest: the most bytes the file may have.
        encoding: of the file; None: UTF-8, or what its byte order mark says.
        merge_labels: spellings of one class, such as 1 and 1.0 or Positive and positive, are that class.

    Raises: TaskError, which lists every line that cannot be used.
    """
    faults: list[Fault] = []
    kept: list[tuple[int, str, str]] = []
    for line, value, name in _pairs(path, text, label, largest, encoding, faults):
        if not value:
            faults.append(Fault(line, "the text is empty"))
        if not name:
            faults.append(Fault(line, "there is no label"))
        elif (wrong := none_of(name, classes, merge_labels)) is not None:
            faults.append(Fault(line, wrong))
        elif value:
            kept.append((line, value, name))
    names = spelled_alike([name for _, _, name in kept], classes, merge_labels)
    skipped = judged(path, faults, skip_bad, names, classes)
    found = ordered(set(names)) if classes is None else tuple(classes)
    number = {name: k for k, name in enumerate(found)}
    return LabelledTexts(
        tuple(value for _, value, _ in kept),
        np.array([number[name] for name in names], dtype=np.int64),
        found,
        np.array([line for line, _, _ in kept], dtype=np.int64),
        skipped,
    )


def _pairs(
    path: str | os.PathLike[str],
    text: str | int | None,
    label: str | int | None,
    largest: int,
    encoding: str | None,
    faults: list[Fault],
) -> list[tuple[int, str, str]]:
    """The line, the text and the label of each row of a file; rows that are wrong are added to the faults."""
    suffix = Path(path).suffix.lower()
    if suffix == ".json":
        raise TaskError("LABELLED_JSON_FILES_OBJECT_LINE", path=path)
    if suffix in JSON_LINES:
        return _json_pairs(path, text, label, largest, encoding, faults)
    rows = read_rows(path, largest, encoding)
    if not rows.fields:
        refuse(path, rows.faults or [Fault(None, "there are no rows")])
    text_column, label_column, named = _columns(rows, text, label, False)
    faults += rows.faults
    return [
        (line, row[text_column], row[label_column])
        for line, row in zip(rows.lines[named:], rows.fields[named:], strict=True)
    ]


def none_of(name: str, classes: Sequence[str] | None, merged: bool) -> str | None:
    """Return why a label is none of the classes; None if it is one of them, or if they are not known."""
    if classes is None or name in classes:
        return None
    alike = known_spelling(name, classes)
    if alike is None:
        return f"the label {shown(name)} is none of the classes {', '.join(classes)}"
    if merged:
        return None
    return (
        f"the label {shown(name)} is spelled {shown(alike)} in the training part ({setting('merge_labels')} joins them)"
    )


def spelled_alike(names: list[str], classes: Sequence[str] | None, merged: bool) -> list[str]:
    """The labels as they are called: of spellings that are merged the most frequent one, or that of the classes."""
    if not merged:
        return names
    if classes is None:
        called = spellings(Counter(names))
    else:
        called = {name: known_spelling(name, classes) or name for name in set(names)}
    return [called[name] for name in names]


def read_tagged(
    path: str | os.PathLike[str],
    token: int | None = None,
    label: int | None = None,
    classes: Sequence[str] | None = None,
    skip_bad: bool = False,
    largest: int = LARGEST,
    *,
    encoding: str | None = None,
    merge_labels: bool = False,
) -> TaggedSentences:
    """The sentences of a file with a token and its label on each line, and a blank line behind each sentence.

    The columns are separated by tabs or, where the first line with a token has none, by spaces; quotes are tokens like
    others. Lines of comment (# ...) are left out, and of CoNLL-U the lines of multi-word tokens and empty nodes.

    Arguments:
        token, label: the numbers of the columns, from 1 (of CoNLL-U 2 and 4); None: there are two columns.
        classes, skip_bad, largest, encoding, merge_labels: as in `read_labelled`; of a wrong line, the whole sentence
            is left out.

    Raises: TaskError, which lists every line that cannot be used.
    """
    lines = read_lines(path, largest, encoding)
    expect_short_lines(path, lines)
    split, width = _layout(lines)
    token_column, label_column = _tagged_columns(path, width, token, label)
    comments = _comments(lines, split, width, label_column)
    faults: list[Fault] = []
    sentences: list[tuple[int, list[str], list[str]]] = []
    start, tokens, labels, sound = 0, [], [], True
    for number, line in enumerate([*lines, ""], 1):
        if not line.strip():
            if tokens and sound:
                sentences.append((start, tokens, labels))
            tokens, labels, sound = [], [], True
            continue
        if number in comments:
            continue
        fields = line.split(split)
        if width == _CONLLU_WIDTH and _CONLLU_EXTRA.fullmatch(fields[0]):
            continue
        wrong = _wrong_token(line, fields, width, token_column, label_column)
        wrong = wrong or none_of(fields[label_column].strip(), classes, merge_labels)
        if wrong:
            faults.append(Fault(number, wrong))
            sound = False
            continue
        start = start if tokens else number
        tokens.append(fields[token_column].strip())
        labels.append(fields[label_column].strip())
    names = spelled_alike([name for _, _, row in sentences for name in row], classes, merge_labels)
    skipped = judged(path, faults, skip_bad, names, classes)
    classes = ordered(set(names)) if classes is None else classes
    index = {name: k for k, name in enumerate(classes)}
    numbers = np.array([index[name] for name in names], dtype=np.int64)
    ends = np.cumsum([len(row) for _, row, _ in sentences])
    return TaggedSentences(
        tuple(tuple(row) for _, row, _ in sentences),
        tuple(np.split(numbers, ends[:-1])),
        tuple(classes),
        np.array([line for line, _, _ in sentences], dtype=np.int64),
        skipped,
    )


def judged(
    path: str | os.PathLike[str],
    faults: list[Fault],
    skip_bad: bool,
    names: Iterable[str],
    classes: Sequence[str] | None,
) -> tuple[str, ...]:
    """Return the skipped lines. Raises: TaskError for other faults, and for labels that cannot be learnt."""
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
            "LABELLED_COLUMNS_CLEAR_SAY_NAME",
            path=rows.path,
            column_list=column_list(first, named),
            value=missing,
            names=" and ".join(setting(each, None) for each in missing.split(" and ")),
        )
    if given["text"] == given["label"]:
        raise TaskError("LABELLED_TEXT_LABEL_SAME_COLUMN", path=rows.path, column_list=column_list(first, named))
    if not named:
        _refuse_unknown_names(rows, given["label"])
    return given["text"], given["label"], named


def _by_content(rows: Rows) -> dict[str, int]:
    """Tell two columns without names apart: labels have fewer different values, or else are shorter."""
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
            "LABELLED_FIRST_LINE_LOOKS_LIKE",
            path=rows.path,
            column_list=column_list(rows.fields[0], named=True),
            shown=shown(first),
            setting=setting("text", None),
            setting2=setting("label", None),
        )


# --- JSON lines ------------------------------------------------------------------------------------------------------


def _json_pairs(
    path: str | os.PathLike[str],
    text: str | int | None,
    label: str | int | None,
    largest: int,
    encoding: str | None,
    faults: list[Fault],
) -> list[tuple[int, str, str]]:
    """What `_pairs` returns, of JSON lines. The columns are the keys that occur, in the order of their first line."""
    objects: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(read_lines(path, largest, encoding), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            faults.append(Fault(number, undecoded(line) or f"not JSON: {error.msg} at character {error.pos + 1:,}"))
        except (ValueError, RecursionError):
            faults.append(Fault(number, "JSON that cannot be read: a number too long, or nested too deep"))
        else:
            if isinstance(value, dict):
                objects.append((number, {name: _json_field(part) for name, part in value.items()}))
            else:
                faults.append(Fault(number, f"an object such as {{...}} was expected, not {shown(line.strip())}"))
    names = list(dict.fromkeys(name for _, row in objects for name in row))
    if not names:
        refuse(path, faults or [Fault(None, "there are no rows")])
    if len(names) > MOST_COLUMNS:
        raise TaskError("LABELLED_MOST_DIFFERENT_KEYS_ALL", path=path, most_columns=MOST_COLUMNS, count=len(names))
    columns = _columns(Rows(Path(path), [names], [0], len(names), ",", []), text, label, True)
    chosen = [names[column] for column in columns[:2]]
    pairs: list[tuple[int, str, str]] = []
    for number, row in objects:
        value, name = (row.get(key, "") for key in chosen)
        if wrong := undecoded(value) or undecoded(name):
            faults.append(Fault(number, wrong))
        else:
            pairs.append((number, value, name))
    return pairs


def _json_field(value: Any) -> str:
    """A text, number or truth value as text; what is nothing, or is made of parts, is missing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, str | int | float):
        return str(value).strip()
    return ""


# --- tokens ----------------------------------------------------------------------------------------------------------


def _layout(lines: Sequence[str]) -> tuple[str | None, int]:
    """What separates the columns (None: white space) and how many there are, from the first line with a token."""
    some = [line for line in lines if line.strip()]
    first = next((line for line in some if not line.startswith("#")), some[0])
    split = "\t" if "\t" in first.strip() else None
    return split, len(first.split(split))


def _tagged_columns(path: str | os.PathLike[str], width: int, token: int | None, label: int | None) -> tuple[int, int]:
    if token is None and label is None and width == 2:
        return 0, 1
    for column in (token, label):
        if column is not None and not 1 <= column <= width:
            raise TaskError("LABELLED_COLUMN_FIRST_LINE_TOKEN", path=path, column=column, width=width)
    if width < 2:
        raise TaskError("LABELLED_FIRST_LINE_TOKEN_COLUMN", path=path)
    if width == 2 and (token is None or label is None):
        token = token or 3 - (label or 2)
        label = label or 3 - token
    if token is None or label is None:
        conllu = f" (in CoNLL-U {setting('token', 2)} and {setting('label', 4)})" if width == _CONLLU_WIDTH else ""
        raise TaskError(
            "LABELLED_COLUMNS_SAY_USED",
            path=path,
            width=width,
            setting=setting("token", None),
            setting2=setting("label", None),
            conllu=conllu,
        )
    if token == label:
        raise TaskError("LABELLED_TOKEN_LABEL_BOTH_COLUMN", token=token, path=path)
    return token - 1, label - 1


def _comments(lines: Sequence[str], split: str | None, width: int, label: int) -> set[int]:
    """The numbers of the lines of comment: with # at their start, and not the columns of a token.

    Between spaces a comment of two words looks like a token; it is one where its label is a label of other lines too.
    """
    marked = [(k, line.split(split)) for k, line in enumerate(lines, 1) if line.startswith("#")]
    comments = {k for k, fields in marked if len(fields) != width}
    if split is None and len(comments) < len(marked):
        others = (line.split() for line in lines if not line.startswith("# "))
        labels = {fields[label] for fields in others if len(fields) == width}
        comments |= {
            k for k, fields in marked if fields[0] == "#" and k not in comments and fields[label] not in labels
        }
    return comments


def _wrong_token(line: str, fields: list[str], width: int, token: int, label: int) -> str | None:
    """Return the fault of a line of a token; None if there is none."""
    if (wrong := undecoded(line)) is not None:
        return wrong
    if len(fields) <= max(token, label) or not fields[label].strip():
        return "there is no label"
    name = fields[token].strip()
    if not name:
        return "the token is empty"
    if len(name.split()) > 1:
        return f"the token {shown(name)} has white space in it"
    if len(fields) != width:
        return f"{len(fields)} columns instead of {width}"
    return None
