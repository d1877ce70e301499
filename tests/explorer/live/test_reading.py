"""Live files as imports: what comes back, what is refused with one sentence, and what a hostile file cannot do."""

from __future__ import annotations

import base64
import gzip
import json
import os
import random
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatescope import check, record
from gatescope.errors import GatescopeError
from gatescope.explorer.gallery import Gallery
from gatescope.explorer.live import LiveFileError, LiveOptions, live_run, restore, restore_all
from gatescope.explorer.live.container import Container
from gatescope.explorer.live.page_file import DATA_MARK, live_page
from gatescope.explorer.recorder import Recorder
from gatescope.explorer.wire import TraceRequest
from gatescope.runs import HISTORY, SAMPLES, Run, RunError
from gatescope.studies.common.subjects import load, save
from gatescope.studies.common.table import Table
from gatescope.tasks import Adopted
from tests.explorer.live.examples import PROGRAM, read_apart

SEED = 16
MUTATIONS = 2_000
MAX_PEAK_BYTES = 64 << 20
MEASURED_SHARE = 7  # every seventh mutation, because measuring takes as long as reading; 7 meets every kind
KINDS = ("counter", "text", "opinion", "labels", "frames", "sum", "forecast")


def page_of(run: Run, **options: Any) -> bytes:
    return live_page(run.name, live_run(run, LiveOptions(**options)).container().to_bytes(), PROGRAM)


def block_of(**fields: Any) -> bytes:
    return b"<html>" + DATA_MARK + json.dumps(fields).encode() + b"</script></html>"


def block_with(content: bytes, **fields: Any) -> bytes:
    """Return a page whose data block holds this container."""
    data = base64.b64encode(gzip.compress(content, mtime=0)).decode()
    return block_of(**{"format": 1, "bytes": len(content), "data": data} | fields)


@pytest.mark.parametrize("name", KINDS)
def test_restored_run_computes_the_same(runs: Path, tmp_path: Path, name: str) -> None:
    run = Run(runs / name)
    (tmp_path / "live.html").write_bytes(page_of(run, checkpoints=2))
    restored = restore(tmp_path / "live.html", tmp_path / "restored")
    assert restored.configuration() == run.configuration()
    assert len(restored.checkpoints()) == min(2, len(run.checkpoints()))
    for step in (None, *restored.checkpoints()):
        traces = [record(each.network(step)[0], run.task().examples()[0]) for each in (run, restored)]
        for layer in traces[0].layers:
            for signal, values in traces[0][layer].items():
                np.testing.assert_array_equal(traces[1][layer][signal], values)
    assert restored.network()[1] == run.network()[1]
    assert restored.state(restored.read(HISTORY)[-1]) == run.state(run.read(HISTORY)[-1])
    assert restored.read(SAMPLES) == run.read(SAMPLES)[-20:]
    assert restored.read(HISTORY)[-1]["score"]["value"] == run.read(HISTORY)[-1]["score"]["value"]
    assert restored.settings() == run.settings()


