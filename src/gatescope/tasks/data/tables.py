"""Rows of a file of text, each with the line it starts at, and the one error that names every line that is wrong.

What labelled texts, token files and series of numbers are read with. Lines count from 1, as in an editor; they end with
LF, CRLF or CR. Columns are called by their name or by their number, which counts from 1 too.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from gatescope.errors import setting
from gatescope.files import FileError, read_regular
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.encodings import decoded, guessed

LARGEST = 200_000_000
"""The most bytes a file of data may have. All of it is held in memory while it is read."""

LISTED = 20
"""How many wrong lines an error names."""

MOST_COLUMNS = 10_000
"""The most columns a table may have."""

MOST_LINES = 4_000_000
"""The most lines a file of data may have: each costs far more memory and time than its bytes."""

MOST_FAULTS = 100_000
"""After how many wrong rows a table is read no further."""

LONGEST_LINE = 2_000_000
"""The most characters a line of a table may have."""

MOST_COLUMNS_LISTED = 30
"""How many columns an error names."""

_DELIMITERS = {"\t": "tabs", ",": "commas", ";": "semicolons"}
_SNIFFED = 200  # lines that decide about the delimiter
_BYTE = re.compile("[\udc80-\udcff]")  # bytes that could not be decoded
_HALF = re.compile("[\ud800-\udfff]")  # halves of surrogate pairs: what no file can be written with


@dataclass(frozen=True, slots=True)
class Fault:
    """Something of a file that cannot be used. Arguments: `line` from 1; None: it is about the file as a whole."""

    line: int | None
    what: str

    def __str__(self) -> str:
        return self.what if self.line is None else f"line {self.line:,}: {self.what}"


@dataclass(frozen=True)
class Rows:
    """The rows of a table, all with the same number of fields; blank lines are left out.

    Arguments:
        path: the file.
        fields: the fields of each row, without white space around them. A first row of names is still among them.
        lines: the line each row starts at.
        width: the number of fields of the first row.
        delimiter: what stands between two fields.
        faults: the rows that were left out, because they have another number of fields, or quotes that do not pair up,
            or are not UTF-8.
    """

    path: Path
    fields: list[list[str]]
    lines: list[int]
    width: int
    delimiter: str
    faults: list[Fault]


def read_lines(path: str | os.PathLike[str], largest: int = LARGEST, encoding: str | None = None) -> list[str]:
    """The lines of a text file, without what ends them; bytes that cannot be decoded are surrogates (`undecoded`).

    A byte order mark is dropped. A last line that is empty is none.

    Arguments: `encoding` is that of the file; None: UTF-8, or what its byte order mark says.

    Raises: TaskError for a file that does not exist, cannot be read, is too large, holds nothing, has too many lines,
        or is no text.
    """
    text = decoded(read_bytes(path, largest), path, encoding, lenient=True)
    if not text or text.isspace():
        raise TaskError("TABLES_EMPTY_FILE_DATA", path=path)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if (count := text.count("\n")) > MOST_LINES:
        raise TaskError("TABLES_MOST_LINES_PART_FILE", path=path, most_lines=MOST_LINES, count=count)
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def expect_short_lines(path: str | os.PathLike[str], lines: Sequence[str]) -> None:
    """Refuse lines that no table has. Raises: TaskError."""
    longest = max(map(len, lines))
    if longest > LONGEST_LINE:
        number = next(k for k, line in enumerate(lines, 1) if len(line) == longest)
        raise TaskError(
            "TABLES_MOST_CHARACTERS_LINE_LINE", path=path, longest_line=LONGEST_LINE, longest=longest, number=number
        )


def read_bytes(path: str | os.PathLike[str], largest: int = LARGEST) -> bytes:
    """Return the bytes of a file, whose size is checked before any of it is read.

    Raises: TaskError for a file that does not exist, cannot be read or is too large.
    """
    try:
        return read_regular(path, largest)
    except FileError as error:
        raise TaskError(str(error)) from error


def undecoded(line: str) -> str | None:
    """Return the fault of a line or field that `read_lines` could not decode; None if there is none."""
    if line.isascii() or (found := _HALF.search(line)) is None:
        return None
    if byte := _BYTE.search(line):
        return f"the byte {ord(byte.group()) - 0xDC00:#04x} cannot be decoded"
    return f"half of a surrogate pair (\\u{ord(found.group()):x}), which is no character"


def read_rows(
    path: str | os.PathLike[str], largest: int = LARGEST, encoding: str | None = None, decimal: str = "."
) -> Rows:
    """The rows of a table whose fields are separated by commas, semicolons or tabs.

    The delimiter is the one with which most rows have as many fields as the first; the extension decides between
    equals. Fields may be quoted, and hold delimiters, newlines and doubled quotes then. Of fields between tabs it is
    often meant otherwise: where quotes do not pair up there, they are characters like all others.

    Arguments:
        encoding: see `read_lines`.
        decimal: what numbers are written with; a decimal comma separates no fields.

    Raises: TaskError as in `read_lines`, and where the first row is wrong, which says what the columns are; all other
        rows that are wrong are in the `faults` of what is returned.
    """
    lines = read_lines(path, largest, encoding)
    expect_short_lines(path, lines)
    delimiter = _delimiter(lines, Path(path).suffix.lower(), decimal)
    rows = _rows(Path(path), lines, delimiter, quoted=True)
    if delimiter == "\t" and (wrong := len(rows.faults) + _crossing(rows)) > 0:
        plain = _rows(Path(path), lines, delimiter, quoted=False)
        if len(plain.faults) < wrong:
            rows = plain
    first = rows.lines[0] if rows.lines else len(lines) + 1
    if not rows.lines or any(fault.line is not None and fault.line < first for fault in rows.faults):
        refuse(path, rows.faults or [Fault(None, "there are no rows")])
    return rows


def refuse(
    path: str | os.PathLike[str], faults: Iterable[Fault], can_skip: bool = False, unlisted: int = 0
) -> NoReturn:
    """Raise the TaskError for everything that is wrong with a file, in the order of its lines.

    Arguments:
        can_skip: whether there is a setting skip_bad that leaves the lines out.
        unlisted: how many faults there are beside those that are given.
    """
    ordered = sorted(faults, key=lambda fault: (fault.line is None, fault.line or 0))
    total = len(ordered) + unlisted
    many = "This is" if total == 1 else f"These {total:,} things are"
    ways = ["correct the file"]
    if any("cannot be decoded" in fault.what for fault in ordered):
        ways.append(f"read it with {setting('encoding', guessed(read_bytes(path)))}")
    if can_skip and all(fault.line for fault in ordered):
        ways.append(f"leave the lines out with {setting('skip_bad')}")
    listed = [f"  {fault}" for fault in ordered[:LISTED]]
    if total > len(listed):
        listed.append(f"  ... and {total - len(listed):,} more")
    raise TaskError("\n".join([f"{many} wrong in {path}; {', or '.join(ways)}:", *listed]))


def shown(value: str, most: int = 30) -> str:
    """A value as an error names it: quoted, and cut where it is long."""
    return repr(value if len(value) <= most else value[: most - 3] + "...")


def column_list(fields: Sequence[str], named: bool) -> str:
    """The columns of a table in words, by name or, where they have none, by number with an example."""
    some = list(enumerate(fields[:MOST_COLUMNS_LISTED], 1))
    more = f", ... ({len(fields):,} columns)" if len(fields) > len(some) else ""
    if named:
        return ", ".join(_short(field) or f"(column {k} has no name)" for k, field in some) + more
    return ", ".join(f"{k} (such as {shown(field)})" for k, field in some) + more


def _short(name: str, most: int = 60) -> str:
    """The name of a column, cut where it is long."""
    return name if len(name) <= most else name[: most - 3] + "..."


def column_number(column: str | int, fields: Sequence[str], rows: Rows) -> tuple[int, bool]:
    """Which column is meant (from 0), and whether it was called by a name in the first line, which is `fields`.

    A name is looked for as it stands, then whatever its capitals; a number, written as text too, counts from 1.

    Raises: TaskError where there is no such column, or more than one.
    """
    if isinstance(column, str):
        for wanted, names in ((column, fields), (column.casefold(), [field.casefold() for field in fields])):
            found = [k for k, name in enumerate(names) if name == wanted]
            if len(found) > 1:
                raise TaskError("TABLES_COLUMNS_CALLED_SAY_NUMBER", count=len(found), path=rows.path, column=column)
            if found:
                return found[0], True
    number = int(column) if isinstance(column, int) or (column.isascii() and column.isdigit()) else 0
    if not 1 <= number <= len(fields):
        raise TaskError(
            "TABLES_COLUMN_FIRST_LINE_THESE",
            path=rows.path,
            column=column,
            column_list=column_list(fields, named=True),
            count=len(fields),
        )
    return number - 1, False


def _delimiter(lines: Sequence[str], suffix: str, decimal: str = ".") -> str:
    """The delimiter of a table; a table of one column has none, and any will do."""
    order = {".csv": ",;\t", ".tsv": "\t,;", ".tab": "\t,;"}.get(suffix, "\t,;")
    if decimal == "," and not any('"' in line for line in lines[:_SNIFFED]):
        order = order.replace(",", "")  # only in quotes is a comma a part of a number
    best, most = order[0], 0.0
    for delimiter in order:
        widths = [
            len(row)
            for _, row in _records(lines[:_SNIFFED], delimiter, delimiter != "\t")
            if not isinstance(row, str) and any(row)
        ]
        share = sum(width == widths[0] for width in widths) / len(widths) if widths and widths[0] > 1 else 0.0
        if share > most:
            best, most = delimiter, share
    return best


def _rows(path: Path, lines: Sequence[str], delimiter: str, quoted: bool) -> Rows:
    rows = Rows(path, [], [], 0, delimiter, [])
    readable = not any(map(undecoded, lines))
    width = 0
    for number, record in _records(lines, delimiter, quoted):
        if isinstance(record, str):
            rows.faults.append(Fault(number, record))
            continue
        row = list(map(str.strip, record))
        if len(row) <= 1 and not any(row):
            continue
        width = width or len(row)
        if width > MOST_COLUMNS:
            raise TaskError(
                "TABLES_MOST_COLUMNS_LINE_TABLE", path=path, most_columns=MOST_COLUMNS, width=width, number=number
            )
        wrong = None if readable else next(filter(None, map(undecoded, row)), None)
        if len(rows.faults) >= MOST_FAULTS and not (delimiter == "\t" and quoted):  # of that, quotes may be the cause
            refuse(path, [*rows.faults, Fault(None, "there are more; reading stopped here")])
        if wrong:
            rows.faults.append(Fault(number, wrong))
        elif len(row) != width:
            rows.faults.append(Fault(number, _wrong_width(len(row), width, delimiter)))
        else:
            rows.fields.append(row)
            rows.lines.append(number)
    return Rows(path, rows.fields, rows.lines, width, delimiter, rows.faults)


def _wrong_width(given: int, expected: int, delimiter: str) -> str:
    fields = "field" if given == 1 else "fields"
    if given > expected and delimiter != "\t":
        return f"{given} {fields} instead of {expected} (a text with {_DELIMITERS[delimiter]} in it must be quoted)"
    return f"{given} {fields} instead of {expected}"


def _records(lines: Sequence[str], delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str] | str]]:
    """The line each row starts at and its fields, or what is wrong with its quotes.

    After a row that is wrong reading goes on with the line after its first, so that a quote that is never closed does
    not swallow the rows behind it. Only the first few times: a file full of such quotes would be read over and over.
    """
    start, rereadings = 0, LISTED
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    while start < len(lines):
        rest = (lines[k] + "\n" for k in range(start, len(lines)))
        reader = csv.reader(rest, delimiter=delimiter, quoting=quoting, strict=True, skipinitialspace=delimiter != "\t")
        first = start
        try:
            for record in reader:
                yield first + 1, record
                first = start + reader.line_num
            return
        except csv.Error as error:
            yield first + 1, _quote_fault(str(error))
            start = first + 1 if rereadings > 0 else max(first + 1, start + reader.line_num)
            rereadings -= 1


def _quote_fault(message: str) -> str:
    """What the csv module found, in the words of someone who looks at the file."""
    if "expected after" in message:
        return 'a quote is closed in the middle of a field (a quote inside quotes is written "")'
    if "unexpected end" in message:
        return "a quote is opened and never closed"
    if "field larger" in message:
        return f"a field has more than {csv.field_size_limit():,} characters (perhaps a quote is never closed)"
    return message


def _crossing(rows: Rows) -> int:
    """How many fields hold a tab and a newline: between tabs, a sign that two quotes were paired that are no pair."""
    return sum("\t" in field and "\n" in field for row in rows.fields for field in row)
