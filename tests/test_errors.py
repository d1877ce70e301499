"""Errors: a message names a setting as its reader types it, and an error keeps its code."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatescope import TASKS, configure, create_run, record
from gatescope.errors import setting, settings_as_options
from gatescope.messages import english
from gatescope.runs import WEIGHTS, RunError
from gatescope.sources import RecordingError
from tests.networks import network


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


def test_translated_errors_keep_their_codes(tmp_path: Path) -> None:
    """A program looks up an error by its code, whichever module found the fault."""
    made = network("lstm", (2,))
    with pytest.raises(RecordingError) as wrong_id:
        record(made, np.array([9]))
    assert wrong_id.value.code in english()
    run = create_run(tmp_path / "run", TASKS["counter"](), configure(TASKS["counter"]().vocabulary, "lstm", (2,)))
    (run.path / WEIGHTS).mkdir()
    with pytest.raises(RunError) as folder:
        run.network()
    assert folder.value.code == "FILE_IS_FOLDER"
    assert folder.value.values == {"path": run.path / WEIGHTS}
