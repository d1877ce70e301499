"""Words of scripts with and without spaces between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.splitting import WORDS, chunks_of, words_of
from gatescope.vocabulary import Vocabulary


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("这部电影很好看，真的!", "这 部 电 影 很 好 看 ， 真 的 !"),
        ("これはペンです。", "こ れ は ペ ン で す 。"),
        ("か\u3099く", "か\u3099 く"),  # a mark that is a character of its own
        ("ภาษาไทยน้ำ", "ภ า ษ า ไ ท ย น้ ำ"),
        ("ខ្ញុំ", "ខ្ ញុំ"),
        ("很good的movie2", "很 good 的 movie2"),
        ("한국어 문장", "한국어 문장"),  # written with spaces
        ("हिन्दी में।", "हिन्दी में ।"),
        ("العَرَبِيَّة", "العَرَبِيَّة"),
        ("cafe\u0301 naïve", "cafe\u0301 naïve"),
        ("don't well-made n't x_1 (it’s)", "don't well-made n't x_1 ( it’s )"),
        ("❤\ufe0f a", "❤\ufe0f a"),
    ],
)
def test_words_of_a_script(text: str, words: str) -> None:
    """Scripts without spaces are split by character, with their marks; all others at white space and punctuation."""
    assert words_of(text) == words.split(" ")
    assert Vocabulary(("x",), unit="word").labels(text) == words.split(" ")


@given(st.text(), st.sampled_from(sorted(WORDS)))
def test_words_lose_no_character(text: str, rule: int) -> None:
    """Joined, the words are the text without its white space, under every rule."""
    assert "".join(words_of(text, rule)) == "".join(text.split())
    assert "".join(chunks_of(text, rule)) == "".join(text.split())


def test_ascii_is_split_alike_by_every_rule() -> None:
    """`pattern_for` relies on this."""
    text = "".join(map(chr, range(128))) + " it's a-b- -c 'd' e_f 1.5e-3"
    assert WORDS[1].findall(text) == WORDS[2].findall(text)


def test_chunks_keep_texts_with_spaces() -> None:
    """Punctuation stays with its word, as it was before there were rules: the parts of a run's texts depend on it."""
    assert chunks_of("It is good, très bon!") == ["It", "is", "good,", "très", "bon!"]
    assert chunks_of("It is 很好,") == ["It", "is", "很", "好", ","]
    assert chunks_of("很好", rule=1) == ["很好"]


def test_vocabulary_without_a_rule_reads_as_before() -> None:
    """A vocabulary that was written before rules had numbers keeps whole sentences as words."""
    old = Vocabulary.from_json({"unit": "word", "end": None, "symbols": ["很好"]})
    assert old.rule == 1
    assert old.labels("很好，好看") == ["很好", "，", "好看"]
    new = Vocabulary(("很",), unit="word")
    assert Vocabulary.from_json(new.to_json()) == new
    with pytest.raises(ValueError, match="newer gatescope"):
        Vocabulary.from_json({**new.to_json(), "rule": 99})
    with pytest.raises(ValueError, match="whole number"):
        Vocabulary.from_json({**new.to_json(), "rule": "2"})
