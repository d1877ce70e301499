// A matrix as a picture: the order of its rows and columns, its scale, and the cells of a small canvas.
import type { Scale } from './scale'

export interface Grid {
  rows: number
  columns: number
  /** [row * columns + column]. */
  values: Float32Array
}

/** Return a grid with its rows and columns in another order; null keeps an order. */
export function reordered(
  { columns, values }: Grid,
  rowOrder: readonly number[],
  columnOrder: readonly number[],
): Grid {
  const result = new Float32Array(rowOrder.length * columnOrder.length)
  rowOrder.forEach((row, r) =>
    columnOrder.forEach((column, c) => (result[r * columnOrder.length + c] = values[row * columns + column]!)),
  )
  return { rows: rowOrder.length, columns: columnOrder.length, values: result }
}

/** Return a scale with two sides that covers every value. */
export function fullScale(values: ArrayLike<number>): Scale {
  let most = 0
  for (let k = 0; k < values.length; k++) if (Math.abs(values[k]!) > most) most = Math.abs(values[k]!)
  return { kind: 'two', low: -(most || 1), high: most || 1, open: false }
}

export interface Binned {
  /** The values of the picture; of several cells the one with the largest size. */
  grid: Grid
  /** The cells of a matrix in one cell of the picture, down and across. */
  size: { rows: number; columns: number }
}

/** Make a grid small enough for a picture: a bin has the value of the largest size in it. */
export function binned(grid: Grid, maxRows: number, maxColumns: number): Binned {
  const size = {
    rows: Math.max(1, Math.ceil(grid.rows / Math.max(1, maxRows))),
    columns: Math.max(1, Math.ceil(grid.columns / Math.max(1, maxColumns))),
  }
  if (size.rows === 1 && size.columns === 1) return { grid, size }
  const rows = Math.ceil(grid.rows / size.rows)
  const columns = Math.ceil(grid.columns / size.columns)
  const values = new Float32Array(rows * columns)
  for (let row = 0; row < grid.rows; row++)
    for (let column = 0; column < grid.columns; column++) {
      const at = Math.floor(row / size.rows) * columns + Math.floor(column / size.columns)
      const value = grid.values[row * grid.columns + column]!
      if (Math.abs(value) > Math.abs(values[at]!)) values[at] = value
    }
  return { grid: { rows, columns, values }, size }
}

export interface Cell {
  row: number
  column: number
}

/** Return the cell of a grid with the largest size in a bin. */
export function largestIn(grid: Grid, { size }: Binned, bin: Cell): Cell {
  let best: Cell = { row: bin.row * size.rows, column: bin.column * size.columns }
  let most = -1
  for (let row = bin.row * size.rows; row < Math.min(grid.rows, (bin.row + 1) * size.rows); row++)
    for (
      let column = bin.column * size.columns;
      column < Math.min(grid.columns, (bin.column + 1) * size.columns);
      column++
    ) {
      const value = Math.abs(grid.values[row * grid.columns + column]!)
      if (value > most) [most, best] = [value, { row, column }]
    }
  return best
}

/** Return the largest entries of a row of numbers, with their places. */
export function largest(values: ArrayLike<number>, count: number): { place: number; value: number }[] {
  return Array.from({ length: values.length }, (_, place) => ({ place, value: values[place]! }))
    .filter(({ value }) => Number.isFinite(value))
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value) || a.place - b.place)
    .slice(0, count)
}
