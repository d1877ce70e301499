"""Fixtures of the tests of storage."""

from __future__ import annotations

import pytest

from tests.storage.traces import NewPath


@pytest.fixture(scope="session")
def new_path(tmp_path_factory: pytest.TempPathFactory) -> NewPath:
    """Return a function that returns a new path for a trace on each call.

    Property tests need it, because their examples share the fixtures of a test.
    """
    return lambda: tmp_path_factory.mktemp("stored") / "trace"
