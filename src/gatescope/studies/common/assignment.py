"""The assignment of rows to columns with the least total cost.

SciPy is no dependency of gatescope. web/engine/assignment.ts computes the same in the same order.

`R` row, `C` column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assign(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the column of each row, each column used at most once, so that the sum of the costs is least.

    Source:
        The method of shortest augmenting paths: Jonker and Volgenant, "A shortest augmenting path algorithm for dense
        and sparse linear assignment problems", Computing 38, 1987.

    Args:
        cost: finite numbers, (R, C).

    Returns:
        The column of each row, (R,); -1 for the rows that no column is left for, if there are more rows than columns.
    """
    rows, columns = cost.shape
    if rows > columns:
        result = np.full(rows, -1, np.int64)
        taken = assign(cost.T)
        result[taken] = np.arange(columns)
        return result
    # Row 0 and column 0 stand for "none"; owner[c] is the row of column c.
    of_rows, of_columns = np.zeros(rows + 1), np.zeros(columns + 1)
    owner, before = np.zeros(columns + 1, np.int64), np.zeros(columns + 1, np.int64)
    for row in range(1, rows + 1):
        owner[0], column = row, 0
        distance, done = np.full(columns + 1, np.inf), np.zeros(columns + 1, np.bool_)
        while True:
            done[column] = True
            reduced = cost[owner[column] - 1] - of_rows[owner[column]] - of_columns[1:]
            shorter = np.flatnonzero(~done[1:] & (reduced < distance[1:])) + 1
            distance[shorter], before[shorter] = reduced[shorter - 1], column
            column = int(np.argmin(np.where(done, np.inf, distance)))
            least = distance[column]
            of_rows[owner[done]] += least
            of_columns[done] -= least
            distance[~done] -= least
            if owner[column] == 0:
                break
        while column:
            owner[column] = owner[before[column]]
            column = int(before[column])
    result = np.full(rows, -1, np.int64)
    taken = np.flatnonzero(owner[1:])
    result[owner[1:][taken] - 1] = taken
    return result
