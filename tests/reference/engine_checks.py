"""What Python computes for single operations, activations and equations.

`scripts/write-engine-fixtures` writes them before the tests of the page.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save

from gatescope.cells import Cell
from gatescope.equations import to_json
from gatescope.equations.operations import OPERATIONS
from gatescope.head import ACTIVATIONS
from gatescope.residuals import _Equation, _leaves
from tests.reference.engine_shapes import ALL_CELLS, SEED


def rounding_arrays(cell: Cell, generator: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Return values of every leaf of every equation, and the part of the result that their rounding explains."""
    arrays: dict[str, NDArray[Any]] = {}
    for signal in cell.signals:
        equation = _Equation(cell, signal)
        leaves = {*_leaves(cell, signal), *(("parameter", name) for name in cell.tape.parameters)}
        values = {leaf: generator.normal(size=(1, 1, 7)) * 3 for leaf in sorted(leaves)}
        place = f"{cell.name}/{signal}"
        arrays |= {f"{place}/{kind} {name}": value[0, 0] for (kind, name), value in values.items()}
        arrays[f"{place}/value"] = equation(values)[0, 0]
        arrays[f"{place}/rounding"] = equation.rounding(values, 2.0**-24)[0, 0]
    return arrays


def write_checks(folder: Path) -> None:
    """Write every operation and activation on a grid, and every equation with the effect of rounding."""
    random = np.random.default_rng(SEED)
    grid = np.concatenate([[0.0, -0.0, 1e-30, 1e-9, 0.5, 20.0, 21.0, 40.0, 700.0, 800.0], random.normal(size=40) * 3])
    grid = np.concatenate([grid, -grid, [np.inf, -np.inf, np.nan]])
    arrays: dict[str, NDArray[Any]] = {"grid": grid, "second": random.permutation(grid)}
    arity = {}
    with np.errstate(all="ignore"):
        for name, operation in OPERATIONS.items():
            arity[name] = operation.text.count("{}")
            arrays[f"operation/{name}"] = np.asarray(operation.numpy(*(grid, arrays["second"])[: arity[name]]))
    finite = torch.from_numpy(grid[np.isfinite(grid)])
    arrays |= {f"activation/{name}": function(finite).numpy() for name, function in ACTIVATIONS.items()}
    for cell in ALL_CELLS:
        arrays |= rounding_arrays(cell, random)
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    cells = {cell.name: cell.to_json() for cell in ALL_CELLS}
    keys = {cell.name: json.dumps(to_json(cell.tape), sort_keys=True, separators=(",", ":")) for cell in ALL_CELLS}
    (folder / "checks.bin").write_bytes(
        save(contiguous, {"index": json.dumps(dict(arity=arity, cells=cells, keys=keys))})
    )
