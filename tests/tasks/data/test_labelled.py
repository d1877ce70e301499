"""Labelled texts and tagged sentences: which columns are meant, and every wrong line by its number."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks import TaskError
from gatescope.tasks.data.labelled import LabelledTexts, read_labelled
from gatescope.tasks.data.token_files import TaggedSentences, read_tagged
from tests.drawing import lists_with


def written(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pairs(read: LabelledTexts) -> list[tuple[str, str]]:
    return [(text, read.classes[label]) for text, label in zip(read.texts, read.labels.tolist(), strict=True)]


def tagged(read: TaggedSentences) -> list[list[tuple[str, str]]]:
    return [
        [(token, read.classes[tag]) for token, tag in zip(tokens, tags.tolist(), strict=True)]
        for tokens, tags in zip(read.tokens, read.tags, strict=True)
    ]


GOOD = [("good film", "pos"), ("bad", "neg"), ("so, so", "neg")]


@pytest.mark.parametrize(
    ("name", "content", "settings"),
    [
        ("t.tsv", "sentence\tlabel\ngood film\tpos\nbad\tneg\nso, so\tneg\n", {}),
        ("t.txt", "label\tsentence\r\npos\tgood film \r\nneg\tbad\r\n\r\nneg\tso, so", {}),
        ("t.csv", 'Review,Sentiment\ngood film,pos\n"bad",neg\n"so, so",neg\n', {}),
        ("t.csv", 'id;text;class;votes\n1;good film;pos;3\n2;bad;neg;3\n3;"so, so";neg;4\n', {}),
        ("t.csv", 'a,b,c\ngood film,x,pos\nbad,y,neg\n"so, so",z,neg\n', {"text": "a", "label": "C"}),
        ("t.csv", 'good film,x,pos\nbad,y,neg\n"so, so",z,neg\n', {"text": 1, "label": "3"}),
        ("t.csv", 'what,text\npos,good film\nneg,bad\nneg,"so, so"\n', {}),
        ("t.csv", '编号,评论,标签\n1,good film,pos\n2,bad,neg\n3,"so, so",neg\n', {}),
        ("t.csv", 'title,text,label\npos,good film,0\nneg,bad,0\nneg,"so, so",1\n', {"label": "title"}),
        ("t.tsv", "pos\tgood film\nneg\tbad\nneg\tso, so\n", {}),
        ("t.tsv", "good film\tpos\nbad\tneg\nso, so\tneg\n", {}),
        ("t.jsonl", "\n".join(json.dumps({"text": t, "label": c}) for t, c in GOOD), {}),
        ("t.ndjson", "\n\n".join(json.dumps({"n": 1, "what": c, "it": t}) for t, c in GOOD), dict(text="it", label=2)),
    ],
)
def test_columns_are_named_or_found(tmp_path: Path, name: str, content: str, settings: dict[str, str | int]) -> None:
    read = read_labelled(written(tmp_path, content, name), **settings)  # pyright: ignore[reportArgumentType]
    assert pairs(read) == GOOD
    assert read.classes == ("neg", "pos")
    assert read.labels.dtype == np.int64
    assert read.skipped == ()
    # The line of each text, found by looking for it.
    lines = content.replace("\r\n", "\n").split("\n")
    assert read.lines.tolist() == [next(k for k, line in enumerate(lines, 1) if text in line) for text, _ in GOOD]


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        (
            "a,b,c\nx,y,1\nz,w,2\n",
            {},
            r"a column of texts and labels, got 1: 'a', 2: .*text=\.\.\. and label=\.\.\.",
        ),
        ("text,sentence,label\nx,y,1\nz,w,2\n", {}, r"a column of texts, got text, sentence, label\. .*text=\.\.\."),
        ("text,b,c\nx,y,1\nz,w,2\n", {}, r"a column of labels, got text, b, c\. .*label=\.\.\."),
        (
            "text,label\nx,1\nz,2\n",
            {"text": "sentence"},
            r"expected one of text, label, or a number from 1 to 2, got 'sentence'\.",
        ),
        ("text,label\nx,1\nz,2\n", {"text": 3}, "from 1 to 2, got 3"),
        ("text,label\nx,1\nz,2\n", {"text": 0}, "from 1 to 2, got 0"),
        ("text,label\nx,1\nz,2\n", {"text": "label", "label": "label"}, "got the same one"),
        (
            "text,x,x\na,1,2\nb,2,3\n",
            {"label": "x"},
            "Column 'x' .*: expected one column of this name, got 2. Give a number instead: 2, 3",
        ),
        ("satz,urteil\nx,1\ny,2\nz,1\nw,2\n", {}, "got satz, urteil, and the label 'urteil' occurs on no other line"),
        ("only\none\n", {}, "expected a column of texts and labels"),
        ("text,label\n", {}, "Expected rows with a label, got none"),
        ("text,label\nx,1\ny,1\n", {}, "at least two different labels, got only '1'"),
        ("text,label\n" + "".join(f"x,{k}\n" for k in range(30)), {}, "30 different ones among 30"),
    ],
)
def test_unclear_columns_are_refused_with_the_setting(
    tmp_path: Path, content: str, settings: dict[str, str | int], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        read_labelled(written(tmp_path, content), **settings)  # pyright: ignore[reportArgumentType]


WRONG = (
    "text,label\n"
    '"two\nlines",1\n'  # lines 2 and 3
    ",1\n"
    "no label,\n"
    "good,0\n"
    "one,two,1\n"
    "last,0\n"
)


def test_wrong_lines_are_all_listed_or_skipped(tmp_path: Path) -> None:
    path = written(tmp_path, WRONG)
    with pytest.raises(TaskError) as caught:
        read_labelled(path)
    skip = "skip_bad=True"
    assert str(caught.value).split("\n") == [
        f"{path}: expected a file without faults, got 3 faults. Correct the file, or leave the lines out with {skip}:",
        "  Line 4, column 'text': Expected a text, got an empty one.",
        "  Line 5, column 'label': Expected a label, got none.",
        "  Line 7: Expected 2 fields, got 3. Quote a text with commas in it.",
    ]
    read = read_labelled(path, skip_bad=True)
    assert pairs(read) == [("two\nlines", "1"), ("good", "0"), ("last", "0")]
    assert read.lines.tolist() == [2, 6, 8]
    assert [reason.split(":")[0] for reason in read.skipped] == [
        "Line 4, column 'text'",
        "Line 5, column 'label'",
        "Line 7",
    ]


def test_single_class_is_refused_with_the_wrong_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "text,label\na,1\nb,\nc,1\n")
    for skip_bad in (False, True):
        with pytest.raises(
            TaskError, match=r"Line 3, column .label.: Expected a label, got none.\n  The file: .* got only '1'"
        ):
            read_labelled(path, skip_bad=skip_bad)


def test_labels_of_a_test_file_must_occur_in_training(tmp_path: Path) -> None:
    path = written(tmp_path, "text,label\na,pos\nb,pos\n")
    read = read_labelled(path, classes=("neg", "neutral", "pos"))
    assert read.labels.tolist() == [2, 2]
    assert read.classes == ("neg", "neutral", "pos")
    with pytest.raises(
        TaskError, match=r"Line 2, column 'label': Expected one of the labels bad, good, got 'pos'\.\n  Line 3"
    ):
        read_labelled(path, classes=("bad", "good"))


def test_classes_are_sorted_as_numbers(tmp_path: Path) -> None:
    assert read_labelled(written(tmp_path, "text,label\na,10\nb,9\nc,-1\n")).classes == ("-1", "9", "10")
    assert read_labelled(written(tmp_path, "text,label\na,10\nb,9\nc,x\n")).classes == ("10", "9", "x")
    assert read_labelled(written(tmp_path, "text,label\na,nan\nb,9\nc,10\n")).classes == ("10", "9", "nan")


def test_wrong_json_lines_are_named(tmp_path: Path) -> None:
    lines = [
        b'{"text": "a", "label": 1}',
        b'{"text": "b", "label": true}',
        b'{"text": "c", "label": null}',
        b'{"text": "d"}',
        b"{text: e}",
        b"",
        b'["f", 1]',
        b'{"text": "caf\xe9", "label": 1}',
        b'{"text": "\\ud83d", "label": 1}',
        b'{"text": "\\ud83d\\ude00", "label": 1}',
        b'{"text": ["g"], "label": 1}',
        b'{"text": "h", "label": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"text": "i", "label": NaN}',
    ]
    path = written(tmp_path, b"\n".join(lines), "t.jsonl")
    with pytest.raises(TaskError) as caught:
        read_labelled(path)
    listed = str(caught.value).split("\n")[1:]
    assert [line.split(":")[0].split(",")[0] for line in listed] == [
        f"  Line {k}" for k in (3, 4, 5, 7, 8, 9, 11, 12, 13, 14)
    ]
    for wrong, message in zip(
        listed,
        [
            "Expected a label, got none",
            "Expected a label, got none",
            "not JSON (Expecting property name enclosed in double quotes at character 2)",
            "Expected a JSON object such as {...}, got '[\"f\", 1]'",
            "the byte 0xe9, which cannot be decoded",
            "half of a surrogate pair",
            "Expected a text, got an empty one",
            "a number that is too long",
            "nested too deeply",
            "Expected a label, got none",
        ],
        strict=True,
    ):
        assert message in wrong
    read = read_labelled(path, skip_bad=True)
    assert pairs(read) == [("a", "1"), ("b", "true"), ("😀", "1")]
    assert len(read.skipped) == 10


def test_json_array_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"one object on each line.* \.jsonl"):
        read_labelled(written(tmp_path, '[{"text": "a", "label": 1}]', "t.json"))
    with pytest.raises(TaskError, match="Line 1: Expected a JSON object"):
        read_labelled(written(tmp_path, '[{"text": "a", "label": 1}]', "t.jsonl"))


# --- tokens ----------------------------------------------------------------------------------------------------------

CHARACTER = st.characters(categories=["L", "N", "P", "S"])
FIRST = st.characters(categories=["L", "N", "P", "S"], exclude_characters="#")
TOKEN = st.tuples(FIRST, st.text(CHARACTER, max_size=4)).map("".join)
TAG = st.sampled_from(["N", "V", "'", '"', "#"])


SENTENCE = st.lists(st.tuples(TOKEN, TAG), min_size=1, max_size=4)
OF_TWO_TAGS = st.tuples(TOKEN, TOKEN, st.permutations(["N", "V", "'", '"', "#"])).map(
    lambda drawn: [(drawn[0], drawn[2][0]), (drawn[1], drawn[2][1])]
)


@given(
    lists_with(OF_TWO_TAGS, SENTENCE, max_size=5),
    st.sampled_from(["\t", " "]),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 3),
)
def test_tagged_sentences_round_trip(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[tuple[str, str]]], split: str, end: str, blanks: int
) -> None:
    starts, line, parts = [], 1, []
    for sentence in sentences:
        starts.append(line)
        line += len(sentence) + blanks
        parts.append("".join(token + split + tag + end for token, tag in sentence) + end * blanks)
    path = written(tmp_path_factory.mktemp("t"), "".join(parts), "t.tsv")
    read = read_tagged(path)
    assert tagged(read) == sentences
    assert read.lines.tolist() == starts
    assert read.classes == tuple(sorted({tag for sentence in sentences for _, tag in sentence}))


def test_comments_differ_from_tokens_with_a_number_sign(tmp_path: Path) -> None:
    between_tabs = "# a comment\n#\tSYM\n#tag\tX\n# text = one\n1\tNUM\n"
    assert tagged(read_tagged(written(tmp_path, between_tabs))) == [[("#", "SYM"), ("#tag", "X"), ("1", "NUM")]]
    between_spaces = "# newdoc\n# text = # 1\n# SYM\n1 NUM\n\n# newpar\n% SYM\n#tag X\n"
    assert tagged(read_tagged(written(tmp_path, between_spaces))) == [
        [("#", "SYM"), ("1", "NUM")],
        [("%", "SYM"), ("#tag", "X")],
    ]


CONLLU = """\
# sent_id = 1
1-2\tcan't\t_\t_\t_\t_\t_\t_\t_\t_
1\tca\tcan\tAUX\tMD\t_\t0\troot\t_\t_
2\tn't\tnot\tPART\tRB\t_\t1\tadvmod\t_\t_
2.1\tgo\tgo\tVERB\tVB\t_\t_\t_\t_\t_

