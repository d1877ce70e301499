"""Tagged sentences: which lines are tokens, which columns are meant, and every wrong line by its number."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks import TaskError
from gatescope.tasks.tagged import TaggedSentences, read_tagged


def written(folder: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def tagged(read: TaggedSentences) -> list[list[tuple[str, str]]]:
    return [
        [(token, read.classes[tag]) for token, tag in zip(tokens, tags.tolist(), strict=True)]
        for tokens, tags in zip(read.tokens, read.tags, strict=True)
    ]


TOKEN = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=5).filter(
    lambda token: not token.startswith("#")
)
TAG = st.sampled_from(["N", "V", "'", '"', "#"])


@given(
    st.lists(st.lists(st.tuples(TOKEN, TAG), min_size=1, max_size=4), min_size=1, max_size=5).filter(
        lambda sentences: len({tag for sentence in sentences for _, tag in sentence}) > 1
    ),
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
    with pytest.raises(TaskError, match=r"has 10 columns; say which .*\(in CoNLL-U token=2, label=4\)"):
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
        "  line 15: not UTF-8 (the byte 0xe9)",
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
    with pytest.raises(TaskError, match="line 1: the label 'N' is none of the classes\n  line 3"):
        read_tagged(path, classes=("V", "X"))