@pytest.mark.parametrize("options", [{}, {"text": False, "half": True, "passages": 0}])
@pytest.mark.parametrize("name", KINDS)
def test_explorer_shows_the_restored_run(runs: Path, tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    """`gatescope explore FILE.html`: every part of the page that needs no corpus, even without texts."""
    (tmp_path / "live.html").write_bytes(page_of(Run(runs / name), **options))
    (tmp_path / "folder").mkdir()
    restore_all(tmp_path / "live.html", tmp_path / "folder")
    details, original = (Gallery([folder]).details(name) for folder in (tmp_path / "folder", runs))
    assert details is not None
    assert original is not None
    assert details["problem"] is None
    assert details["examples"]
    for field in ("state", "layers", "vocabulary", "readout", "step", "score", "history"):
        assert details[field] == original[field], field
    recorder = Recorder()
    request = TraceRequest.from_json({"text": details["examples"][0], "drives": True})
    body, reserved = recorder.answer(Run(tmp_path / "folder" / name), request)
    reserved.release()
    assert body


def test_restored_counter_keeps_its_task_and_tables(copy_of: Callable[[str], Run], tmp_path: Path) -> None:
    run = copy_of("counter")
    columns = ("layer", "feature", "neuron", "on", "on_low", "on_high")
    row = {"layer": "layer0", "feature": "", "neuron": 1, "on": 0.5, "on_low": 0.1, "on_high": 0.9}
    save(run, "ablation", Table.of([row], {name: name for name in columns}))
    for half in (False, True):
        file = tmp_path / f"half-{half}.html"
        file.write_bytes(page_of(run, half=half))
        restored = restore(file, tmp_path / f"restored-{half}")
        assert restored.task().to_json() == run.task().to_json()
        table = load(restored, "ablation")
        # The effects were measured with the weights before rounding.
        assert table is None if half else table is not None and list(table) == [row]


def test_task_with_files_becomes_one_with_examples(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "live.html").write_bytes(page_of(Run(runs / "text")))
    task = restore(tmp_path / "live.html", tmp_path / "restored").task()
    assert isinstance(task, Adopted)
    assert task.source == "text"
    assert task.text == "\n".join(Run(runs / "text").task().examples())
    assert task.held_out(50) == task.text[:50]


def test_restored_run_is_exported_again(runs: Path, tmp_path: Path) -> None:
    """A live file of a restored run restores to the same weights."""
    (tmp_path / "first.html").write_bytes(page_of(Run(runs / "text")))
    first = restore(tmp_path / "first.html", tmp_path / "text")
    (tmp_path / "second.html").write_bytes(page_of(first))
    second = restore(tmp_path / "second.html", tmp_path / "again")
    assert first.weights_mark() == second.weights_mark()
    assert check(record(second.network()[0], "the cat")).holds


def test_occupied_place_is_refused_and_unchanged(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "live.html").write_bytes(page_of(Run(runs / "counter")))
    place = tmp_path / "place"
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="place"):
        restore(tmp_path / "live.html", place)
    assert [file.name for file in place.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("name", "directory"), [("../../evil", "evil"), ("/etc", "etc"), ("..", "run"), ("", "run"), ("a\0b", "a_b")]
)
def test_name_of_a_run_leads_nowhere(runs: Path, tmp_path: Path, name: str, directory: str) -> None:
    live = live_run(Run(runs / "counter"), LiveOptions(passages=0))
    data = {**live.data, "run": {**live.data["run"], "name": name}}
    content = Container({"format": 1, "version": "", "runs": [data]}, live.parts).to_bytes()
    (tmp_path / "live.html").write_bytes(block_with(content))
    folder = tmp_path / "folder"
    folder.mkdir()
    (run,) = restore_all(tmp_path / "live.html", folder)
    assert run.path == folder / directory
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "live.html"]


