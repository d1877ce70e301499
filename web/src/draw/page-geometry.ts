// The layout of a text as a page, in CSS pixels: a gutter, and a pane for each neuron, side by side or one below the other.
import { type PageLines, stepAtColumn, stepsOfLine } from '../model/page-lines'

interface PageZoom {
  cell: number
  /** Height of a band of cells, and the size of its characters; 0 for none. */
  band: number
  font: number
}

const PAGE_ZOOMS: PageZoom[] = [
  { cell: 3, band: 6, font: 0 },
  { cell: 5, band: 9, font: 0 },
  { cell: 7, band: 14, font: 10.5 },
  { cell: 9, band: 18, font: 13.5 },
  { cell: 11, band: 23, font: 17 },
]

const TRACK_HEIGHT = 5
const LINE_GAP = 2
/** Between the groups of bands of two lines, where the panes stand one below the other. */
const GROUP_GAP = 8
const PANE_GAP = 16
/** Panes with fewer columns than this stand one below the other. */
const MIN_COLUMNS = 32
const MAX_COLUMNS = 160
const GUTTER = 46
const NARROW_GUTTER = 24

export interface PageGeometry extends PageZoom {
  /** Width of the step numbers beside each pane. */
  gutter: number
  /** Columns of a pane, and the left edge of the cells of each pane. */
  columns: number
  left: number[]
  /** Whether the bands of the neurons stand below each other, line by line. */
  stacked: boolean
  /** Height of a band with its track, and the distance from line to line. */
  bandPitch: number
  pitch: number
  track: number
}

/**
 * Lay out a page.
 *
 * @param zoom the size of the cells, 0 to 4
 * @param width of the window, in CSS pixels
 * @param panes the number of neurons
 */
export function pageGeometry(zoom: number, width: number, panes: number, hasTrack: boolean): PageGeometry {
  const size = PAGE_ZOOMS[zoom] ?? PAGE_ZOOMS[3]!
  const gutter = width < 600 ? NARROW_GUTTER : GUTTER
  const count = Math.max(1, panes)
  const paneWidth = (width - PANE_GAP * (count - 1)) / count
  // One column is left for a line end behind the last one.
  const columnsIn = (room: number): number => Math.floor((room - gutter) / size.cell) - 1
  const stacked = count > 1 && columnsIn(paneWidth) < MIN_COLUMNS
  const columns = Math.max(8, Math.min(MAX_COLUMNS, columnsIn(stacked ? width : paneWidth)))
  const track = hasTrack ? TRACK_HEIGHT : 0
  const bandPitch = size.band + track
  return {
    ...size,
    gutter,
    columns,
    left: Array.from(
      { length: count },
      (_, k) => gutter + (stacked ? 0 : k * (gutter + columns * size.cell + size.cell + PANE_GAP)),
    ),
    stacked,
    bandPitch,
    pitch: stacked ? count * (bandPitch + 1) + GROUP_GAP : bandPitch + LINE_GAP,
    track,
  }
}

/** Return the upper edge of the band of a pane in a line, in a page that is not scrolled. */
export function bandTop(g: PageGeometry, line: number, pane: number): number {
  return line * g.pitch + (g.stacked ? pane * (g.bandPitch + 1) : 0)
}

export interface PageSpot {
  pane: number
  step: number
}

/** Return the neuron and the step under a point of the scrolled page; null beside the text. `top`: how far it is scrolled. */
export function pageSpotAt(g: PageGeometry, lines: PageLines, top: number, x: number, y: number): PageSpot | null {
  const line = Math.floor((y + top) / g.pitch)
  if (line < 0 || line >= lines.first.length) return null
  const pane = paneAt(g, x, y + top - line * g.pitch)
  if (pane === null) return null
  const column = Math.floor((x - g.left[pane]!) / g.cell)
  if (column < 0) return null
  const step = stepAtColumn(lines, line, column)
  if (column >= lines.column[step]! + lines.span[step]!) return null
  // The marks of a character have a share of its foot each.
  const { to } = stepsOfLine(lines, line)
  const inBand = y + top - bandTop(g, line, pane)
  let marks = 0
  while (step + marks + 1 < to && lines.mark[step + marks + 1]) marks++
  if (!marks || inBand < g.band * (1 - MARK_SHARE)) return { pane, step }
  const share = (x - g.left[pane]! - lines.column[step]! * g.cell) / (lines.span[step]! * g.cell)
  return { pane, step: step + 1 + Math.min(marks - 1, Math.floor(share * marks)) }
}

/** The share of the height of a cell that its combining marks have. */
export const MARK_SHARE = 0.3

function paneAt(g: PageGeometry, x: number, inLine: number): number | null {
  if (g.stacked) {
    const pane = Math.floor(inLine / (g.bandPitch + 1))
    return pane < g.left.length ? pane : null
  }
  for (let pane = g.left.length - 1; pane >= 0; pane--) if (x >= g.left[pane]! - g.gutter) return pane
  return null
}

/** Return the step nearest to a point of the scrolled page, also beside the text. */
export function nearestStep(
  g: PageGeometry,
  lines: PageLines,
  top: number,
  x: number,
  y: number,
  pane: number,
): number {
  const line = Math.max(0, Math.min(lines.first.length - 1, Math.floor((y + top) / g.pitch)))
  return stepAtColumn(lines, line, Math.max(0, Math.floor((x - g.left[pane]!) / g.cell)))
}
