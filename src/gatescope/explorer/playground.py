"""The files of the playground, in which the page trains a network: its tasks as bundles, and the cells to choose from.

The local server answers with them, and a static site has them beside its page, at the same relative addresses.
"""

from __future__ import annotations

import json
from functools import cache

from gatescope.cells import CELLS, Cell, cell_of
from gatescope.configuration import Layer
from gatescope.explorer.gallery import layer_json
from gatescope.tasks import TASKS
from gatescope.training import bundle

FOLDER = "bundles"
INDEX = "index"
PLAYGROUND_TASKS = ("counter", "selective_counter", "state_memoriser", "copy")
"""Tasks whose bundle is written in half a second or less, and which a small network learns in seconds."""

PLAYGROUND_CELLS = ("lstm", "gru", "elman", "peephole")
FORGET_GATE = "f"
FILES = (INDEX, *PLAYGROUND_TASKS)


@cache
def playground_file(name: str) -> bytes:
    """Return a file of the playground, as JSON in UTF-8.

    Args:
        name: one of FILES: a task, or the index of all tasks and cells.
    """
    document = _index() if name == INDEX else bundle(TASKS[name]())
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _index() -> dict[str, object]:
    """Return the tasks, and for each cell its part of network.json and its layer as the page describes layers."""
    tasks = [TASKS[name] for name in PLAYGROUND_TASKS]
    cells = [CELLS[name] for name in PLAYGROUND_CELLS]
    return {
        "tasks": [{"name": task.name, "title": task.title, "question": task.question} for task in tasks],
        "cells": [
            {
                "name": cell.name,
                "network": cell.to_json(),
                "biased": _biased(cell),
                "layer": layer_json("layer0", Layer(cell, 1)),
            }
            for cell in cells
        ],
    }


def _biased(cell: Cell) -> dict[str, str] | None:
    """Return the name and the title of a cell with the forget bias 0; None for a cell without a forget gate."""
    if FORGET_GATE not in cell.biases:
        return None
    other = cell_of(f"{cell.name}:{FORGET_GATE}=0")
    return {"name": other.name, "title": other.title}
