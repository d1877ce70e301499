// The assignment of rows to columns with the least total cost: gatescope.studies.common.assignment, in the same order.
//
// Source: the method of shortest augmenting paths of Jonker and Volgenant, "A shortest augmenting path algorithm for dense
// and sparse linear assignment problems", Computing 38, 1987.

/**
 * Return the column of each row, each column used at most once, so that the sum of the costs is least.
 *
 * @param cost finite numbers, [rows, columns]
 * @returns the column of each row; -1 for the rows that no column is left for
 */
export function assign(cost: Float64Array, rows: number, columns: number): Int32Array {
  const result = new Int32Array(rows).fill(-1)
  if (rows > columns) {
    const turned = Float64Array.from(cost, (_, k) => cost[(k % rows) * columns + Math.floor(k / rows)]!)
    assign(turned, columns, rows).forEach((row, column) => (result[row] = column))
    return result
  }
  // Row 0 and column 0 stand for "none"; owner[c] is the row of column c.
  const ofRows = new Float64Array(rows + 1)
  const ofColumns = new Float64Array(columns + 1)
  const owner = new Int32Array(columns + 1)
  for (let row = 1; row <= rows; row++) addRow(row)
  for (let c = 1; c <= columns; c++) if (owner[c]) result[owner[c]! - 1] = c - 1
  return result

  /** Find the shortest path from a row to a free column, and move the rows along it. */
  function addRow(row: number): void {
    const distance = new Float64Array(columns + 1).fill(Infinity)
    const before = new Int32Array(columns + 1)
    const done = new Uint8Array(columns + 1)
    let column = 0
    owner[0] = row
    do {
      done[column] = 1
      const now = owner[column]!
      let next = 0
      let least = Infinity
      for (let c = 1; c <= columns; c++) {
        if (done[c]) continue
        const reduced = cost[(now - 1) * columns + c - 1]! - ofRows[now]! - ofColumns[c]!
        if (reduced < distance[c]!) {
          distance[c] = reduced
          before[c] = column
        }
        if (distance[c]! < least) {
          least = distance[c]!
          next = c
        }
      }
      for (let c = 0; c <= columns; c++) {
        if (done[c]) {
          ofRows[owner[c]!]! += least
          ofColumns[c]! -= least
        } else distance[c]! -= least
      }
      column = next
    } while (owner[column])
    while (column) {
      owner[column] = owner[before[column]!]!
      column = before[column]!
    }
  }
}
