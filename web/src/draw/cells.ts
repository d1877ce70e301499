// Blocks of coloured cells, letters and patterns: pixels on a canvas, shapes on a pen that draws vectors.

type Pen = CanvasRenderingContext2D

/** A block of cells in rows and columns. */
export interface CellBlock {
  columns: number
  rows: number
  /** The colour of each cell as 0xAABBGGRR, one row after the other; 0 is transparent. */
  colours: Uint32Array<ArrayBuffer>
  x: number
  y: number
  /** The width of a column. */
  cell: number
  /** The height of a row, and the distance from row to row. */
  height: number
  pitch: number
  /** The colour of a line of one pixel before each column; null for none. */
  gap: string | null
}

/** A pen that draws shapes instead of pixels. It has no drawImage: whatever is copied as pixels stands in this file. */
export interface VectorPen extends Pen {
  drawCells(block: CellBlock): void
  /** Return a pattern that repeats a square of `size` pixels. */
  makeTile(size: number, draw: (tile: Pen) => void): CanvasPattern
}

export const isVector = (pen: Pen): pen is VectorPen => 'drawCells' in pen

let scratch: HTMLCanvasElement | undefined

/** Draw a block of cells. */
export function drawCellBlock(pen: Pen, block: CellBlock): void {
  const { columns, rows, colours, x, y, cell, height, pitch, gap } = block
  if (columns <= 0 || rows <= 0) return
  if (isVector(pen)) return pen.drawCells(block)
  const image = new ImageData(columns, rows)
  new Uint32Array(image.data.buffer).set(colours)
  const canvas = (scratch ??= document.createElement('canvas'))
  if (canvas.width < columns || canvas.height < rows) {
    canvas.width = Math.max(canvas.width, columns)
    canvas.height = Math.max(canvas.height, rows)
  }
  canvas.getContext('2d')?.putImageData(image, 0, 0)
  pen.imageSmoothingEnabled = false
  if (pitch === height) pen.drawImage(canvas, 0, 0, columns, rows, x, y, columns * cell, rows * height)
  else for (let r = 0; r < rows; r++) pen.drawImage(canvas, 0, r, columns, 1, x, y + r * pitch, columns * cell, height)
  if (gap === null) return
  // A gap has the colour of the ground, so that one line can pass through all rows.
  pen.fillStyle = gap
  for (let c = 0; c <= columns; c++) pen.fillRect(x + c * cell - 1, y, 1, (rows - 1) * pitch + height)
}
