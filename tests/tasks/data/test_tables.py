"""Rows of a table and the lines they start at, against tables written by the csv module and by pandas."""

import contextlib
import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.messages import Message
from gatescope.tasks import TaskError
from gatescope.tasks.data import tables
from gatescope.tasks.data.labelled import read_labelled
from gatescope.tasks.data.tables import MAX_LISTED_FAULTS, Fault, read_bytes, read_lines, read_rows, refuse
from gatescope.tasks.data.texts import read_texts
from gatescope.tasks.data.token_files import read_tagged
from gatescope.tasks.forecasting.series import read_series
from gatescope.tasks.tagging.frames import read_frames


def written(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def faults(rows: Sequence[Fault]) -> list[tuple[int | None, str]]:
    return [(fault.line, str(fault.problem)) for fault in rows]


FIELD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff"), max_size=8)


@given(
    st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(FIELD, min_size=width, max_size=width), max_size=6)),
    st.sampled_from([",", ";"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_tables_of_the_csv_module_are_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str, end: str, mark: bool
) -> None:
    rows = [["a"] * (len(rows[0]) if rows else 2), *rows]
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    text = buffer.getvalue()
    path = written(tmp_path_factory.mktemp("t"), (b"\xef\xbb\xbf" if mark else b"") + text.encode(), "t.txt")
    # The line a row starts at, counted by hand: each row is one line and as many more as its fields have newlines.
    starts, line = [], 1
    for row in rows:
        starts.append(line)
        line += 1 + sum(field.count("\n") for field in row)
    read = read_rows(path)
    assert read.fields == [[field.strip() for field in row] for row in rows]
    assert read.lines == starts
    assert read.faults == []
    assert (read.width, read.delimiter) == (len(rows[0]), delimiter)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_of_pandas_are_read(tmp_path: Path, delimiter: str) -> None:
    texts = ['he said "no", twice; ok', "two\nlines", "plain", "tab\there", "  spaces "]
    frame = pd.DataFrame({"review": texts, "stars": [1, 2, 3, 4, 5]})
    path = tmp_path / "t.txt"
    frame.to_csv(path, sep=delimiter, index=False)
    read = read_rows(path)
    assert read.fields == [["review", "stars"], *([t.strip(), str(k)] for k, t in enumerate(texts, 1))]
    assert read.lines == [1, 2, 3, 5, 6, 7]


def test_unpaired_quotes_between_tabs_are_characters(tmp_path: Path) -> None:
    content = 'sentence\tlabel\n" a fine film\t1\nplain\t0\n" another one\t0\n"quoted"\t1\n'
    read = read_rows(written(tmp_path, content, "t.tsv"))
    assert read.fields[1:] == [['" a fine film', "1"], ["plain", "0"], ['" another one', "0"], ['"quoted"', "1"]]
    assert read.lines == [1, 2, 3, 4, 5]
    paired = read_rows(written(tmp_path, 'sentence\tlabel\n"say ""a"""\t1\n"b"\t0\n', "t.tsv"))
    assert paired.fields[1:] == [['say "a"', "1"], ["b", "0"]]


def test_delimiter_gives_rows_of_equal_length(tmp_path: Path) -> None:
    assert read_rows(written(tmp_path, "Datum;Wert\n2020-01-01;3,5\n2020-01-02;4,5\n")).delimiter == ";"
    assert read_rows(written(tmp_path, "good, but long\t1\nbad\t0\n", "t.csv")).delimiter == "\t"
    assert read_rows(written(tmp_path, "a,b\tc\nd,e\tf\n", "t.csv")).delimiter == ","
    assert read_rows(written(tmp_path, "a,b\tc\nd,e\tf\n", "t.tsv")).delimiter == "\t"
    assert read_rows(written(tmp_path, "3\n4\n", "t.csv")).fields == [["3"], ["4"]]


def test_wrong_rows_are_named_by_their_lines(tmp_path: Path) -> None:
    content = 'text,label\n"two\nlines",1\na,b,1\n\nc\n"x" y,0\nfine,1\n"never closed,1\nstill fine,0\n'
    read = read_rows(written(tmp_path, content))
    assert read.fields == [["text", "label"], ["two\nlines", "1"], ["fine", "1"], ["still fine", "0"]]
    assert read.lines == [1, 2, 8, 10]
    assert faults(read.faults) == [
        (4, "Expected 2 fields, got 3. Quote a text with commas in it."),
        (6, "Expected 2 fields, got 1."),
        (7, 'Expected a quoted field, got a quote that closes in the middle of it. Write a quote inside quotes as "".'),
        (9, "Expected a closing quote, got none."),
    ]


def test_undecoded_bytes_are_named_by_their_lines(tmp_path: Path) -> None:
    read = read_rows(written(tmp_path, b'text,label\nfine,1\ncaf\xe9,1\n"two\nna\xefve",0\nall \xe2\x9c\x93,0\n'))
    assert faults(read.faults) == [
        (line, f"Expected text, got the byte {byte}, which cannot be decoded.")
        for line, byte in ((3, "0xe9"), (4, "0xef"))
    ]
    assert read.lines == [1, 2, 6]
    assert read.fields[-1] == ["all ✓", "0"]


def test_file_of_unclosed_quotes_is_read_to_its_end(tmp_path: Path) -> None:
    read = read_rows(written(tmp_path, "text,label\n" + '"a,1\n' * 3000))
    assert read.fields == [["text", "label"]]
    assert [fault.line for fault in read.faults[: MAX_LISTED_FAULTS + 1]] == list(range(2, MAX_LISTED_FAULTS + 3))


def test_wrong_first_row_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="Line 1: Expected text, got the byte 0xe9, which cannot be decoded") as caught:
        read_rows(written(tmp_path, b"t\xe9xt,label\na,b\nc,d,e\n"))
    assert "Line 3: Expected 2 fields, got 3" in str(caught.value)
    with pytest.raises(TaskError, match="Expected rows, got none"):
        read_rows(written(tmp_path, '""\n'))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty file"),
        (b"\xef\xbb\xbf\r\n \n", "got an empty file"),
        (b"a\0b", "binary"),
    ],
)
def test_empty_and_binary_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        read_lines(written(tmp_path, content))


