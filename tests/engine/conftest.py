"""Fixtures of the tests of the engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from gatescope.engine import native

LEVELS = native._native.levels() if native._native is not None else []


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test once for each instruction set of this processor."""
    assert native._native is not None
    before = native._native.level()
    native._native.use_level(request.param)
    yield request.param
    native._native.use_level(before)


@pytest.fixture
def with_threads() -> Iterator[Callable[[int], None]]:
    """Return a function that sets the number of threads; restore the number afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
