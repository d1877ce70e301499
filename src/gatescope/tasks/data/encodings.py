"""Bytes of a text file as text, and the likely encodings of bytes that are not UTF-8.

UTF-8 is expected, or UTF-16 and UTF-32 with a byte order mark. The reader names any other encoding: a guess goes into
the message, never into the data.
"""

from __future__ import annotations

import codecs
import os
import re

import numpy as np

from gatescope.errors import setting
from gatescope.messages import Message
from gatescope.tasks.base.task import TaskError

FEW_LETTERS = 8
"""Fewer two-byte letters do not tell Korean from Chinese."""

SAMPLE_BYTES = 1 << 16
"""The part of a file that a guess looks at."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Codecs of Python that no text file is written in; some need quadratic time.
_NOT_OF_FILES = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem", "utf-7"}
_HAN_KANA_HANGUL = re.compile("[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff00-\uffef]")
_KANA = re.compile("[\u3041-\u30ff]")
_EVERYDAY = re.compile(
    "[\t\r\n -~\u00a0-\u024f\u0370-\u06ff\u2010-\u2026\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]"
)
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_BESIDE_LATIN = re.compile(rb"[A-Za-z][\x80-\xff]|[\x80-\xff][A-Za-z]")


def checked_encoding(name: str) -> str:
    """Return the name of an encoding as Python calls it.

    Raises:
        TaskError: Python has no such encoding of text.
    """
    python_name = ""
    try:
        b"0".decode(name)  # a LookupError for codecs that are not for text, such as hex
        python_name = codecs.lookup(name).name
    except UnicodeError:
        python_name = codecs.lookup(name).name
    except (LookupError, ValueError):
        pass
    if not python_name or python_name.replace("_", "-") in _NOT_OF_FILES:
        raise TaskError("ENCODING_UNKNOWN", name=name)
    return python_name


def encoding_of(data: bytes, encoding: str | None) -> str:
    """Return the encoding to decode with: the one that the reader named, that of the byte order mark, or UTF-8.

    Args:
        data: the file or its beginning.
        encoding: as the reader named it; None: not at all.

    Raises:
        TaskError: Python has no such encoding.
    """
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if encoding is None:
        return "utf-8-sig" if marked in (None, "utf-8") else marked
    name = checked_encoding(encoding)
    return "utf-8-sig" if name == "utf-8" else name


def decoded(data: bytes, path: str | os.PathLike[str], encoding: str | None = None, *, lenient: bool = False) -> str:
    """Return the text of a file, without its byte order mark.

    Args:
        data: all bytes of the file.
        path: the file, as messages call it.
        encoding: None: UTF-8, or the encoding of the byte order mark; zero bytes are refused then.
        lenient: decode each wrong byte to a lone surrogate, instead of refusing the file.

    Raises:
        TaskError: the bytes are in another encoding, or binary. The message has the likely encodings.
    """
    name = encoding_of(data, encoding)
    if encoding is None and not name.startswith(("utf-16", "utf-32")) and b"\0" in data:
        if likely := guesses(data):
            raise TaskError("ENCODING_ZERO_BYTES", path=path, advice=_advice(likely))
        raise TaskError("ENCODING_BINARY", path=path)
    errors = "surrogateescape" if lenient and _keeps_ascii(name) else "strict"
    try:
        return data.decode(name, errors).removeprefix("\ufeff")
    except UnicodeError as error:
        place = getattr(error, "start", 0)
        raise TaskError(
            "ENCODING_DIFFERS",
            path=path,
            expected="UTF-8" if name == "utf-8-sig" else name,
            byte=data[place] if data else 0,
            offset=place,
            advice=_advice(tuple(guess for guess in guesses(data) if guess != encoding)),
        ) from error


def unfit(start: bytes, encoding: str | None = None, *, whole: bool = False) -> str | None:
    """Return why a file of a folder is skipped, from its first bytes; None: it looks like text.

    Args:
        start: the first bytes of the file.
        encoding: as in `decoded`.
        whole: whether these are all bytes of the file.
    """
    name = encoding_of(start, encoding)
    if b"\0" in start and (encoding is None or _keeps_ascii(name)) and not name.startswith(("utf-16", "utf-32")):
        return str(Message("ENCODING_SKIPPED_BINARY", offset=start.index(b"\0")))
    try:
        codecs.getincrementaldecoder(name)().decode(start, whole)
    except UnicodeError as error:  # UTF-16 without a byte order mark raises a plain one
        expected = "UTF-8" if name == "utf-8-sig" else name
        return str(Message("ENCODING_SKIPPED_DIFFERS", expected=expected, offset=getattr(error, "start", 0)))
    return None


def _advice(likely: tuple[str, ...]) -> Message:
    """Return the sentence about how to read bytes that are not UTF-8, without a full stop."""
    if not likely:
        return Message("ENCODING_ADVICE_NONE", encodings=setting("encoding", None))
    code = "ENCODING_ADVICE_ONE" if len(likely) == 1 else "ENCODING_ADVICE_SEVERAL"
    return Message(code, names=" or ".join(likely), encodings=settings_of(likely))


def settings_of(likely: tuple[str, ...]) -> str:
    """Return the settings that name these encodings; without any, the setting whose value the reader chooses."""
    return " or ".join(setting("encoding", name) for name in likely) or setting("encoding", None)


def guesses(data: bytes) -> tuple[str, ...]:
    """Return the likely encodings of bytes without a byte order mark.

    A few East Asian characters often decode to different texts in several encodings; all of them are returned.

    Args:
        data: the file or its beginning. Only 64 kB around the first byte above 127 count.

    Returns:
        One encoding if it is clear, several if a reader has to choose, none for UTF-8 and for binary data.
    """
    if b"\0" in data[:SAMPLE_BYTES]:
        wide = _wide(data[:SAMPLE_BYTES])
        return () if wide is None else (wide,)
    first = _HIGH_RUN.search(data)
    if first is None:
        return ()
    sample = data[max(0, first.start() - SAMPLE_BYTES // 2) :][:SAMPLE_BYTES]
    runs = _HIGH_RUN.findall(sample)
    high = np.frombuffer(b"".join(runs), np.uint8)
    usual = _east_asian(sample, runs, high) or _single_byte(sample, high)
    names = dict.fromkeys([*_encodings_of_few_pairs(sample, runs), usual])
    return tuple(names) if len({b" ".join(runs).decode(name, "replace") for name in names}) > 1 else (usual,)


def _encodings_of_few_pairs(sample: bytes, runs: list[bytes]) -> list[str]:
    """Return the encodings that a few letters of two bytes may be in, by the everyday letters of each language.

    The first byte restricts the letters of a pair: Korean syllables, Chinese characters, kana and kanji. Two bytes
    may also be two Cyrillic letters.
    """
    if any(len(run) % 2 for run in runs):
        return []
    letters = [lead for run in runs for lead in run[::2] if lead > 0xA3]
    if not 0 < len(letters) < FEW_LETTERS:
        return []
    ranges = {"cp949": (0xB0, 0xC8), "gb18030": (0xB0, 0xD7), "euc_jp": (0xA4, 0xCF), "big5": (0xA4, 0xC6)}
    names = [name for name, (low, high) in ranges.items() if low <= min(letters) and max(letters) <= high]
    names = [name for name in names if _decodes(b" ".join(runs), name)]
    text = b"".join(runs)
    if min(text) >= 0xC0 and not _BESIDE_LATIN.search(sample):
        # The letters of KOI8-R and cp1251 begin at 0xC0; the small ones of KOI8-R come first.
        names.append("koi8-r" if sum(byte < 0xE0 for byte in text) > len(text) / 2 else "cp1251")
    return names


def _decodes(data: bytes, name: str) -> bool:
    try:
        data.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _wide(sample: bytes) -> str | None:
    """Return the UTF-16 or UTF-32 encoding that gives the most characters of everyday texts; None: binary data."""
    shares: dict[str, float] = {}
    for name, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        text = sample.decode(name, "replace") if len(sample) % width == 0 else "\0"
        shares[name] = len(_EVERYDAY.findall(text)) / len(text)
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] > 0.9 else None


def _east_asian(sample: bytes, runs: list[bytes], high: np.ndarray) -> str | None:
    """Return the Chinese, Japanese or Korean encoding whose frequent characters these are; None: none of them."""
    if sum(len(run) % 2 == 0 for run in runs) >= 0.98 * len(runs):  # two bytes above 127 for each character
        leads = np.frombuffer(b"".join(run[: len(run) // 2 * 2] for run in runs), np.uint8)[::2]
        letters = leads[leads > 0xA3]
        if letters.size and np.isin(letters, (0xA4, 0xA5)).mean() > 0.2:
            return "euc_jp"
        if letters.size >= FEW_LETTERS and ((letters >= 0xB0) & (letters <= 0xC8)).mean() > 0.95:
            return "cp949"
        if letters.size and ((letters >= 0xB0) & (letters <= 0xD7)).mean() > 0.7:
            return "gb18030"
    for name in ("cp932", "big5", "gb18030"):
        try:
            text = codecs.getincrementaldecoder(name)().decode(sample)
        except UnicodeDecodeError:
            continue
        foreign = [character for character in text if character > "\x7f"]
        frequent = {"cp932": _KANA}.get(name, _HAN_KANA_HANGUL)
        share = sum(frequent.match(character) is not None for character in foreign) / max(1, len(foreign))
        # Latin letters with accents stand alone between ASCII letters, two bytes of East Asian text beside others.
        if share > (0.2 if name == "cp932" else 0.95) and len(high) > 1.6 * len(runs):
            return name
        # Kana and everyday kanji alone: in GBK the same bytes are rare characters.
        if name == "cp932" and foreign and all(0x81 <= character.encode(name)[0] <= 0x98 for character in foreign):
            return name
    return None


def _single_byte(sample: bytes, high: np.ndarray) -> str:
    """Return a Cyrillic encoding if most letters are above 127, by its small letters; else that of Western Europe."""
    letters = sum(65 <= byte <= 90 or 97 <= byte <= 122 for byte in sample)
    if high.size > max(letters, 3):
        small = {
            "cp1251": (high >= 0xE0).mean(),
            "koi8-r": ((high >= 0xC0) & (high < 0xE0)).mean(),
            "cp866": (((high >= 0xA0) & (high < 0xB0)) | ((high >= 0xE0) & (high < 0xF0))).mean(),
        }
        return max(small, key=lambda name: small[name])
    try:
        sample.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _keeps_ascii(name: str) -> bool:
    """Return whether ASCII characters keep their bytes, so that a wrong byte spoils no other line."""
    try:
        return "0,a\n".encode(name).endswith(b"0,a\n")
    except UnicodeError:
        return False
