"""Opening files safely, and writing files atomically."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from gatescope.files import FileError, open_for_appending, open_regular, read_regular, write_bytes

POSIX = pytest.mark.skipif(os.name != "posix", reason="pipes, sockets and devices of POSIX")


@POSIX
@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device", "link to a device", "link to a pipe"])
def test_open_regular_of_other_kinds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Only regular files are opened, without waiting for others, and the message names the kind."""
    path = tmp_path / "file"
    monkeypatch.chdir(tmp_path)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("file")
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to("pipe")
    word = {"pipe": "a named pipe", "link to a pipe": "a named pipe", "socket": "a socket", "folder": "a folder"}
    with pytest.raises(FileError, match=f"expected a regular file, got {word.get(kind, 'a device')}"):
        open_regular(path, 100)
    if kind in ("pipe", "socket", "device"):
        with pytest.raises(FileError, match="expected a"):
            open_for_appending(path)


def test_read_regular_above_the_bound_is_refused(tmp_path: Path) -> None:
    """The size is checked before a byte is read, so a sparse file of 1 TB costs nothing."""
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_regular(path, 5) == b"12345"
    with pytest.raises(FileError, match="expected at most 4 bytes, got 5"):
        read_regular(path, 4)
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FileError, match="expected at most 100 bytes, got 1,099,511,627,776"):
        read_regular(path, 100)


@POSIX
def test_read_regular_of_links_stays_inside(tmp_path: Path) -> None:
    """With `inside`, a link may lead to another file of the folder and to nowhere else; without `follow`, to none."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "file").write_bytes(b"in")
    (tmp_path / "secret").write_bytes(b"out")
    (folder / "in").symlink_to("file")
    (folder / "out").symlink_to("../secret")
    (folder / "loop").symlink_to("loop")
    (folder / "up").symlink_to("..")
    assert read_regular(folder / "in", 10, inside=folder) == b"in"
    for name in ("out", "up/secret"):
        assert read_regular(folder / name, 10) == b"out"
        with pytest.raises(FileError, match=r"expected a file inside .*, got a link to .*secret"):
            read_regular(folder / name, 10, inside=folder)
    with pytest.raises(FileError, match="got a link"):
        read_regular(folder / "in", 10, follow=False)
    with pytest.raises(FileError, match="expected a readable file"):
        read_regular(folder / "loop", 10)


def test_read_regular_of_no_file_says_missing(tmp_path: Path) -> None:
    """The error of a missing file has `missing`, because many files of a run are optional."""
    with pytest.raises(FileError, match="got nothing") as caught:
        read_regular(tmp_path / "file", 10)
    assert caught.value.missing
    for name in ("a\0b", "a\udc80\ud800b"):
        with pytest.raises(FileError, match="expected a file"):
            read_regular(tmp_path / name, 10)


def test_read_regular_without_permission_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read is not called damaged. The error is simulated, because root may read everything."""

    def deny(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    path = tmp_path / "file"
    path.write_bytes(b"x")
    monkeypatch.setattr(os, "open", deny)
    with pytest.raises(FileError, match="permission denied") as caught:
        read_regular(path, 10)
    assert caught.value.denied


def test_write_bytes_on_a_full_disk_keeps_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the file, the file keeps its content, and no partial file is left."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "file"
    write_bytes(path, b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match=r"file: expected room on the disk, got 'No space left.*unchanged"):
        write_bytes(path, b"new")
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"old"]


@POSIX
def test_write_bytes_never_writes_through_a_link(tmp_path: Path) -> None:
    """A link or a pipe with the name of the partial file is replaced; the target of the link is unchanged."""
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "file.partial").symlink_to("precious")
    write_bytes(tmp_path / "file", b"new")
    os.mkfifo(tmp_path / "file.partial")
    write_bytes(tmp_path / "file", b"newer")
    assert (tmp_path / "file").read_bytes() == b"newer"
    assert (tmp_path / "precious").read_bytes() == b"precious"


@POSIX
def test_open_for_appending_refuses_links(tmp_path: Path) -> None:
    """A link with the name of a lock or a history must not lead the writer to another file."""
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "file").symlink_to("precious")
    with pytest.raises(FileError, match="got a link"):
        open_for_appending(tmp_path / "file")
    (tmp_path / "new").symlink_to("missing")
    with pytest.raises(FileError, match="got a link"):
        open_for_appending(tmp_path / "new")
    assert not (tmp_path / "missing").exists()
    with open_for_appending(tmp_path / "precious") as file:
        file.write(b" file")
    assert (tmp_path / "precious").read_bytes() == b"precious file"
