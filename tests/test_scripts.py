"""The decisions of the scripts: the package index of PyTorch, and the package that the tests import."""

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
    """Import scripts/torch-index as a module, on Linux without a driver and without TORCH_INDEX."""
    loader = importlib.machinery.SourceFileLoader("torch_index", str(ROOT / "scripts" / "torch-index"))
    spec = importlib.util.spec_from_loader("torch_index", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # leave no compiled copy beside the script
    loader.exec_module(module)
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module, "has_nvidia_driver", lambda: False)
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    return module


class Index(BaseHTTPRequestHandler):
    """An index that only has a page for torch."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/torch/" else 404)
        self.end_headers()

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002
        """Write nothing to the terminal."""


@contextmanager
def served_index() -> Iterator[str]:
    """Serve the index and yield its address."""
    with HTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_torch_index_with_a_page_for_torch_answers(torch_index: Any) -> None:
    """Only a page for torch counts as an answer."""
    with served_index() as address:
        assert torch_index.answers(address)
        assert not torch_index.answers(f"{address}/elsewhere")
    assert not torch_index.answers(address)  # the server has stopped
    assert not torch_index.answers("no address")


def test_torch_index_without_an_answer_times_out(torch_index: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts the connection and stays silent does not block the installation."""
    monkeypatch.setattr(torch_index, "TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not torch_index.answers(f"http://127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.parametrize(
    ("answers", "driver", "system", "choice", "printed", "note"),
    [
        (True, False, "linux", "", "https://download.pytorch.org/whl/cpu\n", "This machine has no NVIDIA driver."),
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
    """The CPU index is chosen if it answers and there is no driver; TORCH_INDEX takes precedence."""
    monkeypatch.setattr(torch_index.sys, "platform", system)
    monkeypatch.setattr(torch_index, "answers", lambda url: answers)
    monkeypatch.setattr(torch_index, "has_nvidia_driver", lambda: driver)
    monkeypatch.setenv("TORCH_INDEX", choice)
    torch_index.main()
    result = capsys.readouterr()
    assert result.out == printed
    assert note in result.err
    assert result.err.count("\n") == bool(note)


def test_conftest_refuses_the_package_of_another_tree(tmp_path: Path) -> None:
    """Tests of one tree run on the package of another only if PYTHONPATH names its folder."""
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
