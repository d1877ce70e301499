"""The container of a live file: a JSON object and binary parts, the LiveData of web/src/data/live-data.ts.

8 bytes            length J of the JSON, little-endian
J bytes            the JSON, UTF-8
the rest           the parts, one after the other; "parts" of the JSON has the first byte and the size of each
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatescope.errors import GatescopeError
from gatescope.messages import Message
from gatescope.runs.records import finite, parse, shortened

FORMAT = 1
LENGTH_BYTES = 8
MAX_JSON_BYTES = 64 << 20  # as of the JSON files of a run
MAX_DATA_BYTES = 256 << 20  # of a whole container


class LiveFileError(GatescopeError):
    """A live file that cannot be written or read; the message names the file and the reason."""


@dataclass(frozen=True)
class Container:
    """The data of a live file.

    Attributes:
        data: the JSON object, without "parts".
        parts: the binary parts, each in the safetensors layout; the object refers to them by number.
    """

    data: Mapping[str, Any]
    parts: Sequence[bytes]

    def to_bytes(self) -> bytes:
        """Return the container as bytes, the same for the same data."""
        places, offset = [], 0
        for part in self.parts:
            places.append([offset, len(part)])
            offset += len(part)
        content = finite({**self.data, "parts": places})
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        header = text.encode("utf-8", "replace")  # half of a surrogate pair becomes a question mark
        return b"".join([len(header).to_bytes(LENGTH_BYTES, "little"), header, *self.parts])

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> Container:
        """Return the container in some bytes.

        Args:
            content: what `to_bytes` returned.
            name: the name of the file, for messages.

        Raises:
            LiveFileError: the bytes are no container, or one of a newer format.
        """
        length = int.from_bytes(content[:LENGTH_BYTES], "little")
        if len(content) < LENGTH_BYTES or LENGTH_BYTES + length > len(content) or length > MAX_JSON_BYTES:
            raise damaged(name, Message("LIVE_DESCRIPTION_CUT_SHORT"))
        try:
            data = parse(content[LENGTH_BYTES : LENGTH_BYTES + length].decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise damaged(name, shortened(error)) from error
        if not isinstance(data, dict):
            raise damaged(name, Message("LIVE_DESCRIPTION_NOT_OBJECT"))
        check_format(data.get("format"), name)
        places, start = data.pop("parts", None), LENGTH_BYTES + length
        if not isinstance(places, list) or not all(_is_place(place) for place in places):
            raise damaged(name, Message("LIVE_PARTS_DAMAGED"))
        ends = [offset + size for offset, size in places]
        # Parts that overlap would multiply the memory that a small file takes.
        if max(ends, default=0) > len(content) - start or sum(size for _, size in places) > len(content) - start:
            raise damaged(name, Message("LIVE_PARTS_DAMAGED"))
        return cls(data, [content[start + offset : start + offset + size] for offset, size in places])


def check_format(version: object, name: str) -> None:
    """Check the format of a live file.

    Args:
        version: its number.
        name: the name of the file, for messages.

    Raises:
        LiveFileError: the file is damaged, or was written by a newer version.
    """
    if type(version) is not int or version < 1:
        raise damaged(name, Message("LIVE_FORMAT_MISSING"))
    if version > FORMAT:
        raise LiveFileError("LIVE_FILE_NEWER", file=name, newest=FORMAT, version=version)


def damaged(name: str, reason: object) -> LiveFileError:
    """Return the error for a live file whose data are damaged.

    Args:
        name: the name of the file.
        reason: what is wrong, as part of a sentence.
    """
    return LiveFileError("LIVE_FILE_DAMAGED", file=name, reason=str(reason).rstrip("."))


def _is_place(place: Any) -> bool:
    return isinstance(place, list) and len(place) == 2 and all(type(number) is int and number >= 0 for number in place)
