"""Fixtures of the tests of the explorer: a copy of the runs that a file trained, and a page that looks at it.

A file that uses them trains its runs once, in a fixture `trained` that returns their folder.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.explorer.page import Page


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """Copy the trained runs, so that a test may change them."""
    return Path(shutil.copytree(trained, tmp_path / "runs"))


@pytest.fixture
def page(folder: Path) -> Page:
    """Return a page that sends requests to the explorer of those runs."""
    return Page(folder)
