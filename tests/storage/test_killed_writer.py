"""A writer that is killed at any instant leaves a whole trace of its finished pieces."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gatescope.storage import open_trace, save_trace
from gatescope.trace import TraceError
from tests.reference.traces import make
from tests.storage.traces import assert_same_trace, piece_of
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]

# One process imports the package and forks the writers that will be killed.
KILLED = """
import os, pathlib, random, shutil, signal, sys, time
from tests.reference.traces import make
from tests.storage.traces import piece_of
from gatescope.storage import Writer, save_trace

folder, mode = pathlib.Path(sys.argv[1]), sys.argv[2]
old, new = make(["feedforward"], [6], seed=1).trace, make(["elman"], [9, 5], seed=2).trace
events = 0
if mode == "overwrite":
    save_trace(old, folder / "old", "float32")

def write(directory, overwrite):
    with Writer(directory, "float32", overwrite) as writer:
        for start in (0, 3, 6):
            writer.append(piece_of(new, start, start + 3))
            (directory.parent / (directory.name + ".acknowledged")).write_text(str(writer.steps))

def killing(original, last):
    def wrapped(*args, **kwargs):
        global events
        events += 1
        if events == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    return wrapped

def child(directory, overwrite, last):
    os.fsync = killing(lambda descriptor: None, last)
    os.open = killing(os.open, last)
    pathlib.Path.replace = killing(pathlib.Path.replace, last)
    pathlib.Path.rename = killing(pathlib.Path.rename, last)
    pathlib.Path.mkdir = killing(pathlib.Path.mkdir, last)
    pathlib.Path.open = killing(pathlib.Path.open, last)
    os.unlink = killing(os.unlink, last)
    os.rmdir = killing(os.rmdir, last)
    write(directory, overwrite)

def forked(work, *args):
    process = os.fork()
    if process == 0:
        try:
            work(*args)
        finally:
            os._exit(0)
    return process

for number in range(1, 10_000):
    directory = folder / f"{number:05}"
    if mode == "overwrite":
        shutil.copytree(folder / "old", directory)
    if mode == "random":
        process = forked(write, directory, False)
        time.sleep(random.Random(number).uniform(0, 0.03))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        if number == 40:
            break
    else:
        step = 5 if mode == "overwrite" else 3
        _, status = os.waitpid(forked(child, directory, mode == "overwrite", number * step), 0)
        if not os.WIFSIGNALED(status):
            break
print(number)
"""


@pytest.mark.skipif(not hasattr(os, "fork") or not hasattr(signal, "SIGKILL"), reason="needs fork and SIGKILL")
@pytest.mark.parametrize("mode", ["random", "events", "overwrite"])
def test_killed_writer_leaves_its_finished_pieces(mode: str, tmp_path: Path) -> None:
    """The writer is killed at random moments, and at every few file operations from the first to the last."""
    old, new = make(["feedforward"], [6], seed=1).trace, make(["elman"], [9, 5], seed=2).trace
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path), mode]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    count = int(done.stdout)
    assert count > 30
    lengths = []
    for number in range(1, count + 1):
        directory = tmp_path / f"{number:05}"
        acknowledgement = tmp_path / f"{number:05}.acknowledged"
        acknowledged = int(acknowledgement.read_text() or 0) if acknowledgement.exists() else 0
        try:
            stored = open_trace(directory)
        except TraceError as error:
            nothing_written = error.code in ("TRACE_STEPS_MISSING", "TRACE_NOT_FOUND", "TRACE_NO_DESCRIPTION")
            if mode == "overwrite" or acknowledged or not nothing_written:
                raise AssertionError("finished pieces are lost") from error
            continue
        if mode == "overwrite" and stored.attributes["layers"]["layer0"]["cell"]["name"] != "elman":
            assert_same_trace(stored, old, "float32")
            lengths.append(0)
        else:
            steps = stored.steps["token"].shape[1]
            assert steps >= acknowledged
            assert steps in ((9,) if mode == "overwrite" else (3, 6, 9))
            assert_same_trace(stored, piece_of(new, 0, steps), "float32")
            lengths.append(steps)
        if mode == "overwrite":  # the next writer must be able to replace it
            save_trace(new, directory, "float32", overwrite=True)
            assert_same_trace(open_trace(directory), new, "float32")
    if mode != "random":
        assert set(lengths) == ({0, 9} if mode == "overwrite" else {3, 6, 9})
