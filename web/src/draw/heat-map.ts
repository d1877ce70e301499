// Draws a matrix of numbers as cells with names beside them.
import { drawCellBlock } from './cells'
import type { Cell, Grid } from '../model/heat-map'
import type { Scale } from '../model/scale'
import { fitText } from './fit-text'
import { MONO } from './geometry'
import { NONE, type Palette } from './palette'
import { noDataPattern } from './patterns'

export interface HeatLayout {
  left: number
  top: number
  /** Width and height of a cell. */
  cell: { width: number; height: number }
  width: number
  height: number
  rows: number
  columns: number
}

const MIN_CELL = 2
const MAX_CELL = { width: 26, height: 20 }
const NAME_ROOM = 9
const TOP = 18

/** Return how many cells have room beside each other. */
export const maxCells = (room: number): number => Math.max(1, Math.floor(room / MIN_CELL))

/** Lay out a grid in a room: cells as large as fit, with names of the rows at the left and of the columns above. */
export function heatLayout(
  { rows, columns }: Pick<Grid, 'rows' | 'columns'>,
  room: { width: number; height: number },
  left: number,
): HeatLayout {
  const width = Math.min(MAX_CELL.width, Math.max(MIN_CELL, (room.width - left - 2) / Math.max(1, columns)))
  const height = Math.min(MAX_CELL.height, Math.max(MIN_CELL, (room.height - TOP) / Math.max(1, rows)))
  const cell = { width: width >= 4 ? Math.floor(width) : width, height: height >= 4 ? Math.floor(height) : height }
  return {
    left,
    top: TOP,
    cell,
    width: Math.ceil(left + columns * cell.width) + 2,
    height: Math.ceil(TOP + rows * cell.height) + 2,
    rows,
    columns,
  }
}

/** Return the cell under a point; null if there is none. */
export function cellUnder({ left, top, cell, rows, columns }: HeatLayout, x: number, y: number): Cell | null {
  const row = Math.floor((y - top) / cell.height)
  const column = Math.floor((x - left) / cell.width)
  return row >= 0 && row < rows && column >= 0 && column < columns ? { row, column } : null
}

export interface HeatScene {
  palette: Palette
  layout: HeatLayout
  grid: Grid
  scale: Scale
  rowName: (row: number) => string
  columnName: (column: number) => string
  /** Where groups begin. */
  rowGaps: readonly number[]
  columnGaps: readonly number[]
  /** The cell under the pointer, or that of the keys. */
  cursor: Cell | null
  /** The row that is marked: the neuron of the page. */
  marked: number | null
}

export function drawHeatMap(pen: CanvasRenderingContext2D, scene: HeatScene): void {
  const { layout, palette } = scene
  pen.fillStyle = palette.theme.paper
  pen.fillRect(0, 0, layout.width, layout.height)
  drawCells(pen, scene)
  drawNames(pen, scene)
  drawGaps(pen, scene)
  drawCursor(pen, scene)
}

function drawCells(pen: CanvasRenderingContext2D, { grid, layout, palette, scale }: HeatScene): void {
  const { rows, columns, values } = grid
  if (!rows || !columns) return
  const colours = new Uint32Array(rows * columns)
  for (let k = 0; k < values.length; k++) {
    const level = palette.level(scale, values[k]!)
    if (level !== NONE) colours[k] = palette.rgba[level]!
  }
  const { left, top, cell } = layout
  const dots = values.some(Number.isNaN) ? noDataPattern(pen) : null
  if (dots) {
    pen.fillStyle = dots
    pen.fillRect(left, top, columns * cell.width, rows * cell.height)
  }
  const place = { x: left, y: top, cell: cell.width, height: cell.height, pitch: cell.height }
  drawCellBlock(pen, { rows, columns, colours, ...place, gap: null })
  if (cell.width < 6 || cell.height < 6) return
  pen.fillStyle = palette.theme.paper
  for (let column = 1; column < columns; column++)
    pen.fillRect(left + column * cell.width - 1, top, 1, rows * cell.height)
  for (let row = 1; row < rows; row++) pen.fillRect(left, top + row * cell.height - 1, columns * cell.width, 1)
}

/** Draw the names of rows and columns, of as many as have room. */
function drawNames(pen: CanvasRenderingContext2D, scene: HeatScene): void {
  const { layout, palette, rowName, columnName, marked } = scene
  const { left, top, cell, rows, columns } = layout
  pen.font = `11px ${MONO}`
  pen.textBaseline = 'middle'
  pen.textAlign = 'right'
  const everyRow = Math.max(1, Math.ceil(11 / cell.height))
  for (let row = 0; row < rows; row += everyRow) {
    pen.fillStyle = row === marked ? palette.theme.accent : palette.theme.mute
    pen.fillText(fitText(pen, rowName(row), left - 6), left - 5, top + (row + 0.5) * cell.height)
  }
  pen.textAlign = 'center'
  pen.fillStyle = palette.theme.mute
  const widest = Math.max(0, ...Array.from({ length: columns }, (_, k) => pen.measureText(columnName(k)).width))
  const everyColumn = Math.max(1, Math.ceil(Math.max(NAME_ROOM, Math.min(40, widest + 3)) / cell.width))
  for (let column = 0; column < columns; column += everyColumn) {
    // The last name must not be cut by the edge.
    if (column && (columns - column - 0.5) * cell.width < Math.min(40, widest) / 2 - 2) continue
    pen.fillText(
      fitText(pen, columnName(column), Math.max(8, everyColumn * cell.width)),
      left + (column + 0.5) * cell.width,
      top / 2 + 1,
    )
  }
}

function drawGaps(pen: CanvasRenderingContext2D, { layout, palette, rowGaps, columnGaps }: HeatScene): void {
  const { left, top, cell, rows, columns } = layout
  pen.fillStyle = palette.theme.ink
  // Lines between small cells would hide them.
  pen.globalAlpha = cell.height < 6 ? 0.3 : 1
  for (const row of rowGaps) pen.fillRect(left - 4, top + row * cell.height - 1, columns * cell.width + 4, 1)
  for (const column of columnGaps) pen.fillRect(left + column * cell.width - 1, top - 4, 1, rows * cell.height + 4)
  pen.globalAlpha = 1
}

function drawCursor(pen: CanvasRenderingContext2D, { layout, palette, cursor }: HeatScene): void {
  if (!cursor || cursor.row >= layout.rows || cursor.column >= layout.columns) return
  const { left, top, cell } = layout
  pen.strokeStyle = palette.theme.accent
  pen.lineWidth = 1.5
  pen.strokeRect(
    left + cursor.column * cell.width - 1,
    top + cursor.row * cell.height - 1,
    Math.max(5, cell.width + 1),
    Math.max(5, cell.height + 1),
  )
}
