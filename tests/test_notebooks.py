"""The example notebooks: they run from an empty folder, and what is stored in them is what they print."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
run = runpy.run_path(str(ROOT / "scripts" / "run-notebooks"))["run"]


def text_of(output: Any) -> str:
    return re.sub(r"\d[\d.]*(e-?\d+)?", "#", output.text) if "text" in output else ",".join(sorted(output.data))


def outputs(notebook: Any) -> list[list[str]]:
    """Return what each cell of code shows: texts without their numbers, which differ between machines, or the kind."""
    shown = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            shown.append([text_of(out) for out in cell.outputs])
    return shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_its_outputs_are_fresh(path: Path) -> None:
    stored, fresh = nbformat.read(path, as_version=4), run(path)
    assert all(texts for texts in outputs(stored)[1:]), "every cell shows something"
    assert [len(texts) for texts in outputs(stored)] == [len(texts) for texts in outputs(fresh)]
    # Which neurons are named depends on the last bits of the weights; that something is printed does not.
    firsts = [[text.split("#")[0] for text in texts] for texts in outputs(stored)]
    assert firsts == [[text.split("#")[0] for text in texts] for texts in outputs(fresh)]


def test_there_are_three_notebooks_and_each_is_small() -> None:
    assert len(NOTEBOOKS) == 3
    assert all(path.stat().st_size < 300_000 for path in NOTEBOOKS)
