"""Tests of reading labelled frames: nothing is unpickled, and archives are bounded."""

import contextlib
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatescope.tasks import TaskError
from gatescope.tasks.tagging.frames import read_frames

A = np.arange(12.0).reshape(6, 2)
B = np.arange(6, dtype=np.int16).reshape(3, 2)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("on\noff\noff\non\noff\noff\n")
    return path


@pytest.mark.parametrize("array", [A, A.astype(">f4"), np.asfortranarray(A), A.astype(np.uint8), A > 4, A[::-1]])
def test_npy_is_one_sequence(tmp_path: Path, labels: Path, array: np.ndarray[Any, Any]) -> None:
    np.save(tmp_path / "motion.npy", array)
    frames = read_frames(tmp_path / "motion.npy", labels)
    assert frames.names == ("motion",)
    np.testing.assert_array_equal(frames.values[0], np.asarray(array, dtype=np.float32))
    assert frames.values[0].dtype == np.float32
    assert frames.labels[0].tolist() == [1, 0, 0, 1, 0, 0]
    assert frames.classes == ("off", "on")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("blank", ["", "\n", "\r\n\r\n"])
def test_npz_has_sequences_in_order(tmp_path: Path, save: Any, blank: str) -> None:
    save(tmp_path / "all.npz", z=A, a=B)
    path = tmp_path / "labels.txt"
    path.write_text("1\n2\n3\n1\n2\n3\n" + blank + "10\n1\n1\n" + blank)
    frames = read_frames(tmp_path / "all.npz", path)
    assert frames.names == ("z", "a")
    assert frames.classes == ("1", "2", "3", "10")
    assert [row.tolist() for row in frames.labels] == [[0, 1, 2, 0, 1, 2], [3, 0, 0]]
    np.testing.assert_array_equal(frames.values[1], B)


def test_labels_that_do_not_fit_are_refused(tmp_path: Path, labels: Path) -> None:
    np.savez(tmp_path / "all.npz", a=A, b=B)
    np.save(tmp_path / "a.npy", A)
    with pytest.raises(TaskError, match=r"expected 9 labels, one a line for each frame in .*, got 6"):
        read_frames(tmp_path / "all.npz", labels)
    labels.write_text("x\ny\n\nx\n\nx\n")
    with pytest.raises(TaskError, match=r"labels of 2 sequences.* \(a 6, b 3\), got 3"):
        read_frames(tmp_path / "all.npz", labels)
    labels.write_text("x\n" * 6 + "\n" + "y\n" * 2)
    with pytest.raises(TaskError, match="Line 8: Expected 3 labels from here on, as the sequence b has frames, got 2"):
        read_frames(tmp_path / "all.npz", labels)
    labels.write_text("x\n" * 6)
    with pytest.raises(TaskError, match="got only 'x'"):
        read_frames(tmp_path / "a.npy", labels)
    assert read_frames(tmp_path / "a.npy", labels, classes=("w", "x")).labels[0].tolist() == [1] * 6
    with pytest.raises(TaskError, match=r"Line 1: Expected one of the labels v, w, got 'x'\.\n  Line 2"):
        read_frames(tmp_path / "a.npy", labels, classes=("v", "w"))
    labels.write_bytes(b"x\ny\ncaf\xe9\ny\ny\ny\n")
    with pytest.raises(TaskError, match="Line 3: Expected text, got the byte 0xe9, which cannot be decoded"):
        read_frames(tmp_path / "a.npy", labels)


