"""The network that a task recommends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatescope.cells import Cell
from gatescope.configuration import Configuration, configure
from gatescope.tasks import Task


def recommended_network(
    task: Task, cell: Cell | str | None = None, neurons: Sequence[int] | None = None, **changes: Any
) -> Configuration:
    """Return the network that a task recommends, with changes.

    Args:
        task: the task.
        cell: the cell of all layers; None: as recommended.
        neurons: the neurons of each layer (and direction); None: as recommended.
        changes: "embedding", "dropout" and "both_ways"; None: as recommended.

    Raises:
        CellError: the cell does not exist.
        NetworkError: a size is out of its range.
    """
    recommended = task.recommended
    options = {name: getattr(recommended, name) for name in ("embedding", "dropout", "both_ways")}
    options |= {name: value for name, value in changes.items() if value is not None}
    return configure(
        task.vocabulary, cell or recommended.cell, neurons or recommended.layers, readout=task.readout, **options
    )
