"""Runs in zip files: a whole run is unpacked, and whatever a stranger may have put into a zip file is refused."""

from __future__ import annotations

import json
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gatescope import TASKS, Run, Settings, adopting, create_run, train, unpack_run
from gatescope.adopting import run_zip
from gatescope.runs import RunError
from tests.cli.conftest import Cli, cli
from tests.explorer.test_adoptions import Page, folder, page, send

__all__ = ["cli", "folder", "page"]

UPDATES = 20


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of a small run by their names."""
    task = TASKS["counter"](batch=2)
    run = create_run(tmp_path_factory.mktemp("run") / "small", task, settings=Settings(steps=UPDATES, batches="page"))
    train(run, stop=iter([False] * 12 + [True]).__next__)
    paths = [path for path in run.path.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {path.relative_to(run.path).as_posix(): path.read_bytes() for path in paths}


def packed(files: dict[str, bytes], path: Path, folder: str = "small/", method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}{name}", content)
    return path


def code_of(path: Path, place: Path) -> str:
    """Return the code with which a file is refused; nothing of it may be left."""
    with pytest.raises(RunError) as caught:
        unpack_run(path, place)
    assert str(path) in str(caught.value)
    assert not place.exists()
    assert sorted(entry.name for entry in place.parent.iterdir() if entry.name.startswith(".")) == []
    return caught.value.code


@pytest.mark.parametrize("folder", ["", "small/", "a name/"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_unpacked_run_trains_on(files: dict[str, bytes], tmp_path: Path, folder: str, method: int) -> None:
    run = unpack_run(packed(files, tmp_path / "small.zip", folder, method), tmp_path / "new" / "run")
    assert {
        path.relative_to(run.path).as_posix(): path.read_bytes() for path in run.path.rglob("*") if path.is_file()
    } == files
    train(run)
    assert run.checkpoints()[-1] == UPDATES


def test_folders_and_locks_of_a_packed_directory_are_left_out(files: dict[str, bytes], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "run.zip", "w") as archive:
        for folder in ("small/", "small/checkpoints/", "small/checkpoints/step-00000012/"):
            archive.mkdir(folder)
        for name, content in {**files, "training.lock": b""}.items():
            archive.writestr(f"small/{name}", content)
    run = unpack_run(tmp_path / "run.zip", tmp_path / "run")
    assert not (run.path / "training.lock").exists()
    assert run.checkpoints() == [0, 12]


def test_nothing_is_overwritten(files: dict[str, bytes], tmp_path: Path) -> None:
    path = packed(files, tmp_path / "small.zip")
    place = tmp_path / "run"
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="with other files"):
        unpack_run(path, place)
    assert [entry.name for entry in place.iterdir()] == ["mine.txt"]
    (place / "mine.txt").unlink()
    unpack_run(path, place)
    with pytest.raises(RunError, match="got a run"):
        unpack_run(path, place)


def with_entry(name: str, content: bytes = b"{}", mode: int = 0) -> Callable[[dict[str, bytes], Path], None]:
    """Return a function that packs a run and one more entry."""

    def pack(files: dict[str, bytes], path: Path) -> None:
        packed(files, path)
        with zipfile.ZipFile(path, "a") as archive:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            with warnings.catch_warnings(action="ignore"):  # zipfile warns of a repeated name
                archive.writestr(info, content)

    return pack


def edited(change: Callable[[bytearray], None]) -> Callable[[dict[str, bytes], Path], None]:
    """Return a function that packs a run and changes the bytes of the file."""

    def pack(files: dict[str, bytes], path: Path) -> None:
        content = bytearray(packed(files, path).read_bytes())
        change(content)
        path.write_bytes(content)

    return pack


def changed(**contents: bytes | None) -> Callable[[dict[str, bytes], Path], None]:
    """Return a function that packs a run with other files, or without those that are None."""

    def pack(files: dict[str, bytes], path: Path) -> None:
        names = {name.partition(".")[0]: name for name in files}
        others = {names.get(name, f"{name}.txt"): content for name, content in contents.items()}
        packed({name: content for name, content in {**files, **others}.items() if content is not None}, path)

    return pack


def encrypt(content: bytearray) -> None:
    """Set the flag of encryption of every entry."""
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + place] |= 1
            at = content.find(mark, at + 1)


def flip(content: bytearray) -> None:
    at = content.find(b"network.json") + 40
    content[at] ^= 1


def cut(content: bytearray) -> None:
    del content[-100:]


def announce_less(content: bytearray) -> None:
    """Let the first entry announce fewer bytes than it has."""
    at = content.find(b"PK\x01\x02")
    content[at + 24 : at + 28] = (10).to_bytes(4, "little")


def claim_entries(content: bytearray) -> None:
    content[-12:-10] = (60_000).to_bytes(2, "little")


def bomb(files: dict[str, bytes], path: Path) -> None:
    packed({**files, "samples.jsonl": b" " * (300 << 20)}, path, method=zipfile.ZIP_DEFLATED)


def rare_method(files: dict[str, bytes], path: Path) -> None:
    packed(files, path, method=zipfile.ZIP_BZIP2)


def many(files: dict[str, bytes], path: Path) -> None:
    more = {f"checkpoints/step-{step:08d}/progress.json": b"" for step in range(100, 11_000)}
    packed({**files, **more}, path)


TASK = {"name": "text", "title": "", "question": "", "paths": ["/etc/passwd"]}


@pytest.mark.parametrize(
    ("pack", "code"),
    [
        (with_entry("../outside.json"), "RUN_ZIP_NAME"),
        (with_entry("small/../../outside.json"), "RUN_ZIP_NAME"),
        (with_entry("/tmp/outside.json"), "RUN_ZIP_NAME"),
        (with_entry("C:\\outside.json"), "RUN_ZIP_NAME"),
        (with_entry("small\\task.json"), "RUN_ZIP_NAME"),
        (with_entry("small/checkpoints/step-00000001/evil.pt"), "RUN_ZIP_NAME"),
        (with_entry("small/studies/../task.json"), "RUN_ZIP_NAME"),
        (with_entry("other/task.json"), "RUN_ZIP_NAME"),
        (with_entry("small/evil.py"), "RUN_ZIP_NAME"),
        (with_entry("small/task.json\0.txt"), "RUN_ZIP_REPEATED"),
        (with_entry("small/task.json"), "RUN_ZIP_REPEATED"),
        (with_entry("small/samples.jsonl", b"/etc/passwd", stat.S_IFLNK | 0o777), "RUN_ZIP_KIND"),
        (with_entry("small/samples.jsonl", b"", stat.S_IFIFO | 0o666), "RUN_ZIP_KIND"),
        (with_entry("small/samples.jsonl", b"", stat.S_IFCHR | 0o666), "RUN_ZIP_KIND"),
        (edited(encrypt), "RUN_ZIP_KIND"),
        (rare_method, "RUN_ZIP_KIND"),
        (bomb, "RUN_ZIP_TOO_LARGE"),
        (many, "RUN_ZIP_FILES"),
        (edited(claim_entries), "RUN_ZIP_FILES"),
        (edited(cut), "RUN_ZIP_DAMAGED"),
        (edited(flip), "RUN_ZIP_DAMAGED"),
        (edited(announce_less), "RUN_ZIP_DAMAGED"),
        (edited(lambda content: content.extend(b"more")), "RUN_ZIP_DAMAGED"),
        (edited(lambda content: content.clear()), "RUN_ZIP_DAMAGED"),
        (changed(weights=None), "RUN_ZIP_HALF"),
        (changed(network=None), "RUN_ZIP_HALF"),
        (changed(task=None, training=None), "RUN_ZIP_HALF"),
        (changed(task=b"{"), "RUN_ZIP_CONTENT"),
        (changed(network=b"[" * 100_000), "RUN_ZIP_CONTENT"),
        (changed(training=b'{"steps": "many"}'), "RUN_ZIP_CONTENT"),
        (changed(weights=b"\xff" * 100), "RUN_ZIP_CONTENT"),
        (changed(task=json.dumps(TASK).encode()), "RUN_ZIP_CONTENT"),
        (changed(text=b"a text without a task"), "RUN_ZIP_TASK_FILES"),
    ],
)
def test_hostile_file_is_refused(
    files: dict[str, bytes], tmp_path: Path, pack: Callable[[dict[str, bytes], Path], None], code: str
) -> None:
    path = tmp_path / "small.zip"
    pack(files, path)
    assert code_of(path, tmp_path / "run") == code
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["small.zip"]


@pytest.mark.parametrize("paths", [["/etc/passwd"], ["../text.txt"], ["text.txt", "task.json"], "text.txt"])
def test_task_reads_no_file_of_this_machine(tmp_path: Path, paths: list[str] | str) -> None:
    """A run of a text has the path of its text; in a zip file only the text of the run itself may be named."""
    (tmp_path / "prose.txt").write_text("It was the best of times, it was the worst of times.\n" * 20)
    task = TASKS["text"]([tmp_path / "prose.txt"])
    run = create_run(tmp_path / "prose", task, settings=Settings(steps=2))
    train(run)
    files = {
        path.relative_to(run.path).as_posix(): path.read_bytes() for path in run.path.rglob("*.*") if path.is_file()
    }
    del files["training.lock"]
    files["text.txt"] = (tmp_path / "prose.txt").read_bytes()
    described = json.loads(files["task.json"])
    files["task.json"] = json.dumps({**described, "paths": ["text.txt"]}).encode()
    unpacked = unpack_run(packed(files, tmp_path / "good.zip"), tmp_path / "good")
    assert unpacked.task().examples() == task.examples()
    train(unpacked, steps=4)
    files["task.json"] = json.dumps({**described, "paths": paths}).encode()
    assert code_of(packed(files, tmp_path / "bad.zip"), tmp_path / "bad") in ("RUN_ZIP_TASK_FILES", "RUN_ZIP_CONTENT")


@pytest.mark.parametrize("kind", ["folder", "nothing", "too large"])
def test_path_that_is_no_file_is_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.zip"
    if kind == "folder":
        path.mkdir()
    elif kind == "too large":
        monkeypatch.setattr(run_zip, "MAX_ZIP_BYTES", 10)
        path.write_bytes(b"PK" * 10)
    assert code_of(path, tmp_path / "run") in ("FILE_IS_FOLDER", "FILE_NOT_FOUND", "FILE_TOO_LARGE")


def test_every_command_takes_an_unpacked_run(cli: Cli, files: dict[str, bytes], tmp_path: Path) -> None:
    packed(files, tmp_path / "small.zip")
    assert "runs/small: the run in small.zip, weights of step 0." in cli("adopt", "small.zip").out
    answer = json.loads(cli("adopt", "small.zip", "--json").out)
    assert answer == {"run": "runs/small-2", "format": "a zip file of a run", "training_step": 0}
    assert "--vocabulary" in cli("adopt", "small.zip", "--vocabulary", "bytes").refused()
    for command in (
        ["check", "small"],
        ["health", "small"],
        ["label", "small"],
        ["ablate", "small"],
        ["record", "small", "aaX"],
        ["sample", "small", "--length", "5"],
        ["predict", "small", "aaX"],
        ["weights", "small"],
        ["snapshot", "small", "--at", "X"],
        ["export", "small", "small.html"],
        ["runs"],
        ["train", "--resume", "--run", "runs/small"],
    ):
        result = cli(*command)
        assert result.status == 0, (command, result.err)
    assert Run(tmp_path / "runs" / "small").checkpoints()[-1] == UPDATES


def test_dropped_zip_file_becomes_a_run(page: Page, folder: Path, files: dict[str, bytes], tmp_path: Path) -> None:
    content = packed(files, tmp_path / "small.zip").read_bytes()
    answer = send(page, content, file="small.zip").json()
    assert (answer["run"], answer["questions"]) == ("small", [])
    assert Run(folder / "small").checkpoints() == [0, 12]
    refused = send(page, content[:-50], file="small.zip")
    assert (refused.status_code, refused.json()["code"]) == (409, "RUN_ZIP_DAMAGED")
    assert sorted(entry.name for entry in folder.iterdir()) == ["small"]


def test_archives_of_other_formats_are_no_runs() -> None:
    assert adopting.is_run_zip(Path("a.ZIP"))
    assert not adopting.is_run_zip(Path("model.pt"))
