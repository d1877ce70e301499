"""Write what is generated from the built-in cells; the suffix of each file chooses the content.

python -m gatescope.cells.generate native/cells.hpp web/engine/generated/cells.json
"""

import json
import sys
from pathlib import Path
from typing import Any

from gatescope.cells import CELLS
from gatescope.cells.cell import Cell
from gatescope.equations import canonical_json, drive_order, reverse, source


def description(cell: Cell) -> dict[str, Any]:
    """Return what the engine in the browser needs to know about a cell of the kernels.

    Returns:
        `key` and `name`; `signals`, `states`, `inputDrives`, `recurrentDrives` and `parameters`: names in the order of
        the arrays of a layer; `inputIndices` and `recurrentIndices`: for each drive of the C++ struct, the index of its
        matrices, -1 for none; `residuals`: the labels of the drives that the backward pass reads ("x.k", "u.k", or "k"
        for their sum); `tape`: the canonical JSON of the equations.
    """
    order = drive_order(cell.tape)
    return {
        "key": cell.key,
        "name": cell.name,
        "signals": list(cell.signals),
        "states": list(cell.states),
        "inputDrives": list(cell.tape.input_drives),
        "recurrentDrives": list(cell.tape.recurrent_drives),
        "parameters": list(cell.tape.parameters),
        "inputIndices": order.input_indices(cell.tape),
        "recurrentIndices": order.recurrent_indices(cell.tape),
        "residuals": list(reverse(order.tape).residuals),
        "tape": canonical_json(cell.tape),
    }


def descriptions() -> str:
    """Return the descriptions of all built-in cells as JSON, one line for each cell."""
    lines = (json.dumps(description(cell), separators=(",", ":")) for cell in CELLS.values())
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(descriptions() if path.suffix == ".json" else source(CELLS.values()), encoding="utf-8")