"""


def test_columns_are_called_by_number(tmp_path: Path) -> None:
    path = written(tmp_path, CONLLU, "t.conllu")
    assert tagged(read_tagged(path, token=2, label=4)) == [[("ca", "AUX"), ("n't", "PART")]]
    assert read_tagged(path, token=2, label=4).lines.tolist() == [3]
    with pytest.raises(
        TaskError, match=r"expected two columns, got 10\. Choose them with token=2 and label=4, as in CoNLL-U"
    ):
        read_tagged(path)
    with pytest.raises(TaskError, match="from 1 to 10, as on the first line with a token, got 11"):
        read_tagged(path, token=2, label=11)
    with pytest.raises(TaskError, match="got column 2 for both"):
        read_tagged(path, token=2, label=2)
    pair = written(tmp_path, "N\tdog\nV\truns\n")
    for token, label in ((2, None), (None, 1), (2, 1)):
        assert tagged(read_tagged(pair, token=token, label=label)) == [[("dog", "N"), ("runs", "V")]]
    assert tagged(read_tagged(pair, token=1)) == [[("N", "dog"), ("V", "runs")]]
    with pytest.raises(TaskError, match="got one column"):
        read_tagged(written(tmp_path, "dog\nruns\n"))


def test_wrong_tokens_are_all_listed_or_skipped(tmp_path: Path) -> None:
    content = (
        b"a\tN\nb\tV\n\n"  # lines 1-3
        b"c\t\nd\tN\n\n"  # 4-6
        b"e\n\n"  # 7-8
        b"\tN\n\n"  # 9-10
        b"New York\tN\n\n"  # 11-12
        b"f\tN\textra\n\n"  # 13-14
        b"caf\xe9\tN\n\ng\tV\n"  # 15-17
    )
    path = written(tmp_path, content)
    with pytest.raises(TaskError) as caught:
        read_tagged(path)
    assert str(caught.value).split("\n")[1:] == [
        "  Line 4: Expected a label, got none.",
        "  Line 7: Expected a label, got none.",
        "  Line 9: Expected a token, got an empty one.",
        "  Line 11: Expected a token without white space, got 'New York'.",
        "  Line 13: Expected 2 columns, got 3.",
        "  Line 15: Expected text, got the byte 0xe9, which cannot be decoded.",
    ]
    read = read_tagged(path, skip_bad=True)
    assert tagged(read) == [[("a", "N"), ("b", "V")], [("g", "V")]]
    assert read.lines.tolist() == [1, 17]
    assert len(read.skipped) == 6


def test_tags_of_a_test_file_must_occur_in_training(tmp_path: Path) -> None:
    path = written(tmp_path, "a\tN\n\nb\tN\n")
    with pytest.raises(TaskError, match="got only 'N'"):
        read_tagged(path)
    assert [tags.tolist() for tags in read_tagged(path, classes=("V", "N")).tags] == [[1], [1]]
    with pytest.raises(TaskError, match=r"Line 1: Expected one of the labels V, X, got 'N'\.\n  Line 3"):
        read_tagged(path, classes=("V", "X"))
