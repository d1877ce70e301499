"""A message names a setting as its reader types it."""

from typing import Any

import pytest

from gatescope.errors import setting, settings_as_options


@pytest.mark.parametrize(
    ("arguments", "in_python", "as_option"),
    [
        (("skip_bad",), "skip_bad=True", "--skip-bad"),
        (("encoding", "cp1252"), "encoding='cp1252'", "--encoding cp1252"),
        (("thousands", " "), "thousands=' '", "--thousands ' '"),
        (("season", 12), "season=12", "--season 12"),
        (("columns", None), "columns=...", "--columns"),
    ],
)
def test_setting_follows_the_interface(arguments: tuple[Any, ...], in_python: str, as_option: str) -> None:
    """The same message says `skip_bad=True` in Python and `--skip-bad` inside a command."""
    assert setting(*arguments) == in_python
    with settings_as_options():
        assert setting(*arguments) == as_option
    assert setting(*arguments) == in_python
