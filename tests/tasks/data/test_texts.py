"""Texts to apply a network to."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatescope.tasks.base.task import TaskError
from gatescope.tasks.data.texts import read_texts


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("plain.txt", "good  film\n\nbad\n", None),
        ("one.csv", "text\ngood film\nbad\n", None),
        ("both.csv", 'label,review\n1,"good\nfilm"\n0,bad\n', None),
        ("named.csv", "id,words,note\n1,good film,x\n2,bad,y\n", "words"),
        ("numbered.tsv", "good film\t1\nbad\t2\n", 1),
        ("lines.jsonl", '{"text": "good film"}\n{"text": "bad", "label": 0}\n', None),
        ("strings.jsonl", '"good film"\n"bad"\n', None),
        ("keyed.jsonl", '{"a": "x", "b": "good film"}\n{"a": "y", "b": "bad"}\n', "b"),
    ],
)
def test_read_texts_finds_the_column(tmp_path: Path, name: str, content: str, text: str | int | None) -> None:
    """Lines, columns and keys give the same texts; labels are not read."""
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert read_texts(path, text) == (["good film", "bad"], [])


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("two.csv", "a,b\nx,y\n", "two.csv: expected one column of texts, got 1: 'a', 2: 'b'"),
        ("two.jsonl", '{"a": "x", "b": "y"}\n', "two.jsonl: expected one key of texts on line 1, got 'a', 'b'"),
        ("empty.txt", "\n \n", "got an empty file"),
        ("gap.csv", "text,label\nx,1\n,0\n", "Line 3, column 'text': Expected a text, got an empty one"),
        ("bad.jsonl", '{"text": "x"}\n{"text": 1}\n[\n', "Line 2, column 'text': Expected a text, got none"),
        (
            "half.jsonl",
            '{"text": "x"}\n{"text": "\\ud83d"}\n',
            "Line 2, column 'text': Expected text, got .* half of a surrogate pair",
        ),
    ],
)
def test_read_texts_refuses_with_a_sentence(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    """The error names the line, or the columns of the table."""
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TaskError, match=sentence):
        read_texts(path)


def test_read_texts_refuses_bytes_of_another_encoding(tmp_path: Path) -> None:
    """A plain file too; the message has a guess, and with it the file is read."""
    path = tmp_path / "gbk.txt"
    path.write_bytes("这部电影很好看\n太差了，不推荐\n".encode("gbk"))
    with pytest.raises(TaskError, match="encoding='gb18030'"):
        read_texts(path)
    assert read_texts(path, encoding="gb18030")[0] == ["这部电影很好看", "太差了，不推荐"]


def test_read_texts_skips_wrong_lines_with_skip_bad(tmp_path: Path) -> None:
    """`skip_bad` keeps the good texts and returns every skipped line with its reason."""
    path = tmp_path / "gap.csv"
    path.write_text("text,label\nx,1\n,0\ny,1\n", encoding="utf-8")
    texts, skipped = read_texts(path, skip_bad=True)
    assert texts == ["x", "y"]
    assert skipped == ["Line 3, column 'text': Expected a text, got an empty one."]
