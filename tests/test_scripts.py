"""What the scripts decide: which index PyTorch comes from, and that tests belong to the package beside them."""

import importlib.machinery
import importlib.util
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def torch_index(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script scripts/torch-index as a module, on Linux without a driver and without a choice of the user."""
    loader = importlib.machinery.SourceFileLoader("torch_index", str(ROOT / "scripts" / "torch-index"))
    spec = importlib.util.spec_from_loader("torch_index", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a script leaves no compiled copy beside it
    loader.exec_module(module)
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module, "has_nvidia_driver", lambda: False)
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    return module


class Index(BaseHTTPRequestHandler):
    """An index that has a page for torch only."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/torch/" else 404)
        self.end_headers()

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002
        """Write nothing to the terminal."""


@contextmanager
def serving() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_index_that_has_torch_answers(torch_index: Any) -> None:
    """Only a page for torch counts as an answer."""
    with serving() as address:
        assert torch_index.answers(address)
        assert not torch_index.answers(f"{address}/elsewhere")
    assert not torch_index.answers(address)  # nobody listens there any more
    assert not torch_index.answers("no address")


def test_index_that_never_answers_is_given_up(torch_index: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the connection and is silent does not hold up the installation."""
    monkeypatch.setattr(torch_index, "SECONDS_TO_ANSWER", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not torch_index.answers(f"http://127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.parametrize(
    ("answers", "driver", "system", "choice", "printed", "note"),
    [
        (True, False, "linux", "", "https://download.pytorch.org/whl/cpu\n", "There is no driver of NVIDIA here."),
        (False, False, "linux", "", "", "no answer from https://download.pytorch.org/whl/cpu"),
        (True, True, "linux", "", "", ""),
        (True, False, "darwin", "", "", ""),
        (False, True, "linux", "http://mine/", "http://mine/\n", "PyTorch comes from http://mine/."),
        (True, False, "linux", "default", "", ""),
    ],
)
def test_torch_index_follows_driver_and_choice(
    torch_index: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: bool,
    driver: bool,
    system: str,
    choice: str,
    printed: str,
    note: str,
) -> None:
    """The index for processors only where it answers and no driver needs the other; a choice goes first."""
    monkeypatch.setattr(torch_index.sys, "platform", system)
    monkeypatch.setattr(torch_index, "answers", lambda url: answers)
    monkeypatch.setattr(torch_index, "has_nvidia_driver", lambda: driver)
    monkeypatch.setenv("TORCH_INDEX", choice)
    torch_index.main()
    result = capsys.readouterr()
    assert result.out == printed
    assert note in result.err
    assert result.err.count("\n") == bool(note)


def test_foreign_package_ends_the_tests_with_a_sentence(tmp_path: Path) -> None:
    """Tests of one tree do not run on the package of another, unless PYTHONPATH names its folder."""
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "typechecking.py"):
        (tmp_path / "tests" / name).write_bytes((ROOT / "tests" / name).read_bytes())
    (tmp_path / "tests" / "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = . elsewhere\n", encoding="utf-8")
    (tmp_path / "elsewhere").symlink_to(ROOT / "src", target_is_directory=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "tests"]
    for chosen, status in (("", 1), (str(ROOT / "src"), 0)):
        environment = {**os.environ, "PYTHONPATH": chosen}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        if not chosen:
            (sentence,) = done.stderr.strip().splitlines()
            assert sentence.startswith(f"Package gatescope: expected the one in {tmp_path / 'src'}, got ")