def test_sizes_are_checked_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 1 << 40)  # a sparse file: reading it would not end well
    with pytest.raises(TaskError, match=r"expected at most 200,000,000 bytes, got 1,099,511,627,776"):
        read_bytes(path)
    assert read_bytes(written(tmp_path, "1234"), largest=4) == b"1234"
    with pytest.raises(TaskError, match="at most 4 bytes, got 5"):
        read_bytes(written(tmp_path, "12345"), largest=4)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="expected a file, got nothing"):
        read_bytes(tmp_path / "none.csv")
    with pytest.raises(TaskError, match="got a folder"):
        read_bytes(tmp_path)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_pipes_and_devices_are_refused_by_every_reader(tmp_path: Path, name: str) -> None:
    """A reader raises an error at once; it does not wait for a writer."""
    pipe, device = tmp_path / name, tmp_path / f"device-{name}"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for path, kind in ((pipe, "a named pipe"), (device, "a device")):
        for reader in (read_labelled, read_tagged, read_series, read_texts, lambda place: read_frames(place, place)):
            with pytest.raises(TaskError, match=f"expected a regular file, got {kind}"):
                reader(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("\n", "got an empty file"),
        (",\n", "at most 4,000,000 lines, got 4,000,001"),
        ("", "at most 2,000,000 characters on a line"),
    ],
)
def test_files_of_marks_alone_are_refused_at_once(tmp_path: Path, line: str, message: str) -> None:
    """Blank lines, commas alone, or one endless line: a sentence before rows are made of them."""
    path = written(tmp_path, line * 4_000_001 if line else "," * 2_000_001)
    for reader in (read_labelled, read_tagged, read_series):
        with pytest.raises(TaskError, match=message):
            reader(path)


