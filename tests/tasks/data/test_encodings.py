"""Texts in other encodings: named by the reader, guessed in messages only."""

from pathlib import Path

import pytest

from gatescope.errors import settings_as_options
from gatescope.tasks import Sentiment, TaskError, Text
from gatescope.tasks.data.encodings import decoded, guesses, unfit

CHINESE = "循环神经网络是一类人工神经网络，我们在这里读取文本。它有记忆，可以处理序列。\n"
TRADITIONAL = "我們在這裡讀取文本，這是一個有記憶的網絡。\n"
JAPANESE = "これはリカレントニューラルネットワークの文章です。記憶を持っています。\n"
KOREAN = "순환 신경망은 인공 신경망의 한 종류이다. 기억을 가진다.\n"
RUSSIAN = "Рекуррентные нейронные сети имеют память, и это хорошо.\n"
FRENCH = "Les réseaux récurrents ont une mémoire; ça a été l'été.\n"


@pytest.mark.parametrize(
    ("text", "encoding", "guess"),
    [
        (CHINESE, "gbk", "gb18030"),
        (CHINESE, "utf-16-le", "utf-16-le"),
        (CHINESE, "utf-16-be", "utf-16-be"),
        (TRADITIONAL, "big5", "big5"),
        (JAPANESE, "shift_jis", "cp932"),
        (JAPANESE, "euc_jp", "euc_jp"),
        (KOREAN, "euc_kr", "cp949"),
        ("日付,気温\n", "shift_jis", "cp932"),
        ("날짜,판매 수량\n", "euc_kr", "cp949"),
        (RUSSIAN, "cp1251", "cp1251"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        (RUSSIAN, "cp866", "cp866"),
        (FRENCH, "cp1252", "cp1252"),
        (FRENCH, "utf-16-le", "utf-16-le"),
        (FRENCH, "utf-32-be", "utf-32-be"),
        (FRENCH, "utf-8", None),
    ],
)
def test_encoding_is_guessed_in_the_message(text: str, encoding: str, guess: str | None) -> None:
    """The text is refused with the option that reads it, and read with it."""
    data = (text * 4).encode(encoding)
    if guess is None:
        assert decoded(data, "t.txt") == text * 4
        return
    assert guesses(data) == (guess,)
    with settings_as_options(), pytest.raises(TaskError, match=f"read it with --encoding {guess}"):
        decoded(data, "t.txt")
    assert decoded(data, "t.txt", guess) == text * 4


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_mark_names_the_encoding(encoding: str) -> None:
    """It is believed, and dropped; so it is where the reader names the encoding too."""
    data = FRENCH.encode(encoding)
    assert decoded(data, "t.txt") == FRENCH
    assert decoded(data, "t.txt", encoding.removesuffix("-sig")) == FRENCH
    assert unfit(data) is None


@pytest.mark.parametrize("name", ["klingon", "hex", "idna", "punycode", "unicode_escape", "utf-7", "", "a\0b"])
def test_unknown_encodings_are_refused(name: str) -> None:
    """Codecs of Python that are no encodings of files too."""
    with pytest.raises(TaskError, match="Encoding: expected the name of an encoding"):
        decoded(b"abc", "t.txt", name)


def test_zero_bytes_are_refused() -> None:
    """A binary file is no text; whoever names the encoding may have zero characters."""
    with pytest.raises(TaskError, match="got a binary file"):
        decoded(b"\x7fELF\x02\x01\x01\0\0\0\xff\xfe\0\0\1", "t.bin")
    assert unfit(b"a\0\0\0") == "Binary, with a zero byte at 1"
    assert decoded(b"a\0b", "t.txt", "utf-8") == "a\0b"


def test_wrong_bytes_are_surrogates_if_lenient() -> None:
    """So one wrong line of a table is one wrong line, where ASCII keeps its bytes."""
    assert decoded(b"a\xe9\nb\n", "t.csv", lenient=True) == "a\udce9\nb\n"
    assert decoded("一".encode("gbk") + b"\n\xff\n", "t.csv", "gbk", lenient=True) == "一\n\udcff\n"
    with pytest.raises(TaskError, match="expected utf-16-le text, got the byte"):
        decoded(b"\0\xd8a\0", "t.csv", "utf-16-le", lenient=True)


def test_tasks_keep_their_encoding(tmp_path: Path) -> None:
    """A run reads its files again with the encoding of the training."""
    path = tmp_path / "t.txt"
    path.write_bytes((CHINESE * 60).encode("gbk"))
    task = Text([path], encoding="gbk")
    assert "神" in task.vocabulary.symbols
    assert Text.from_json(task.to_json()).data().training.tolist() == task.data().training.tolist()
    table = tmp_path / "t.csv"
    table.write_bytes(b"text,label\n" + "".join(f"很好 {k},a\n太差 {k},b\n" for k in range(20)).encode("gbk"))
    with pytest.raises(TaskError, match="read it with encoding='gb18030'"):
        Sentiment(table)
    texts = Sentiment(table, encoding="gbk")
    assert "很" in texts.vocabulary.symbols
    assert Sentiment.from_json(texts.to_json()).data().parts.sizes == texts.sizes


@pytest.mark.parametrize("text", ["é", "café", "naïve façade", "Ein größeres Beispiel für Umlaute", "señor mañana"])
def test_western_letters_are_not_guessed_as_east_asian(text: str) -> None:
    """Accented letters alone, at the end, or two beside each other, are guessed as cp1252."""
    assert guesses(text.encode("cp1252")) == ("cp1252",)


@pytest.mark.parametrize(
    ("text", "encoding", "likely"),
    [
        ("날짜,판매\n", "euc_kr", ("cp949", "gb18030", "euc_jp", "big5")),
        ("数据\n", "gb18030", ("gb18030", "euc_jp")),
        ("日付,気温\n", "euc_jp", ("gb18030", "euc_jp")),
        ("дата\n", "koi8-r", ("gb18030", "koi8-r")),
        ("Дата,Цена\n", "cp1251", ("cp1251", "big5")),
    ],
)
def test_short_headers_name_every_likely_encoding(text: str, encoding: str, likely: tuple[str, ...]) -> None:
    """A few letters decode to different texts in several encodings: the reader chooses, nothing is guessed."""
    data = text.encode(encoding)
    assert set(likely) <= set(guesses(data))
    assert len({data.decode(name) for name in guesses(data)}) > 1
    with pytest.raises(TaskError, match=f"It may be .*check which, and read it with .*encoding='{likely[0]}'"):
        decoded(data, "t.csv")
    assert decoded(data, "t.csv", encoding) == text