def test_task_with_paths_in_a_file_is_refused(runs: Path, tmp_path: Path) -> None:
    """A stranger's file must not make this machine read the files that it names."""
    live = live_run(Run(runs / "text"), LiveOptions(passages=0))
    data = {**live.data, "task": Run(runs / "text").task().to_json()}
    content = Container({"format": 1, "version": "", "runs": [data]}, live.parts).to_bytes()
    (tmp_path / "live.html").write_bytes(block_with(content))
    with pytest.raises(GatescopeError, match="names files"):
        restore(tmp_path / "live.html", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "another HTML page"),
        (b"<!doctype html><p>a page</p>", "another HTML page"),
        (b"<html>" + DATA_MARK + b'{"format":1,"bytes":3,"data":"AAA', "cut short"),
        (block_of(format=1, bytes=1, data="AA") * 2, "cut short"),
        (block_of(format=2), "newer gatescope"),
        (block_of(format=True, bytes=1, data=""), "format is missing"),
        (block_of(bytes=1, data=""), "format is missing"),
        (block_of(format=1, bytes=-1, data=""), "cut short"),
        (block_of(format=1, bytes=10, data="%%%"), "damaged"),
        (block_of(format=1, bytes=1 << 40, data="AAAA"), "at most"),
        (block_with(b"abc", bytes=2), "cut short"),
        (block_with(b"abc", bytes=4), "cut short"),
        (block_with(b"abc"), "description"),
        (block_with((1 << 62).to_bytes(8, "little") + b"{}"), "description"),
        (block_with((2).to_bytes(8, "little") + b"[]"), "not a JSON object"),
        (block_with((12).to_bytes(8, "little") + b'{"format":2}'), "newer gatescope"),
    ],
)
def test_damaged_file_is_refused_with_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "live.html").write_bytes(content)
    with pytest.raises(LiveFileError, match=words) as error:
        restore(tmp_path / "live.html", tmp_path / "run")
    assert str(error.value).startswith(str(tmp_path / "live.html"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_data_without_their_checksum_are_refused(runs: Path, tmp_path: Path, cut: int) -> None:
    """All bytes are there, but nothing vouches for them: the end of the gzip stream is missing."""
    content = live_run(Run(runs / "counter"), LiveOptions(passages=0)).container().to_bytes()
    data = base64.b64encode(gzip.compress(content, mtime=0)[:-cut]).decode()
    (tmp_path / "live.html").write_bytes(block_of(format=1, bytes=len(content), data=data))
    with pytest.raises(LiveFileError, match="cut short"):
        restore(tmp_path / "live.html", tmp_path / "run")


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_truncated_file_is_refused(runs: Path, tmp_path: Path, share: float) -> None:
    page = page_of(Run(runs / "counter"))
    start, end = page.index(DATA_MARK) + len(DATA_MARK), page.index(b"</script>", page.index(DATA_MARK))
    (tmp_path / "live.html").write_bytes(page[: start + int(share * (end - start))])
    with pytest.raises(LiveFileError, match="damaged"):
        restore(tmp_path / "live.html", tmp_path / "run")


@pytest.mark.parametrize("claimed", [1_000, 64 << 20, 1 << 30])
def test_bomb_takes_no_memory(tmp_path: Path, claimed: int) -> None:
    """A gigabyte of zeros in a megabyte: refused, whatever size it claims, and never unpacked."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    content = block_of(format=1, bytes=claimed, data=base64.b64encode(bomb).decode())
    (tmp_path / "live.html").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(LiveFileError):
            restore(tmp_path / "live.html", tmp_path / "run")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # zlib doubles its buffer while it fills, so twice the claimed bytes are in memory for a moment.
    assert peak < MAX_PEAK_BYTES + 2 * min(claimed, MAX_PEAK_BYTES)


def test_overlapping_parts_are_refused(tmp_path: Path) -> None:
    """A thousand parts that are the same megabyte would be a gigabyte."""
    header = json.dumps({"format": 1, "runs": [], "parts": [[0, 1 << 20]] * 1000}).encode()
    (tmp_path / "live.html").write_bytes(block_with(len(header).to_bytes(8, "little") + header + os.urandom(1 << 20)))
    with pytest.raises(LiveFileError, match="parts"):
        restore(tmp_path / "live.html", tmp_path / "run")


def test_pipe_and_device_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.html")
    with pytest.raises(LiveFileError, match="pipe"):
        restore(tmp_path / "pipe.html", tmp_path / "run")
    (tmp_path / "device.html").symlink_to("/dev/zero")
    with pytest.raises(LiveFileError, match="device"):
        restore(tmp_path / "device.html", tmp_path / "run")
    with pytest.raises(LiveFileError, match=r"missing\.html"):
        restore(tmp_path / "missing.html", tmp_path / "run")


def _mutated_bytes(random: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(random.randrange(1, 6)):
        place = random.randrange(len(changed))
        kind = random.randrange(4)
        if kind == 0:
            changed[place] = random.randrange(256)
        elif kind == 1:
            del changed[place : place + random.randrange(1, 40)]
        elif kind == 2:
            changed[place:place] = changed[place : place + random.randrange(1, 40)]
        else:
            changed[place : place + 8] = random.randbytes(8)
    return bytes(changed)


VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 10**6, 2**53, -(2**63), 0.5, -0.0, 1e308, "", "a", "layer0", "\u2028", "../x",
    "x" * 999, [], [0], [[]], [None], {}, {"a": 1}, [0] * 999, ["h"] * 3, [[[[[[]]]]]],
)  # fmt: skip


def _mutated_json(random: random.Random, value: Any) -> Any:
    """Return a JSON value in which one entry, somewhere, is replaced or left out."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        if random.random() < 0.1:
            return {name: entry for name, entry in value.items() if name != key}
        return {**value, key: _mutated_json(random, value[key])}
    if isinstance(value, list) and value and random.random() < 0.9:
        place = random.randrange(len(value))
        return [*value[:place], _mutated_json(random, value[place]), *value[place + 1 :]]
    return random.choice(VALUES)


def _container_of(data: Any, parts: Sequence[bytes]) -> bytes:
    header = json.dumps(data).encode()
    return b"".join([len(header).to_bytes(8, "little"), header, *parts])


def test_mutated_files_raise_no_other_error(runs: Path, tmp_path: Path) -> None:
    """Mutations of the file, of the container and of the JSON in it: a run or a GatescopeError, in bounded memory."""
    draws = random.Random(SEED)
    live = live_run(Run(runs / "counter"), LiveOptions(passages=0, checkpoints=1))
    container = live.container()
    content = container.to_bytes()
    page, data = block_with(content), read_apart(block_with(content))[0]
    outcomes = {"run": 0, "error": 0}
    for number in range(MUTATIONS):
        if number % 4 == 3:
            mutated = block_with(_container_of(_mutated_json(draws, data), container.parts))
        elif number % 4 == 2:
            mutated = block_with(_mutated_bytes(draws, content))
        else:
            mutated = _mutated_bytes(draws, page)
        (tmp_path / "live.html").write_bytes(mutated)
        place, is_measured = tmp_path / str(number), number % MEASURED_SHARE == 0
        if is_measured:
            tracemalloc.start()
        try:
            restore(tmp_path / "live.html", place)
            outcomes["run"] += 1
        except GatescopeError:
            outcomes["error"] += 1
            assert not place.exists()
        finally:
            if is_measured:
                assert tracemalloc.get_traced_memory()[1] < MAX_PEAK_BYTES
                tracemalloc.stop()
    assert min(outcomes.values()) > MUTATIONS // 50
    assert not list(tmp_path.glob(".*"))
