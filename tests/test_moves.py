"""Renaming, deleting and restoring runs: nothing is ever lost, and nothing outside the folder of runs is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gatescope import TASKS, Run, Settings, configure, create_run, find_runs, train
from gatescope.runs import RunError
from gatescope.runs.moves import (
    TRASH,
    delete_run,
    deleted_runs,
    empty_trash,
    rename_run,
    restore_run,
)
from tests.waiting import PATIENCE

TASK = TASKS["counter"](batch=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    train(create_run(folder / "one", TASK, configure(TASK.vocabulary, "gru", (3,)), Settings(2, validate_every=1)))
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "runs"))


def content_of(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def code_of(act: object, *arguments: object) -> str:
    assert callable(act)
    with pytest.raises(RunError) as raised:
        act(*arguments)
    return raised.value.code


# --- delete and undo -------------------------------------------------------------------------------------------------


def test_deleted_run_comes_back_whole(folder: Path) -> None:
    before = content_of(folder / "one")
    deleted = delete_run(folder / "one")
    assert find_runs(folder) == []
    assert deleted_runs(folder) == [deleted]
    assert deleted.name == "one"
    assert time.time() - 60 < time.mktime(time.strptime(deleted.deleted, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    assert deleted.path.parent.parent == folder / TRASH
    assert restore_run(folder, deleted.id) == folder / "one"
    assert content_of(folder / "one") == before
    assert deleted_runs(folder) == []
    assert list((folder / TRASH).iterdir()) == []


def test_two_deleted_runs_of_one_name_are_both_kept(folder: Path) -> None:
    shutil.copytree(folder / "one", folder / "two")
    first = delete_run(folder / "one")
    rename_run(folder / "two", "one")
    second = delete_run(folder / "one")
    assert {run.id for run in deleted_runs(folder)} == {first.id, second.id}
    restore_run(folder, first.id)
    assert code_of(restore_run, folder, second.id) == "RUN_NAME_TAKEN"
    assert restore_run(folder, second.id, "two") == folder / "two"
    assert sorted(run.name for run in find_runs(folder)) == ["one", "two"]


@pytest.mark.parametrize("entry", ["", ".", "..", "../one", "/etc", "20260131T120000Z-00000000", "one", "\x00"])
def test_unknown_entry_of_the_trash_is_refused(folder: Path, entry: str) -> None:
    delete_run(folder / "one")
    assert code_of(restore_run, folder, entry) == "TRASH_RUN_UNKNOWN"


def test_restored_run_gets_no_odd_name(folder: Path) -> None:
    deleted = delete_run(folder / "one")
    assert code_of(restore_run, folder, deleted.id, "../escaped") == "RUN_NAME_CHARACTER"
    assert deleted_runs(folder) == [deleted]


def test_trash_removes_its_own_entries_only(folder: Path) -> None:
    shutil.copytree(folder / "one", folder / "two")
    delete_run(folder / "one")
    (folder / TRASH / "notes.txt").write_text("mine")
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    (folder / TRASH / "20260131T120000Z-00000000").symlink_to(outside)
    (deleted_runs(folder)[0].path / "link").symlink_to(outside)
    assert empty_trash(folder) == 1
    assert deleted_runs(folder) == []
    assert (outside / "precious").read_text() == "mine"
    assert sorted(path.name for path in (folder / TRASH).iterdir()) == ["20260131T120000Z-00000000", "notes.txt"]
    assert [run.name for run in find_runs(folder)] == ["two"]
    assert empty_trash(folder) == 0


def test_half_removed_run_is_not_offered(folder: Path) -> None:
    """A process that was killed while it emptied the trash leaves a half; emptying it again removes the half."""
    deleted = delete_run(folder / "one")
    deleted.path.parent.rename(deleted.path.parent.with_name(deleted.id + ".emptying"))
    assert deleted_runs(folder) == []
    empty_trash(folder)
    assert list((folder / TRASH).iterdir()) == []


# --- what is refused -------------------------------------------------------------------------------------------------


def test_run_that_is_trained_is_not_moved(folder: Path) -> None:
    run = Run(folder / "one")
    with run.training():
        assert code_of(rename_run, run.path, "two") == "RUN_MOVE_IN_TRAINING"
        assert code_of(delete_run, run.path) == "RUN_MOVE_IN_TRAINING"
    assert [run.name for run in find_runs(folder)] == ["one"]
    rename_run(run.path, "two")


def test_run_whose_training_starts_is_not_moved(tmp_path: Path) -> None:
    """The lock of the training is not taken yet while it reads its data."""
    run = create_run(tmp_path / "new", TASK, configure(TASK.vocabulary, "gru", (3,)), Settings(2))
    assert code_of(delete_run, run.path) == "RUN_MOVE_IN_TRAINING"


def test_link_is_not_moved(folder: Path, tmp_path: Path) -> None:
    (folder / "link").symlink_to(folder / "one")
    assert code_of(delete_run, folder / "link") == "RUN_IS_LINK"
    assert code_of(rename_run, folder / "link", "two") == "RUN_IS_LINK"
    assert (folder / "link").is_symlink()


@pytest.mark.parametrize("kind", ["file", "pipe", "link"])
def test_trash_that_is_no_folder_is_a_sentence(folder: Path, tmp_path: Path, kind: str) -> None:
    trash = folder / TRASH
    if kind == "file":
        trash.write_text("")
    elif kind == "pipe":
        os.mkfifo(trash)
    else:
        trash.symlink_to(tmp_path)
    for act in (delete_run, deleted_runs, empty_trash):
        assert code_of(act, folder / "one" if act is delete_run else folder) == "TRASH_NO_FOLDER"
    assert [run.name for run in find_runs(folder)] == ["one"]


@pytest.mark.parametrize("name", [".trash", "."])
def test_name_of_the_trash_is_not_given(folder: Path, name: str) -> None:
    assert code_of(rename_run, folder / "one", name) == "RUN_NAME_ENDS"


def test_run_of_another_user_is_not_moved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: (folder / "one").stat().st_uid + 1)
    assert code_of(delete_run, folder / "one") == "RUN_OF_OTHER_USER"
    assert code_of(rename_run, folder / "one", "two") == "RUN_OF_OTHER_USER"


@pytest.mark.parametrize("error", ["EXDEV", "EACCES", "EROFS", "ENOSPC"])
def test_refusal_of_the_system_leaves_the_run(folder: Path, error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another disk, a folder that cannot be written, or a full disk: one sentence, and the run is where it was."""
    import errno

    before = content_of(folder / "one")

    def refuse(self: Path, target: Path) -> None:
        raise OSError(getattr(errno, error), os.strerror(getattr(errno, error)), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        expected = "RUN_MOVE_DISK" if error == "EXDEV" else "RUN_MOVE_REFUSED"
        assert code_of(delete_run, folder / "one") == expected
        assert code_of(rename_run, folder / "one", "two") == expected
    after = content_of(folder / "one")
    assert {name: after[name] for name in before} == before
    assert deleted_runs(folder) == []
    assert list((folder / TRASH).iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write in every folder")
def test_read_only_folder_is_a_sentence(folder: Path) -> None:
    folder.chmod(0o555)
    try:
        assert code_of(rename_run, folder / "one", "two") == "RUN_MOVE_REFUSED"
        assert code_of(delete_run, folder / "one") == "FILE_WRITE_DENIED"
    finally:
        folder.chmod(0o755)


# --- at the same time ------------------------------------------------------------------------------------------------


def test_run_is_trained_or_moved_never_both(folder: Path) -> None:
    """Whoever comes first wins: a training of a run that moves under it ends with a sentence, and starts no second one.

    The one thread opens and locks the run again and again, the other one renames it to and fro.
    """
    path, other = folder / "one", folder / "two"
    stop, unexpected, trained = threading.Event(), list[BaseException](), 0

    def move() -> None:
        source, target = path, other
        while not stop.is_set():
            try:
                rename_run(source, target.name)
                source, target = target, source
            except RunError as error:
                if error.code not in ("RUN_MOVE_IN_TRAINING", "RUN_MISSING"):
                    unexpected.append(error)

    mover = threading.Thread(target=move)
    mover.start()
    try:
        end = time.monotonic() + PATIENCE
        while trained < 20:
            assert time.monotonic() < end
            try:
                with Run(path).training():
                    # As long as it is locked, the run stays where it is.
                    for _ in range(20):
                        assert (path / "weights.safetensors").is_file()
                    trained += 1
            except RunError as error:
                if error.code not in ("RUN_IN_TRAINING", "RUN_MISSING", "FILE_UNWRITABLE"):
                    unexpected.append(error)
    finally:
        stop.set()
        mover.join()
    assert unexpected == []
    assert len(find_runs(folder)) == 1


KILLED = """
import os, signal, sys, time
from pathlib import Path
from gatescope.runs.moves import delete_run, rename_run, restore_run
folder = Path(sys.argv[1])
for line in sys.stdin:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"x")
        while True:
            deleted = delete_run(folder / "one")
            restore_run(folder, deleted.id)
            rename_run(folder / "one", "two")
            rename_run(folder / "two", "one")
    os.read(reading, 1)
    time.sleep(float(line))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print("killed", flush=True)
"""
"""Begins to move a run without end, and kills itself after each delay that it reads."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is killed as POSIX does")
def test_killed_process_leaves_the_whole_run(folder: Path) -> None:
    """kill -9 at any moment of a deletion, its undo or a renaming leaves every file of the run in one place."""
    before = {name: content for name, content in content_of(folder / "one").items() if name != "training.lock"}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for k in range(40):
            process.stdin.write(f"{0.0003 * k}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "killed\n"
            places = [run.path for run in find_runs(folder)] + [run.path for run in deleted_runs(folder)]
            assert len(places) == 1
            after = {name: content for name, content in content_of(places[0]).items() if name != "training.lock"}
            assert after == before
            if places[0] != folder / "one":
                places[0].rename(folder / "one")
        process.stdin.close()
    Run(folder / "one").network()


def test_findings_survive_copy_and_further_training(folder: Path) -> None:
    from gatescope.runs.run_findings import add_finding
    from gatescope.runs.tags import change_tags

    run = Run(folder / "one")
    add_finding(run.path, {"view": "neuron", "neuron": "1"}, "It counts.")
    change_tags(run.path, ["good"])
    train(run, steps=4)
    copy = Run(shutil.copytree(run.path, folder / "copy"))
    (finding,) = copy.findings()
    assert (finding.view, finding.sentence, copy.tags()) == ({"view": "neuron", "neuron": "1"}, "It counts.", ["good"])
    assert json.loads((copy.path / "findings.json").read_text())["format"] == 1
