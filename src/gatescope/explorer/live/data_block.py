"""Reading live files: the data block of an HTML file alone, with every size bounded before memory is taken for it."""

from __future__ import annotations

import binascii
import json
import os
import zlib
from base64 import b64decode
from pathlib import Path

from gatescope.explorer.live.container import MAX_DATA_BYTES, Container, LiveFileError, check_format, damaged
from gatescope.explorer.live.page_file import DATA_MARK
from gatescope.files import FileError, read_regular
from gatescope.messages import Message
from gatescope.runs.records import shortened

MAX_FILE_BYTES = 384 << 20
MAX_EXPANSION = 200  # times its size that compressed data may unpack to; histories and tables reach about 20
SLACK_BYTES = 1 << 20
SUFFIXES = (".html", ".htm")
GZIP = 16 + zlib.MAX_WBITS


def is_live_file(path: Path) -> bool:
    """Return whether a path names a live file rather than a run directory, by its suffix."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def read_live_file(path: str | os.PathLike[str]) -> Container:
    """Read the data of a live file. Nothing else of the file is looked at, and no script in it runs.

    Args:
        path: the HTML file.

    Raises:
        LiveFileError: the file cannot be read, is no live file, is damaged, or was written by a newer version.
    """
    name = str(path)
    try:
        content = read_regular(path, MAX_FILE_BYTES)
    except FileError as error:
        raise LiveFileError(error.message) from error
    return Container.from_bytes(_unpacked(_block(content, name), name), name)


def _block(content: bytes, name: str) -> bytes:
    """Return the JSON in the data block.

    Raises:
        LiveFileError: the file has no data block, several, or one that does not end.
    """
    start = content.find(DATA_MARK)
    if start < 0:
        raise LiveFileError("LIVE_FILE_FOREIGN", file=name)
    start += len(DATA_MARK)
    end = content.find(b"<", start)
    if end < 0 or content.find(DATA_MARK, end) >= 0:
        raise damaged(name, Message("LIVE_BLOCK_CUT_SHORT"))
    return content[start:end]


def _unpacked(block: bytes, name: str) -> bytes:
    """Return the bytes of the container in the data block.

    Raises:
        LiveFileError: the block is damaged, of a newer format, or claims to hold too much.
    """
    try:
        fields = json.loads(block)
    except (ValueError, RecursionError) as error:
        raise damaged(name, shortened(error)) from error
    if not isinstance(fields, dict):
        raise damaged(name, Message("LIVE_DESCRIPTION_NOT_OBJECT"))
    check_format(fields.get("format"), name)
    size, data = fields.get("bytes"), fields.get("data")
    if type(size) is not int or size < 0 or not isinstance(data, str):
        raise damaged(name, Message("LIVE_BLOCK_CUT_SHORT"))
    limit = min(MAX_DATA_BYTES, SLACK_BYTES + MAX_EXPANSION * len(data))
    if size > limit:
        raise LiveFileError("LIVE_DATA_TOO_LARGE", file=name, size=size, limit=limit)
    try:
        unpacker = zlib.decompressobj(GZIP)
        content = unpacker.decompress(b64decode(data, validate=True), size + 1)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise damaged(name, shortened(error)) from error
    # `eof` is true once the checksum at the end was read and is right.
    if len(content) != size or not unpacker.eof or unpacker.unused_data:
        raise damaged(name, Message("LIVE_BLOCK_CUT_SHORT"))
    return content