def test_numbers_that_are_not_finite_are_named(tmp_path: Path, labels: Path) -> None:
    wrong = A.copy()
    wrong[1, 0], wrong[4, 1], wrong[5, 0] = np.nan, -np.inf, 1e300
    np.save(tmp_path / "a.npy", wrong)
    with pytest.raises(TaskError) as caught:
        read_frames(tmp_path / "a.npy", labels)
    assert str(caught.value).split("\n")[1:] == [
        "  The file: Expected finite numbers, got nan in sequence a, frame 1, number 0.",
        "  The file: Expected finite numbers, got -inf in sequence a, frame 4, number 1.",
        "  The file: Expected numbers of single precision, got 1e+300 in sequence a, frame 5, number 0.",
    ]
    np.save(tmp_path / "a.npy", np.full((1000, 3), np.nan))
    with pytest.raises(TaskError, match=r"got 3,000 faults(?s:.*)And 2,980 more\.$"):
        read_frames(tmp_path / "a.npy", labels)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3), r"got \(3,\)"),
        (np.zeros((0, 3)), "not empty"),
        (np.zeros((3, 0)), "not empty"),
        (np.zeros((1, 2, 3)), r"\(1, 2, 3\)"),
        (np.zeros((2, 2), dtype=complex), "elements of type complex128"),
        (np.array([["a"]]), "elements of type <U1"),
        (np.zeros((2, 2), dtype=[("x", float)]), "elements of type"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, labels: Path, array: np.ndarray[Any, Any], message: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(TaskError, match=message):
        read_frames(tmp_path / "a.npy", labels)


class Bomb:
    """An object that fails the test when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("unpickled",))


def test_nothing_is_unpickled(tmp_path: Path, labels: Path) -> None:
    array = np.empty((1, 1), dtype=object)
    array[0, 0] = Bomb()
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    np.savez(tmp_path / "a.npz", array, allow_pickle=True)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(TaskError, match="elements of type object"):
            read_frames(tmp_path / name, labels)


def test_damaged_files_are_refused(tmp_path: Path, labels: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, A)
    data = path.read_bytes()
    for content, message in [
        (b"", "expected an array of NumPy"),
        (b"text\n", "expected an array of NumPy"),
        (data[:20], "expected an array of NumPy"),
        (data[:-1], "got more or fewer"),
        (data + b"x", "got more or fewer"),
        (
            data.replace(b"(6, 2), }      ", b"(6, 2000000), }"),
            r"as many numbers as the shape \(6, 2000000\) has, got more or fewer",
        ),
        (b"PK\x03\x04 no archive", "got a damaged one"),
    ]:
        path.write_bytes(content)
        with pytest.raises(TaskError, match=message):
            read_frames(path, labels)
    np.savez(tmp_path / "a.npz", a=A)
    packed = bytearray((tmp_path / "a.npz").read_bytes())
    packed[len(packed) // 3] ^= 1
    path.write_bytes(packed)
    with pytest.raises(TaskError, match="got a damaged one"):
        read_frames(path, labels)


def test_sizes_are_checked_before_unpacking(tmp_path: Path, labels: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros((100_000, 10)))
    assert path.stat().st_size < 20_000
    with pytest.raises(TaskError, match=r"at most 1,000,000 bytes of numbers, got 8,000,128 when unpacked"):
        read_frames(path, labels, largest=1_000_000)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(TaskError, match="one array for each sequence, got none"):
        read_frames(path, labels)


def test_archive_with_wrong_sizes_is_not_unpacked_beyond_them(tmp_path: Path, labels: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros((1_000_000, 10)))
    data = path.read_bytes()
    size = (80_000_128).to_bytes(4, "little")
    assert data.count(size) == 2  # before the array and in the list at the end
    path.write_bytes(data.replace(size, (1000).to_bytes(4, "little")))
    tracemalloc.start()
    try:
        with pytest.raises(TaskError, match="got a damaged one"):
            read_frames(path, labels)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_frames_or_one_error(tmp_path: Path, labels: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        save = data.draw(st.sampled_from([np.save, np.savez, np.savez_compressed]))
        save(file, A)
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.sampled_from([None, None, len(content) // 2]))])
    with contextlib.suppress(TaskError), warnings.catch_warnings(action="ignore"):  # NumPy warns about odd headers
        assert read_frames(path, labels).values[0].dtype == np.float32


def test_sequences_have_frames_of_one_size(tmp_path: Path, labels: Path) -> None:
    np.savez(tmp_path / "a.npz", a=A, b=np.zeros((2, 3)))
    with pytest.raises(TaskError, match="same number of numbers in all sequences, got a 2, b 3"):
        read_frames(tmp_path / "a.npz", labels)
