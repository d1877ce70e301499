"""Sentences with a label for every token, read from files with a token a line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from gatescope.tasks.labelled import judged, ordered
from gatescope.tasks.tables import LARGEST, Fault, not_utf8, read_lines, shown
from gatescope.tasks.task import TaskError

_CONLLU_WIDTH = 10
_CONLLU_EXTRA = re.compile(r"\d+[-.]\d+")  # ids of multi-word tokens and empty nodes


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


def read_tagged(
    path: str | os.PathLike[str],
    token: int | None = None,
    label: int | None = None,
    classes: Sequence[str] | None = None,
    skip_bad: bool = False,
    largest: int = LARGEST,
) -> TaggedSentences:
    """The sentences of a file with a token and its label on each line, and a blank line behind each sentence.

    The columns are separated by tabs or, where the first line with a token has none, by spaces; quotes are tokens like
    others. Lines of comment (# ...) are left out, and of CoNLL-U the lines of multi-word tokens and empty nodes.

    Arguments:
        token, label: the numbers of the columns, from 1 (of CoNLL-U 2 and 4); None: there are two columns.
        classes, skip_bad, largest: as in `read_labelled`; of a wrong line, the whole sentence is left out.

    Raises: TaskError, which lists every line that cannot be used.
    """
    lines = read_lines(path, largest)
    split, width = _layout(lines)
    token_column, label_column = _tagged_columns(path, width, token, label)
    comments = _comments(lines, split, width, label_column)
    known = None if classes is None else set(classes)
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
        wrong = _wrong_token(line, fields, width, token_column, label_column, known)
        if wrong:
            faults.append(Fault(number, wrong))
            sound = False
            continue
        start = start if tokens else number
        tokens.append(fields[token_column].strip())
        labels.append(fields[label_column].strip())
    names = (name for _, _, row in sentences for name in row)
    skipped = judged(path, faults, skip_bad, names, classes)
    if classes is None:
        classes = ordered({name for _, _, row in sentences for name in row})
    index = {name: k for k, name in enumerate(classes)}
    return TaggedSentences(
        tuple(tuple(row) for _, row, _ in sentences),
        tuple(np.array([index[name] for name in row], dtype=np.int64) for _, _, row in sentences),
        tuple(classes),
        np.array([line for line, _, _ in sentences], dtype=np.int64),
        skipped,
    )


def _layout(lines: Sequence[str]) -> tuple[str | None, int]:
    """What separates the columns (None: white space) and how many there are, from the first line with a token."""
    first = next((line for line in lines if line.strip() and not line.startswith("#")), None)
    if first is None:
        first = next(line for line in lines if line.strip())
    split = "\t" if "\t" in first.strip() else None
    return split, len(first.split(split))


def _tagged_columns(path: str | os.PathLike[str], width: int, token: int | None, label: int | None) -> tuple[int, int]:
    if token is None and label is None and width == 2:
        return 0, 1
    for column in (token, label):
        if column is not None and not 1 <= column <= width:
            raise TaskError(
                f"{path} has no column {column}: its first line with a token has {width}; they count from 1."
            )
    if width < 2:
        raise TaskError(
            f"The first line of {path} with a token has one column, and a token and its label were expected, with a "
            "tab or space between them."
        )
    if width == 2 and (token is None or label is None):
        token = token or 3 - (label or 2)
        label = label or 3 - token
    if token is None or label is None:
        conllu = " (in CoNLL-U token=2, label=4)" if width == _CONLLU_WIDTH else ""
        raise TaskError(f"{path} has {width} columns; say which are used with token=... and label=...{conllu}.")
    if token == label:
        raise TaskError(f"Token and label are both column {token} of {path}; give two columns.")
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


def _wrong_token(
    line: str, fields: list[str], width: int, token: int, label: int, classes: set[str] | None
) -> str | None:
    """What is wrong with a line of a token; None: nothing."""
    if (undecoded := not_utf8(line)) is not None:
        return undecoded
    if len(fields) <= max(token, label) or not fields[label].strip():
        return "there is no label"
    name, tag = fields[token].strip(), fields[label].strip()
    if not name:
        return "the token is empty"
    if len(name.split()) > 1:
        return f"the token {shown(name)} has white space in it"
    if len(fields) != width:
        return f"{len(fields)} columns instead of {width}"
    if classes is not None and tag not in classes:
        return f"the label {shown(tag)} is none of the classes"
    return None
