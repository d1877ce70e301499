"""Rows of a text file, each with the line it starts at, and one error that names every wrong line.

Labelled texts, tokens and series of numbers are read with these functions. Lines count from 1, as in an editor; they
end with LF, CRLF or CR. A column is called by its name or by its number, which counts from 1 too.
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
from gatescope.messages import Message
from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.encodings import decoded, guesses, settings_of

MAX_FILE_BYTES = 200_000_000
"""A file of data is held in memory while it is read."""

MAX_LISTED_FAULTS = 20
MAX_LISTED_UNDECODED = 3  # one wrong encoding explains all of them
MAX_LISTED_COLUMNS = 30
MAX_COLUMNS = 10_000

MAX_LINES = 4_000_000
"""Each line costs far more memory and time than its bytes."""

MAX_FAULTS = 100_000
"""A table with more wrong rows is read no further."""

MAX_LINE_CHARACTERS = 2_000_000

_WRONG_WIDTH = {",": "FAULT_FIELDS_COMMAS", ";": "FAULT_FIELDS_SEMICOLONS"}
_SNIFFED_LINES = 200  # the lines that decide about the delimiter
_UNDECODED_BYTE = re.compile("[\udc80-\udcff]")
_SURROGATE = re.compile("[\ud800-\udfff]")  # half of a pair: no file can be written with it


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in a file.

    Attributes:
        line: from 1; None: the fault is about the whole file.
        problem: what was expected and what stands there, such as "expected 2 fields, got 3."
        column: the name of the column; None: the fault is about the whole line.
    """

    line: int | None
    problem: Message
    column: str | None = None

    @property
    def message(self) -> Message:
        """The sentence, with line and column."""
        if self.line is None:
            if self.column is None:
                return Message("FAULT_IN_FILE", problem=self.problem)
            return Message("FAULT_IN_COLUMN", column=self.column, problem=self.problem)
        if self.column is None:
            return Message("FAULT_ON_LINE", line=self.line, problem=self.problem)
        return Message("FAULT_ON_LINE_IN_COLUMN", line=self.line, column=self.column, problem=self.problem)

    def __str__(self) -> str:
        return str(self.message)


@dataclass(frozen=True)
class Rows:
    """The rows of a table, all with the same number of fields. Blank lines are left out.

    Attributes:
        path: the file.
        fields: the fields of each row, without white space around them. A first row of names is still among them.
        lines: the line at which each row starts.
        width: the number of fields of the first row.
        delimiter: the character between two fields.
        faults: the rows that were left out: with another number of fields, unpaired quotes, or undecoded bytes.
    """

    path: Path
    fields: list[list[str]]
    lines: list[int]
    width: int
    delimiter: str
    faults: list[Fault]


def read_lines(path: str | os.PathLike[str], largest: int = MAX_FILE_BYTES, encoding: str | None = None) -> list[str]:
    """Return the lines of a text file, without their line ends and without a byte order mark.

    Bytes that cannot be decoded become surrogates, which `undecoded` finds. An empty last line is left out.

    Args:
        path: the file.
        largest: the most bytes that the file may have.
        encoding: of the file; None: UTF-8, or the encoding of its byte order mark.

    Raises:
        TaskError: the file does not exist, cannot be read, is empty or too large, or is binary.
    """
    text = decoded(read_bytes(path, largest), path, encoding, lenient=True)
    if not text or text.isspace():
        raise TaskError("DATA_FILE_EMPTY", path=path)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if (count := text.count("\n")) > MAX_LINES:
        raise TaskError("DATA_LINES_TOO_MANY", path=path, largest=MAX_LINES, count=count)
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def check_line_lengths(path: str | os.PathLike[str], lines: Sequence[str]) -> None:
    """Refuse a line that is too long for any table.

    Raises:
        TaskError: a line has more than 2,000,000 characters.
    """
    longest = max(map(len, lines))
    if longest > MAX_LINE_CHARACTERS:
        line = next(k for k, text in enumerate(lines, 1) if len(text) == longest)
        raise TaskError("DATA_LINE_TOO_LONG", path=path, largest=MAX_LINE_CHARACTERS, count=longest, line=line)


def read_bytes(path: str | os.PathLike[str], largest: int = MAX_FILE_BYTES) -> bytes:
    """Return the bytes of a file. Its size is checked before any of it is read.

    Raises:
        TaskError: the file does not exist, cannot be read or is too large.
    """
    try:
        return read_regular(path, largest)
    except FileError as error:
        raise TaskError(error.message) from error


def undecoded(text: str) -> Message | None:
    """Return the problem of a text that `read_lines` could not decode; None if there is none."""
    if text.isascii() or (half := _SURROGATE.search(text)) is None:
        return None
    if byte := _UNDECODED_BYTE.search(text):
        return Message(_UNDECODED, byte=ord(byte.group()) - 0xDC00)
    return Message("FAULT_SURROGATE", code_point=ord(half.group()))


