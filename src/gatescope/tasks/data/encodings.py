"""Bytes of a text file as text: which encoding they are in, what else is refused, and which one is guessed then.

UTF-8 is expected, and UTF-16 and UTF-32 where a byte order mark says so. Anything else has to be named: a guess goes
into the message, never into the data.
"""

from __future__ import annotations

import codecs
import os
import re

import numpy as np

from gatescope.errors import setting
from gatescope.tasks.base.task import TaskError

SAMPLE_BYTES = 1 << 16
"""How much of a file a guess looks at."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Codecs of Python that are no encodings of text files; some need quadratic time.
_NOT_OF_FILES = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem", "utf-7"}
_HAN_KANA_HANGUL = re.compile("[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff00-\uffef]")
_KANA = re.compile("[\u3041-\u30ff]")
_EVERYDAY = re.compile(
    "[\t\r\n -~\u00a0-\u024f\u0370-\u06ff\u2010-\u2026\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]"
)
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")


def checked_encoding(name: str) -> str:
    """Return the name of an encoding as Python calls it.

    Raises:
        TaskError: Python has no such encoding of text.
    """
    found = ""
    try:
        b"0".decode(name)  # a LookupError for what is no encoding of text, such as hex
        found = codecs.lookup(name).name
    except UnicodeError:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        pass
    if not found or found.replace("_", "-") in _NOT_OF_FILES:
        raise TaskError("ENCODINGS_ENCODING_NAME_ENCODING_SUCH", name=name)
    return found


def encoding_of(data: bytes, encoding: str | None) -> str:
    """Return the encoding to decode with: the given one, that of the byte order mark, or UTF-8.

    Args:
        data: the file or its beginning.
        encoding: as the reader named it.

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
        path: how messages call it.
        encoding: None: UTF-8, or what the byte order mark says; zero bytes are refused then.
        lenient: decode what is wrong to lone surrogates, one for each byte, instead of refusing the file.

    Raises:
        TaskError: the bytes are in another encoding, or no text; the message has a guess where there is one.
    """
    name = encoding_of(data, encoding)
    if encoding is None and not name.startswith(("utf-16", "utf-32")) and b"\0" in data:
        raise TaskError(_zero_bytes(data, path))
    errors = "surrogateescape" if lenient and _keeps_ascii(name) else "strict"
    try:
        return data.decode(name, errors).removeprefix("\ufeff")
    except UnicodeError as error:
        place = getattr(error, "start", 0)
        byte = f"the byte {data[place] if data else 0:#04x} at offset {place:,}"
        what = "UTF-8" if name == "utf-8-sig" else name
        raise TaskError(
            "ENCODINGS_TEXT_CONVERT_FILE_UTF", path=path, what=what, byte=byte, advice=advice(data, encoding)
        ) from error


def unfit(start: bytes, encoding: str | None = None, *, whole: bool = False) -> str | None:
    """Return why a file that nobody named is no text, from its first bytes; None: it looks like text.

    Args:
        start: the first bytes of the file.
        encoding: as in `decoded`.
        whole: whether these are all bytes of the file.
    """
    name = encoding_of(start, encoding)
    if b"\0" in start and (encoding is None or _keeps_ascii(name)) and not name.startswith(("utf-16", "utf-32")):
        return "binary"
    try:
        codecs.getincrementaldecoder(name)().decode(start, whole)
    except UnicodeError as error:  # UTF-16 without its byte order mark is a plain one
        return f"not {'UTF-8' if name == 'utf-8-sig' else name} at byte {getattr(error, 'start', 0):,}"
    return None


def advice(data: bytes, encoding: str | None = None) -> str:
    """Return how to read bytes that are no UTF-8, without a full stop.

    Args:
        data: the file or its beginning.
        encoding: the one that did not fit, which is not suggested again.
    """
    guess = guessed(data)
    if guess is None or guess == encoding:
        return f"Say which encoding it is in with {setting('encoding', None)}"
    return f"It looks like {guess}: read it with {setting('encoding', guess)}"


def guessed(data: bytes) -> str | None:
    """Return the encoding that bytes without a byte order mark seem to be in; None: they look like no text.

    Args:
        data: the file or its beginning. 64 kB around the first byte above 127 are looked at.
    """
    if b"\0" in data[:SAMPLE_BYTES]:
        return _wide(data[:SAMPLE_BYTES])
    first = _HIGH_RUN.search(data)
    if first is None:
        return None
    sample = data[max(0, first.start() - SAMPLE_BYTES // 2) :][:SAMPLE_BYTES]
    runs = _HIGH_RUN.findall(sample)
    high = np.frombuffer(b"".join(runs), np.uint8)
    return _east_asian(sample, runs, high) or _single_byte(sample, high)


def _wide(sample: bytes) -> str | None:
    """UTF-16 or UTF-32 without a byte order mark: the one that gives the most characters of everyday texts."""
    found: dict[str, float] = {}
    for name, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        text = sample.decode(name, "replace") if len(sample) % width == 0 else "\0"
        found[name] = len(_EVERYDAY.findall(text)) / len(text)
    best = max(found, key=lambda name: found[name])
    return best if found[best] > 0.9 else None


def _east_asian(sample: bytes, runs: list[bytes], high: np.ndarray) -> str | None:
    """A Chinese, Japanese or Korean encoding, by which characters are frequent."""
    if sum(len(run) % 2 == 0 for run in runs) >= 0.98 * len(runs):  # two bytes above 127 for each character
        leads = np.frombuffer(b"".join(run[: len(run) // 2 * 2] for run in runs), np.uint8)[::2]
        letters = leads[leads > 0xA3]
        if letters.size and np.isin(letters, (0xA4, 0xA5)).mean() > 0.2:
            return "euc_jp"
        if letters.size and ((letters >= 0xB0) & (letters <= 0xC8)).mean() > 0.95 and letters.size >= 8:
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
    """A Cyrillic encoding where most letters are above 127, by its small letters; else the one of Western Europe."""
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
    """Whether ASCII characters are one byte of the same number, so that a wrong byte spoils no other line."""
    try:
        return "0,a\n".encode(name).endswith(b"0,a\n")
    except UnicodeError:
        return False


def _zero_bytes(data: bytes, path: str | os.PathLike[str]) -> str:
    guess = guessed(data)
    if guess is None:
        return f"{path}: expected UTF-8 text, got a binary file (it has zero bytes). Give a file of text."
    return (
        f"{path}: expected UTF-8 text, got zero bytes between characters. It looks like {guess}: read it with "
        f"{setting('encoding', guess)}, or convert the file to UTF-8."
    )
