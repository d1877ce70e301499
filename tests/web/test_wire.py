"""The fixtures that the page's reader is tested with are what the explorer sends today."""

import json

import pytest

from tests.reference.wire import FIXTURES, messages, parted

MESSAGES = {name: (message, content) for name, message, content in messages()}


@pytest.mark.parametrize("name", MESSAGES)
def test_fixtures_are_fresh(name: str) -> None:
    message, content = MESSAGES[name]
    renew = "renew it with: .venv/bin/python -m tests.reference.wire"
    header, arrays = parted((FIXTURES / f"{name}.bin").read_bytes())
    assert (header, arrays) == parted(message), f"{name}.bin is stale; {renew}"
    kept = (FIXTURES / f"{name}.json").read_text(encoding="utf-8")
    assert json.loads(kept) == json.loads(json.dumps(content)), f"{name}.json is stale; {renew}"


def test_every_fixture_is_tested() -> None:
    assert {file.stem for file in FIXTURES.iterdir()} == set(MESSAGES)
