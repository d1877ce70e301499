"""Sentences with a label for every token, read from files with one token on each line, such as CoNLL-U."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from gatescope.errors import setting
from gatescope.messages import Message
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.class_names import check_labels, label_problem, sorted_classes, unified_labels
from gatescope.tasks.data.tables import MAX_FILE_BYTES, Fault, check_line_lengths, read_lines, shown, undecoded

_CONLLU_WIDTH = 10
_CONLLU_TOKEN, _CONLLU_LABEL = 2, 4
_CONLLU_EXTRA = re.compile(r"\d+[-.]\d+")  # ids of multi-word tokens and empty nodes


@dataclass(frozen=True)
class TaggedSentences:
    """Sentences of tokens, each token with one of the classes.

    Attributes:
        tokens: the tokens of each of the N sentences.
        tags: the numbers of the classes in each sentence, (T,) each.
        classes: the names of the classes, in alphabetical order or, if all are numbers, in numerical order.
        lines: (N,) the line of the file, from 1, at which each sentence starts.
        skipped: the lines because of which a sentence was left out, each with the reason.
    """

    tokens: tuple[tuple[str, ...], ...]
    tags: tuple[Int[np.ndarray, " _"], ...]
    classes: tuple[str, ...]
    lines: Int[np.ndarray, " N"]
    skipped: tuple[str, ...] = ()


def read_tagged(
    path: str | os.PathLike[str],
    token: int | None = None,
    label: int | None = None,
    classes: Sequence[str] | None = None,
    skip_bad: bool = False,
    largest: int = MAX_FILE_BYTES,
    *,
    encoding: str | None = None,
    merge_labels: bool = False,
) -> TaggedSentences:
    """Read the sentences of a file with a token and its label on each line and a blank line after each sentence.

    The columns are separated by tabs or, if the first line with a token has none, by spaces. Quotes are ordinary
    tokens. Comments (# ...) are left out, and in CoNLL-U the lines of multi-word tokens and empty nodes.

    Args:
        path: the file.
        token: the number of the column of the tokens, from 1 (2 in CoNLL-U); None: the file has two columns.
        label: the number of the column of the labels, from 1 (4 in CoNLL-U); None: the file has two columns.
        classes: the labels that may occur, such as those of the training part; None: all that occur.
        skip_bad: leave a sentence with a wrong line out instead of refusing the file.
        largest: the maximum number of bytes of the file.
        encoding: of the file; None: UTF-8, or the encoding of its byte order mark.
        merge_labels: treat spellings of one class, such as Noun and noun, as that class.

    Raises:
        TaskError: the file cannot be used; the message lists every wrong line.
    """
    lines = read_lines(path, largest, encoding)
    check_line_lengths(path, lines)
    separator, width = _layout(lines)
    token_column, label_column = _columns(path, width, token, label)
    comments = _comments(lines, separator, width, label_column)
    faults: list[Fault] = []
    sentences: list[tuple[int, list[str], list[str]]] = []
    start, tokens, labels, valid = 0, [], [], True
    for line, content in enumerate([*lines, ""], 1):
        if not content.strip():
            if tokens and valid:
                sentences.append((start, tokens, labels))
            tokens, labels, valid = [], [], True
            continue
        if line in comments:
            continue
        fields = content.split(separator)
        if width == _CONLLU_WIDTH and _CONLLU_EXTRA.fullmatch(fields[0]):
            continue
        problem = _problem(content, fields, width, token_column, label_column)
        problem = problem or label_problem(fields[label_column].strip(), classes, merge_labels)
        if problem:
            faults.append(Fault(line, problem))
            valid = False
            continue
        start = start if tokens else line
        tokens.append(fields[token_column].strip())
        labels.append(fields[label_column].strip())
    names = unified_labels([name for _, _, row in sentences for name in row], classes, merge_labels)
    skipped = check_labels(path, faults, skip_bad, names, classes)
    classes = sorted_classes(set(names)) if classes is None else classes
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


def _layout(lines: Sequence[str]) -> tuple[str | None, int]:
    """Return the separator (None: white space) and the number of columns, by the first line with a token."""
    filled = [line for line in lines if line.strip()]
    first = next((line for line in filled if not line.startswith("#")), filled[0])
    separator = "\t" if "\t" in first.strip() else None
    return separator, len(first.split(separator))


def _columns(path: str | os.PathLike[str], width: int, token: int | None, label: int | None) -> tuple[int, int]:
    """Return the columns of tokens and labels, from 0.

    Raises:
        TaskError: it is not clear which columns they are.
    """
    if token is None and label is None and width == 2:
        return 0, 1
    for column in (token, label):
        if column is not None and not 1 <= column <= width:
            raise TaskError("TOKENS_COLUMN_RANGE", path=path, count=width, column=column)
    if width < 2:
        raise TaskError("TOKENS_COLUMN_ALONE", path=path)
    if width == 2 and (token is None or label is None):
        token = token or 3 - (label or 2)
        label = label or 3 - token
    if token is None or label is None:
        conllu = width == _CONLLU_WIDTH
        raise TaskError(
            "TOKENS_COLUMN_UNCLEAR_CONLLU" if conllu else "TOKENS_COLUMN_UNCLEAR",
            path=path,
            count=width,
            token=setting("token", _CONLLU_TOKEN if conllu else None),
            label=setting("label", _CONLLU_LABEL if conllu else None),
        )
    if token == label:
        raise TaskError("TOKENS_COLUMN_SAME", path=path, column=token)
    return token - 1, label - 1


def _comments(lines: Sequence[str], separator: str | None, width: int, label: int) -> set[int]:
    """Return the numbers of the comment lines: those that start with # but do not have the columns of a token.

    With spaces as separator, a comment of two words looks like a token. It is a token if another line has its label.
    """
    marked = [(k, line.split(separator)) for k, line in enumerate(lines, 1) if line.startswith("#")]
    comments = {k for k, fields in marked if len(fields) != width}
    if separator is None and len(comments) < len(marked):
        others = (line.split() for line in lines if not line.startswith("# "))
        labels = {fields[label] for fields in others if len(fields) == width}
        comments |= {
            k for k, fields in marked if fields[0] == "#" and k not in comments and fields[label] not in labels
        }
    return comments


def _problem(line: str, fields: list[str], width: int, token: int, label: int) -> Message | None:
    """Return the problem of a line of a token; None if there is none."""
    if (problem := undecoded(line)) is not None:
        return problem
    if len(fields) <= max(token, label) or not fields[label].strip():
        return Message("FAULT_LABEL_MISSING")
    name = fields[token].strip()
    if not name:
        return Message("FAULT_TOKEN_EMPTY")
    if len(name.split()) > 1:
        return Message("FAULT_TOKEN_SPACE", token=shown(name))
    if len(fields) != width:
        return Message("FAULT_TOKEN_COLUMNS", expected=width, count=len(fields))
    return None