_UNDECODED = "FAULT_UNDECODED_BYTE"


def read_rows(
    path: str | os.PathLike[str], largest: int = MAX_FILE_BYTES, encoding: str | None = None, decimal: str = "."
) -> Rows:
    """Return the rows of a table whose fields are separated by commas, semicolons or tabs.

    The delimiter is the one with which most rows have as many fields as the first row; the extension decides between
    equals. Quoted fields may hold delimiters, newlines and doubled quotes. In a table with tabs, unpaired quotes are
    ordinary characters.

    Args:
        path: the file.
        largest: the maximum number of bytes of the file.
        encoding: of the file, as in `read_lines`.
        decimal: the decimal mark of numbers; a decimal comma does not separate fields.

    Raises:
        TaskError: as in `read_lines`, or because the first row is wrong. Other wrong rows are in `Rows.faults`.
    """
    lines = read_lines(path, largest, encoding)
    check_line_lengths(path, lines)
    delimiter = _delimiter(lines, Path(path).suffix.lower(), decimal)
    rows = _rows(Path(path), lines, delimiter, quoted=True)
    if delimiter == "\t" and (wrong := len(rows.faults) + _count_crossing_fields(rows)) > 0:
        plain = _rows(Path(path), lines, delimiter, quoted=False)
        if len(plain.faults) < wrong:
            rows = plain
    first = rows.lines[0] if rows.lines else len(lines) + 1
    if not rows.lines or any(fault.line is not None and fault.line < first for fault in rows.faults):
        refuse(path, rows.faults or [Fault(None, Message("FAULT_NO_ROWS"))])
    return rows


def refuse(
    path: str | os.PathLike[str], faults: Iterable[Fault], can_skip: bool = False, unlisted: int = 0
) -> NoReturn:
    """Raise the error about everything that is wrong with a file, in the order of its lines.

    Args:
        path: the file.
        faults: what is wrong.
        can_skip: whether a setting skip_bad would leave the lines out.
        unlisted: the number of faults besides those in `faults`.

    Raises:
        TaskError: always.
    """
    ordered = sorted(faults, key=lambda fault: (fault.line is None, fault.line or 0))
    total = len(ordered) + unlisted
    undecoded_faults = [fault for fault in ordered if fault.problem.code == _UNDECODED]
    encodings = ""
    if undecoded_faults:
        encodings = settings_of(guesses(read_bytes(path)))
    skip = setting("skip_bad") if can_skip and all(fault.line for fault in ordered) else ""
    code = {
        (False, False): "DATA_CORRECT",
        (True, False): "DATA_CORRECT_OR_DECODE",
        (False, True): "DATA_CORRECT_OR_SKIP",
        (True, True): "DATA_CORRECT_DECODE_OR_SKIP",
    }[bool(encodings), bool(skip)]
    hidden = {id(fault) for fault in undecoded_faults[MAX_LISTED_UNDECODED:]}
    listed = [fault for fault in ordered if id(fault) not in hidden]
    lines = [f"  {fault}" for fault in listed[:MAX_LISTED_FAULTS]]
    if total > len(lines):
        lines.append("  " + str(Message("DATA_MORE_FAULTS", count=total - len(lines))))
    raise TaskError(
        "DATA_FAULTS",
        path=path,
        count=total,
        advice=Message(code, **({"encodings": encodings} if encodings else {}), **({"skip": skip} if skip else {})),
        faults="\n".join(lines),
    )


def shown(value: str, largest: int = 30) -> str:
    """Return a value as an error shows it: quoted, and cut if it is long."""
    return repr(value if len(value) <= largest else value[: largest - 3] + "...")


def column_list(fields: Sequence[str], named: bool) -> str:
    """Return the columns of a table in words: their names or, without names, their numbers with an example.

    Args:
        fields: the first row.
        named: whether the first row has the names of the columns.
    """
    listed = list(enumerate(fields[:MAX_LISTED_COLUMNS], 1))
    if named:
        names = [_shortened(field) or f"column {k}" for k, field in listed]
    else:
        names = [str(Message("DATA_COLUMN_EXAMPLE", number=k, value=shown(field))) for k, field in listed]
    if len(fields) > len(listed):
        return str(Message("DATA_COLUMNS_MORE", columns=", ".join(names), count=len(fields) - len(listed)))
    return ", ".join(names)


def _shortened(name: str, largest: int = 60) -> str:
    """Return the name of a column, cut if it is long."""
    return name if len(name) <= largest else name[: largest - 3] + "..."


