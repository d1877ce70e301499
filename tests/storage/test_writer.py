"""Writers: what they refuse, and what they leave after an error or next to another writer."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatescope import GatescopeError
from gatescope.storage import Writer, open_trace, save_trace
from gatescope.trace import Trace, TraceError
from tests.reference.traces import make
from tests.storage.traces import NewPath, assert_same_trace, piece_of


def test_writer_leaves_other_directories_alone(new_path: NewPath) -> None:
    trace = make(["lstm"], [5]).trace
    directory = new_path()
    directory.mkdir()
    save_trace(trace, directory)  # an empty one is fine
    for overwrite in (False, True):
        other = new_path()
        other.mkdir()
        (other / "thesis.tex").write_text("years of work")
        with pytest.raises(TraceError, match="expected a trace or nothing, got something else, which stays as it is"):
            save_trace(trace, other, overwrite=overwrite)
        assert (other / "thesis.tex").read_text() == "years of work"
        with pytest.raises(TraceError, match="expected a directory for a trace, got a file"):
            save_trace(trace, other / "thesis.tex", overwrite=overwrite)


def test_writer_replaces_a_trace_only_on_request(new_path: NewPath) -> None:
    directory, old, new = new_path(), make(["lstm"], [5]).trace, make(["gru"], [3, 4], seed=1).trace
    save_trace(old, directory, "float32")
    with pytest.raises(TraceError, match=r"expected no trace, got one\. Give another name, or ask"):
        save_trace(new, directory)
    opened = open_trace(directory)
    save_trace(new, directory, "float32", overwrite=True)
    assert_same_trace(open_trace(directory), new, "float32")
    assert [path.name for path in directory.parent.iterdir()] == ["trace"]
    with pytest.raises(TraceError, match="expected the trace that was opened, got another one in its place"):
        opened["layer0"]["h"][0]
    save_trace(open_trace(directory), directory, "float64", overwrite=True)  # reads from the trace that it replaces
    assert_same_trace(open_trace(directory), new, "float64")


class _StopError(Exception):
    pass


def test_writer_interrupted_replacement_keeps_old_trace(new_path: NewPath) -> None:
    directory, old, new = new_path(), make(["lstm"], [5]).trace, make(["gru"], [6]).trace
    save_trace(old, directory, "float32")
    with pytest.raises(_StopError), Writer(directory, overwrite=True) as writer:
        writer.append(piece_of(new, 0, 3))
        raise _StopError
    assert_same_trace(open_trace(directory), old, "float32")
    assert [path.name for path in directory.parent.iterdir()] == ["trace"]


def test_writer_interrupted_recording_keeps_its_pieces(new_path: NewPath) -> None:
    directory, trace = new_path(), make(["gru"], [6]).trace
    with pytest.raises(_StopError), Writer(directory, "float32") as writer:
        writer.append(piece_of(trace, 0, 4))
        raise _StopError
    loaded = open_trace(directory)
    assert loaded.attributes["finished"] is False
    assert_same_trace(loaded, piece_of(trace, 0, 4), "float32")


@pytest.mark.parametrize("replace_trace", [False, True])
def test_writer_while_another_is_at_work_is_refused(replace_trace: bool, new_path: NewPath) -> None:
    """Two writers never mix: the first one writes its whole trace, and the second one is refused."""
    directory, trace = new_path(), make(["gru"], [6]).trace
    if replace_trace:
        save_trace(make(["lstm"], [5]).trace, directory)
    with Writer(directory, "float32", overwrite=replace_trace) as writer:
        for overwrite in (False, True):
            with pytest.raises(TraceError, match="expected no other writer"):
                Writer(directory, overwrite=overwrite)
        writer.append(trace)
    assert_same_trace(open_trace(directory), trace, "float32")
    save_trace(trace, directory, overwrite=True)
    assert [path.name for path in directory.parent.iterdir()] == ["trace"]


def test_writers_in_threads_leave_one_whole_trace(new_path: NewPath) -> None:
    directory, traces = new_path(), [make(["gru"], [size]).trace for size in range(2, 8)]
    refusals: list[str] = []

    def write(trace: Trace) -> None:
        for _ in range(5):
            try:
                save_trace(trace, directory, "float32", overwrite=True)
            except TraceError as error:
                refusals.append(str(error))

    threads = [threading.Thread(target=write, args=(trace,)) for trace in traces]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("expected no other writer" in refusal for refusal in refusals)
    stored = open_trace(directory)
    assert_same_trace(stored, traces[int(stored.lengths[0]) - 2], "float32")
    assert [path.name for path in directory.parent.iterdir()] == ["trace"]


def test_writer_takes_over_lock_of_killed_writer(new_path: NewPath) -> None:
    directory, trace = new_path(), make(["gru"], [6]).trace
    directory.parent.mkdir(exist_ok=True)
    (directory.parent / ".trace.lock").touch()
    save_trace(trace, directory)
    assert [path.name for path in directory.parent.iterdir()] == ["trace"]


@pytest.mark.parametrize("name", ["/", "file/trace", "n" * 300])
def test_writer_in_impossible_place_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GatescopeError):
        Writer(tmp_path / name)


def test_writer_without_pieces_leaves_nothing(new_path: NewPath) -> None:
    directory = new_path()
    with Writer(directory):
        pass
    assert not directory.exists()
    with (
        pytest.raises(TraceError, match="Finishing a trace: expected at least one piece"),
        Writer(directory) as writer,
    ):
        writer.finish()
    assert not directory.exists()


def test_writer_refuses_pieces_that_do_not_continue(new_path: NewPath) -> None:
    directory, trace = new_path(), make(["lstm"], [12, 3], dtype="float32").trace
    with Writer(directory, "float32") as writer:
        writer.append(piece_of(trace, 0, 4))
        first = trace["layer0"]
        wrong = [
            (piece_of(trace, 4, 9), "expected 4 steps like all pieces but the last, got 5"),
            (piece_of(make(["lstm"], [12]).trace, 4, 8), "expected the shape .* in this piece, got"),
            (piece_of(make(["lstm"], [12, 3], neurons=5).trace, 4, 8), "expected the shape .* in this piece, got"),
            (piece_of(make(["gru"], [12, 3]).trace, 4, 8), "same arrays in every piece"),
            (
                replace(piece_of(trace, 4, 8), lengths=np.array([4, 1])),
                "Sequence 1: expected no more steps, because it ended at step 3",
            ),
            (replace(piece_of(trace, 4, 8), lengths=np.array([5, 0])), "A piece of 4 steps: expected lengths that fit"),
            (piece_of(replace(trace, layers={"layer0": {"h": first["h"]}}), 4, 8), "same arrays in every piece"),
        ]
        for piece, reason in wrong:
            with pytest.raises(TraceError, match=reason):
                writer.append(piece)
        writer.append(piece_of(trace, 4, 8))
        writer.append(piece_of(trace, 8, 10))
        with pytest.raises(TraceError, match="expected 4 steps like all pieces but the last, got 2 after 10 in all"):
            writer.append(piece_of(trace, 10, 12))
    with pytest.raises(TraceError, match="expected an open trace, got a finished one"):
        writer.append(piece_of(trace, 10, 12))
    assert_same_trace(open_trace(directory), piece_of(trace, 0, 10), "float32")


@pytest.mark.parametrize("name", ["..", "a/b", "a\\b", "", ".hidden", "__meta", "initial", "token", "x" * 201, "a\0"])
def test_writer_refuses_names_that_cannot_be_folders(name: str, new_path: NewPath) -> None:
    directory, trace = new_path(), make(["elman"], [2]).trace
    description = trace.attributes["layers"]["layer0"]
    for layers in ({"layer0": {name: trace["layer0"]["h"]}}, {name: {"h": trace["layer0"]["h"]}}):
        attributes = {**trace.attributes, "layers": {"layer0": description, name: description}}
        changed = replace(trace, layers=layers, initial={}, parameters={}, attributes=attributes)
        with pytest.raises(TraceError, match="expected a name that can be a folder"):
            save_trace(changed, directory)
        assert not directory.exists()


@pytest.mark.parametrize("name", ["σ", "x.i", "gate with spaces", "C"])
def test_writer_keeps_unusual_names(name: str, new_path: NewPath) -> None:
    directory, trace = new_path(), make(["elman"], [2]).trace
    trace = replace(trace, layers={"layer0": {name: trace["layer0"]["h"]}})
    save_trace(trace, directory, "float32")
    assert_same_trace(open_trace(directory), trace, "float32")


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        (
            {"precision": "bfloat16"},
            "trace: expected one of the precisions float16, float32, float64, got 'bfloat16'",
        ),
        ({"vocabulary": None}, "expected a vocabulary among the attributes, got none"),
        ({"layers": {}}, "expected the cell of layer0 among the attributes, got none"),
        ({"layers": {"layer0": {"cell": {}}}}, "expected a description of the arrays of layer0, got none"),
        ({"when": object()}, "values that JSON can hold, got object"),
        ({"counts": {1: 2}}, "expected texts as keys"),
    ],
)
def test_writer_refuses_attributes_that_readers_need(
    attributes: dict[str, Any], reason: str, new_path: NewPath
) -> None:
    directory, trace = new_path(), make(["elman"], [2]).trace
    with pytest.raises(TraceError, match=reason):
        save_trace(replace(trace, attributes={**trace.attributes, **attributes}), directory)
    assert not directory.exists()


def test_writer_refuses_unknown_dtype(new_path: NewPath) -> None:
    with pytest.raises(TraceError, match="expected one of float16, float32, float64, got 'int8'"):
        save_trace(make(["elman"], [2]).trace, new_path(), "int8")
