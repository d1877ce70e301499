"""The fixtures of drawn numbers, weights and texts are what Python draws today."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.reference.drawn import FIXTURES, fixtures

DRAWN = dict(fixtures())


def assert_same(stored: Any, fresh: Any) -> None:
    """Numbers may differ by the rounding of logarithms and cosines on another machine; everything else is equal."""
    if isinstance(fresh, dict):
        assert list(stored) == list(fresh)
        for name, value in fresh.items():
            assert_same(stored[name], value)
    elif isinstance(fresh, list):
        assert len(stored) == len(fresh)
        for one, other in zip(stored, fresh, strict=True):
            assert_same(one, other)
    elif isinstance(fresh, float):
        assert stored == pytest.approx(fresh, rel=1e-6, abs=1e-12)
    else:
        assert stored == fresh


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_fixtures_are_fresh(name: str) -> None:
    """Renew them with: .venv/bin/python -m tests.reference.drawn."""
    stored = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    assert_same(stored, json.loads(json.dumps(DRAWN[name])))


def test_every_drawn_fixture_is_tested() -> None:
    assert {file.stem for file in FIXTURES.iterdir()} == set(DRAWN)