def column_number(column: str | int, fields: Sequence[str], rows: Rows) -> tuple[int, bool]:
    """Return the number of a column from 0, and whether it was called by its name.

    A name is looked for as it stands first, then without regard to capitals. A number counts from 1, as text too.

    Args:
        column: the name or the number.
        fields: the first row.
        rows: the table.

    Raises:
        TaskError: the table has no column of this name or number, or several of this name.
    """
    if isinstance(column, str):
        for name, names in ((column, fields), (column.casefold(), [field.casefold() for field in fields])):
            places = [k for k, other in enumerate(names) if other == name]
            if len(places) > 1:
                raise TaskError(
                    "DATA_COLUMN_AMBIGUOUS",
                    path=rows.path,
                    column=column,
                    count=len(places),
                    numbers=", ".join(str(k + 1) for k in places),
                )
            if places:
                return places[0], True
    number = int(column) if isinstance(column, int) or (column.isascii() and column.isdigit()) else 0
    if not 1 <= number <= len(fields):
        raise TaskError(
            "DATA_COLUMN_UNKNOWN",
            path=rows.path,
            columns=column_list(fields, named=True),
            count=len(fields),
            column=column,
        )
    return number - 1, False


def _delimiter(lines: Sequence[str], suffix: str, decimal: str = ".") -> str:
    """Return the delimiter of a table. A table of one column has none, and any will do."""
    order = {".csv": ",;\t", ".tsv": "\t,;", ".tab": "\t,;"}.get(suffix, "\t,;")
    if decimal == "," and not any('"' in line for line in lines[:_SNIFFED_LINES]):
        order = order.replace(",", "")  # only in quotes is a comma a part of a number
    best, best_share = order[0], 0.0
    for delimiter in order:
        widths = [
            len(record)
            for _, record in _records(lines[:_SNIFFED_LINES], delimiter, delimiter != "\t")
            if not isinstance(record, Message) and any(record)
        ]
        share = sum(width == widths[0] for width in widths) / len(widths) if widths and widths[0] > 1 else 0.0
        if share > best_share:
            best, best_share = delimiter, share
    return best


def _rows(path: Path, lines: Sequence[str], delimiter: str, quoted: bool) -> Rows:
    rows = Rows(path, [], [], 0, delimiter, [])
    readable = not any(map(undecoded, lines))
    width = 0
    for line, record in _records(lines, delimiter, quoted):
        if isinstance(record, Message):
            rows.faults.append(Fault(line, record))
            continue
        row = list(map(str.strip, record))
        if len(row) <= 1 and not any(row):
            continue
        width = width or len(row)
        if width > MAX_COLUMNS:
            raise TaskError("DATA_COLUMNS_TOO_MANY", path=path, largest=MAX_COLUMNS, count=width, line=line)
        problem = None if readable else next(filter(None, map(undecoded, row)), None)
        if len(rows.faults) >= MAX_FAULTS and not (delimiter == "\t" and quoted):  # there, quotes may be the cause
            refuse(path, [*rows.faults, Fault(None, Message("FAULT_READING_STOPPED"))])
        if problem:
            rows.faults.append(Fault(line, problem))
        elif len(row) != width:
            rows.faults.append(Fault(line, _wrong_width(len(row), width, delimiter)))
        else:
            rows.fields.append(row)
            rows.lines.append(line)
    return Rows(path, rows.fields, rows.lines, width, delimiter, rows.faults)


def _wrong_width(count: int, expected: int, delimiter: str) -> Message:
    code = _WRONG_WIDTH.get(delimiter, "FAULT_FIELDS") if count > expected else "FAULT_FIELDS"
    return Message(code, expected=expected, count=count)


def _records(lines: Sequence[str], delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str] | Message]]:
    """Yield the line at which each row starts, and its fields or the problem with its quotes.

    After a wrong row, reading goes on with the line after its first, so that an unclosed quote does not swallow the
    rows after it. That happens a few times only: a file full of such quotes would be read over and over.
    """
    start, rereadings = 0, MAX_LISTED_FAULTS
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
            yield first + 1, _quote_problem(str(error))
            start = first + 1 if rereadings > 0 else max(first + 1, start + reader.line_num)
            rereadings -= 1


def _quote_problem(message: str) -> Message:
    """Return the complaint of the csv module in the words of someone who looks at the file."""
    if "expected after" in message:
        return Message("FAULT_QUOTE_IN_FIELD")
    if "unexpected end" in message:
        return Message("FAULT_QUOTE_UNCLOSED")
    if "field larger" in message:
        return Message("FAULT_FIELD_TOO_LONG", largest=csv.field_size_limit())
    return Message("FAULT_CSV", reason=message)


def _count_crossing_fields(rows: Rows) -> int:
    """Return how many fields hold a tab and a newline: a sign that two unrelated quotes were paired."""
    return sum("\t" in field and "\n" in field for row in rows.fields for field in row)