def test_reading_stops_after_too_many_wrong_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first lines are named all the same."""
    monkeypatch.setattr(tables, "MAX_FAULTS", 1_000)
    with pytest.raises(TaskError, match="Line 2: Expected 2 fields, got 3") as caught:
        read_rows(written(tmp_path, "a,b\n" + "1,2,3\n" * 2_000))
    assert "got 1,001 faults" in str(caught.value)


def test_error_lists_the_first_lines_in_order() -> None:
    few, bad = Message("FAULT_TEXTS_NONE"), Message("FAULT_TEXT_EMPTY")
    with pytest.raises(TaskError) as caught:
        refuse("t.csv", [Fault(None, few), *(Fault(k, bad) for k in range(30, 0, -1))], can_skip=True)
    first, *listed = str(caught.value).split("\n")
    assert (
        first == "t.csv: expected a file without faults, got 31 faults. Correct the file:"
    )  # skipping lines would not mend the last
    assert listed == [f"  Line {k}: Expected a text, got an empty one." for k in range(1, 21)] + ["  And 11 more."]
    with pytest.raises(
        TaskError,
        match=r"^t.csv: .* got 1 fault\. .*out with skip_bad=True:\n  Line 1,234, column .x.: Expected a text.*\.$",
    ):
        refuse("t.csv", [Fault(1234, bad, "x")], can_skip=True)


def test_error_lists_few_undecoded_lines_beside_others(tmp_path: Path) -> None:
    """One encoding explains all of them, so that the advice stays on the screen."""
    path = tmp_path / "t.csv"
    path.write_bytes(b"caf\xe9\n" * 200)
    undecoded = [Fault(k, Message("FAULT_UNDECODED_BYTE", byte=0xE9)) for k in range(1, 201)]
    with pytest.raises(TaskError) as caught:
        refuse(path, [*undecoded, Fault(150, Message("FAULT_TEXT_EMPTY"))])
    first, *listed = str(caught.value).split("\n")
    assert "got 201 faults. Correct the file, or read it with encoding='cp1252':" in first
    assert [line.split(":")[0] for line in listed] == [
        "  Line 1",
        "  Line 2",
        "  Line 3",
        "  Line 150",
        "  And 197 more.",
    ]


@pytest.mark.parametrize(("text", "count"), [("a", 1), ("a\n", 1), ("a\n\n", 2), ("a\r\nb\r\n", 2), ("a\rb", 2)])
def test_lines_end_like_in_an_editor(tmp_path: Path, text: str, count: int) -> None:
    assert len(read_lines(written(tmp_path, text))) == count
    assert read_lines(written(tmp_path, "a\x0bb\x85c\u2028d"))[0] == "a\x0bb\x85c\u2028d"


PIECES = [
    b'"',
    b",",
    b";",
    b"\t",
    b"\n",
    b"\r\n",
    b"\r",
    b"a",
    b"1",
    b"2.5",
    b"x,y\n",
    b"1\t2\n",
    b"# c",
    b"text",
    b"label",
]
PIECES += [
    b"\xe9",
    b"\xef\xbb\xbf",
    b" ",
    b"nan",
    b"2020-01-01",
    b"{",
    b"}",
    b'{"text":"a","label":1}\n',
    b"\xe2\x80\xa8",
]


@given(st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join), st.sampled_from([".csv", ".tsv", ".jsonl"]))
def test_any_bytes_give_data_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    path = written(tmp_path_factory.getbasetemp(), content, f"whatever{suffix}")
    count = len(content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))
    for skip in (False, True):
        with contextlib.suppress(TaskError):
            labelled = read_labelled(path, skip_bad=skip)
            assert len(labelled.texts) == len(labelled.labels) == len(labelled.lines)
            assert all(1 <= line <= count for line in labelled.lines.tolist())
            assert len(set(labelled.labels.tolist())) > 1
        with contextlib.suppress(TaskError):
            tagged = read_tagged(path, skip_bad=skip)
            assert [len(row) for row in tagged.tokens] == [len(row) for row in tagged.tags]
            assert all(tagged.tokens)
        with contextlib.suppress(TaskError):
            series = read_series(path, fill_missing=skip)
            assert (
                series.values.shape == (len(series.steps), len(series.names)) == (len(series.lines), len(series.names))
            )
            assert np.isfinite(series.values).all()
