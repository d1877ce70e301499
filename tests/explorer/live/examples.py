"""Runs of every kind of task for the tests of live files, a program of a few bytes, and a reader written apart."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import lzma
import re
import struct
import zlib
from pathlib import Path
from typing import Any

from gatescope import TASKS, Settings, configure, create_run, train
from gatescope.explorer.live.program import Program
from gatescope.tasks import Task, Text
from tests.web.examples import train_kinds

HOSTILE = "</script><script>alert(1)</script><!--]]>\u2028\u2029&amp;\"'"
SECRET = "jane-doe-secret-folder"
PROGRAM = Program(
    boot=b"(function(){})()",
    unpack=b"var gatescope={}",
    packed=b"the program as an archive",
    icon=b"<svg/>",
    notices=b"A licence <of> someone",
)
LINE = "the cat sees the dog. (a bird) runs.\n"


def train_runs(folder: Path) -> Path:
    """Train counter, text and one run for each other kind of network in `folder`, and return it."""
    train_kinds(folder)
    counter = TASKS["counter"]()
    _train(folder / "counter", counter, steps=250, validate_every=50)
    notes = folder / SECRET / "notes.txt"
    notes.parent.mkdir()
    notes.write_text(LINE * 150, encoding="utf-8")
    (notes.parent / "picture.png").write_bytes(b"\x89PNG\0\0\0\0")
    text = Text([notes.parent])
    _train(folder / "text", text, neurons=[6], steps=30)
    return folder


def _train(path: Path, task: Task, *, neurons: list[int] | None = None, **settings: Any) -> None:
    configuration = None if neurons is None else configure(task.vocabulary, "lstm", neurons)
    train(create_run(path, task, configuration, Settings.recommended(task, **settings)))


def read_apart(page: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Return the JSON and the parts of a live file, by the description in web/src/data/live-data.ts alone."""
    block = re.search(rb'<script type="application/json" id="gatescope-data">([^<]*)</script>', page)
    assert block is not None
    content = gzip.decompress(base64.b64decode(json.loads(block[1])["data"]))
    length = int.from_bytes(content[:8], "little")
    data = json.loads(content[8 : 8 + length])
    rest = content[8 + length :]
    return data, [rest[offset : offset + size] for offset, size in data["parts"]]


def unpack_apart(packed: bytes) -> list[bytes]:
    """Return the parts of a packed program, by the description in web/live/unpack.ts alone, with Python's own LZMA."""
    checksum, count = struct.unpack_from("<2I", packed)
    content = lzma.decompress(packed[8:], format=lzma.FORMAT_ALONE)
    assert zlib.crc32(content) == checksum
    sizes = struct.unpack_from(f"<{count}I", content)
    ends = list(itertools.accumulate(sizes, initial=4 * count))
    assert ends[-1] == len(content)
    return [content[start:end] for start, end in itertools.pairwise(ends)]
