"""Labelled texts and tagged sentences: which columns are meant, and every wrong line by its number."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks import TaskError
from gatescope.tasks.data.labelled import LabelledTexts, TaggedSentences, read_labelled, read_tagged
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
        ("a,b,c\nx,y,1\nz,w,2\n", {}, r"columns 1 \(such as 'a'\), 2 .*not clear which has the text and label"),
        ("text,sentence,label\nx,y,1\nz,w,2\n", {}, r"columns text, sentence, label, .*has the text; .*text=\.\.\."),
        ("text,b,c\nx,y,1\nz,w,2\n", {}, r"columns text, b, c, .*has the label;"),
        ("text,label\nx,1\nz,2\n", {"text": "sentence"}, r"no column 'sentence': the first line has text, label; give"),
        ("text,label\nx,1\nz,2\n", {"text": 3}, "no column 3"),
        ("text,label\nx,1\nz,2\n", {"text": 0}, "no column 0"),
        ("text,label\nx,1\nz,2\n", {"text": "label", "label": "label"}, "same column"),
        ("text,x,x\na,1,2\nb,2,3\n", {"label": "x"}, "2 columns .* are called 'x'"),
        ("satz,urteil\nx,1\ny,2\nz,1\nw,2\n", {}, "looks like names of columns.*'urteil' occurs nowhere else"),
        ("only\none\n", {}, "not clear which has the text and label"),
        ("text,label\n", {}, "nothing is left"),
        ("text,label\nx,1\ny,1\n", {}, "every label is '1'; there must be two classes"),
        ("text,label\n" + "".join(f"x,{k}\n" for k in range(30)), {}, "30 labels have 30 different values"),
    ],
)
def test_what_is_not_clear_is_asked(tmp_path: Path, content: str, settings: dict[str, str | int], message: str) -> None:
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


def test_all_wrong_lines_are_reported_at_once_or_skipped(tmp_path: Path) -> None:
    path = written(tmp_path, WRONG)
    with pytest.raises(TaskError) as caught:
        read_labelled(path)
    assert str(caught.value).split("\n") == [
        f"These 3 things are wrong in {path}; correct the file, or leave the lines out with skip_bad=True:",
        "  line 4: the text is empty",
        "  line 5: there is no label",
        "  line 7: 3 fields instead of 2 (a text with commas in it must be quoted)",
    ]
    read = read_labelled(path, skip_bad=True)
    assert pairs(read) == [("two\nlines", "1"), ("good", "0"), ("last", "0")]
    assert read.lines.tolist() == [2, 6, 8]
    assert [reason.split(":")[0] for reason in read.skipped] == ["line 4", "line 5", "line 7"]


def test_a_single_class_is_reported_with_the_wrong_lines_and_never_skipped(tmp_path: Path) -> None:
    path = written(tmp_path, "text,label\na,1\nb,\nc,1\n")
    for skip_bad in (False, True):
        with pytest.raises(TaskError, match=r"line 3: there is no label\n  every label is '1'"):
            read_labelled(path, skip_bad=skip_bad)


def test_labels_of_a_test_file_are_those_of_training(tmp_path: Path) -> None:
    path = written(tmp_path, "text,label\na,pos\nb,pos\n")
    read = read_labelled(path, classes=("neg", "neutral", "pos"))
    assert read.labels.tolist() == [2, 2]
    assert read.classes == ("neg", "neutral", "pos")
    with pytest.raises(TaskError, match="line 2: the label 'pos' is none of the classes bad, good\n  line 3"):
        read_labelled(path, classes=("bad", "good"))


def test_classes_that_are_numbers_are_in_their_order(tmp_path: Path) -> None:
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
    assert [line.split(":")[0] for line in listed] == [f"  line {k}" for k in (3, 4, 5, 7, 8, 9, 11, 12, 13, 14)]
    for wrong, message in zip(
        listed,
        [
            "there is no label",
            "there is no label",
            "not JSON: Expecting property name enclosed in double quotes at character 2",
            "an object such as {...} was expected, not '[\"f\", 1]'",
            "the byte 0xe9 cannot be decoded",
            "half of a surrogate pair",
            "the text is empty",
            "a number too long",
            "nested too deep",
            "there is no label",
        ],
        strict=True,
    ):
        assert message in wrong
    read = read_labelled(path, skip_bad=True)
    assert pairs(read) == [("a", "1"), ("b", "true"), ("😀", "1")]
    assert len(read.skipped) == 10


def test_json_that_is_not_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"one object a line .* \.jsonl"):
        read_labelled(written(tmp_path, '[{"text": "a", "label": 1}]', "t.json"))
    with pytest.raises(TaskError, match="line 1: an object"):
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
def test_written_sentences_are_read(
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


def test_comments_are_told_from_tokens_that_begin_with_a_number_sign(tmp_path: Path) -> None:
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
    with pytest.raises(TaskError, match=r"has 10 columns; say which .*\(in CoNLL-U token=2 and label=4\)"):
        read_tagged(path)
    with pytest.raises(TaskError, match="no column 11: its first line with a token has 10"):
        read_tagged(path, token=2, label=11)
    with pytest.raises(TaskError, match="both column 2"):
        read_tagged(path, token=2, label=2)
    pair = written(tmp_path, "N\tdog\nV\truns\n")
    for token, label in ((2, None), (None, 1), (2, 1)):
        assert tagged(read_tagged(pair, token=token, label=label)) == [[("dog", "N"), ("runs", "V")]]
    assert tagged(read_tagged(pair, token=1)) == [[("N", "dog"), ("V", "runs")]]
    with pytest.raises(TaskError, match="has one column"):
        read_tagged(written(tmp_path, "dog\nruns\n"))


def test_all_wrong_tokens_are_reported_at_once_or_their_sentences_skipped(tmp_path: Path) -> None:
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
        "  line 4: there is no label",
        "  line 7: there is no label",
        "  line 9: the token is empty",
        "  line 11: the token 'New York' has white space in it",
        "  line 13: 3 columns instead of 2",
        "  line 15: the byte 0xe9 cannot be decoded",
    ]
    read = read_tagged(path, skip_bad=True)
    assert tagged(read) == [[("a", "N"), ("b", "V")], [("g", "V")]]
    assert read.lines.tolist() == [1, 17]
    assert len(read.skipped) == 6


def test_tags_of_a_test_file_are_those_of_training(tmp_path: Path) -> None:
    path = written(tmp_path, "a\tN\n\nb\tN\n")
    with pytest.raises(TaskError, match="every label is 'N'"):
        read_tagged(path)
    assert [tags.tolist() for tags in read_tagged(path, classes=("V", "N")).tags] == [[1], [1]]
    with pytest.raises(TaskError, match="line 1: the label 'N' is none of the classes V, X\n  line 3"):
        read_tagged(path, classes=("V", "X"))
