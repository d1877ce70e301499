"""Help and version: complete, fast, and equal to the documentation."""

import subprocess
import sys

import pytest

from gatescope.cli.docs import page
from gatescope.version import __version__
from tests.cli.conftest import ROOT, Cli

COMMANDS = (
    *("demo", "train"),
    *("explore", "predict", "sample", "record", "check"),
    *("label", "probe", "ablate", "patch", "steer", "passages", "pattern", "snapshot", "distributions"),
    *("health", "weights", "errors", "horizon", "compare"),
    *("adopt", "export"),
    *("tasks", "cells", "runs"),
)


def test_help_lists_every_command(cli: Cli) -> None:
    result = cli("--help")
    assert result.status == 0
    listed = [line.split()[1] for line in result.out.splitlines() if line.startswith("│ ") and line[2] != " "]
    assert [name for name in listed if not name.startswith("-")] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_help_has_usage_and_examples(cli: Cli, name: str) -> None:
    result = cli(name, "--help")
    assert result.status == 0
    assert f"Usage: gatescope {name}" in result.out
    assert f" gatescope {name}" in result.out.split("Examples")[1]


def test_version(cli: Cli) -> None:
    assert cli("--version").out.strip() == __version__


def test_help_and_version_import_no_libraries() -> None:
    code = (
        "import sys; from gatescope.cli import main; main(['--help']); main(['--version']);"
        "main(['train', '--help']); main(['label', '--help']);"
        "sys.exit(', '.join({'torch', 'numpy', 'starlette', 'uvicorn'} & set(sys.modules)) or 0)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr


def test_docs_page_matches_the_program() -> None:
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == page()
