"""Fixtures of the tests of live files: trained runs, and copies of them that a test may change."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gatescope.runs import Run
from tests.explorer.live.examples import train_runs


@pytest.fixture(scope="package")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the runs that tests may read but not change."""
    return train_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def copy_of(runs: Path, tmp_path: Path) -> Callable[[str], Run]:
    """Return a function that copies a run to a place where a test may change it."""

    def copied(name: str) -> Run:
        return Run(shutil.copytree(runs / name, tmp_path / "copies" / name))

    return copied
