// The layout of the canvas of the strips, in CSS pixels: label column, ruler, predictions, surprise, one row per strip.
import { cellWidth, type Measure } from '../model/characters'

export const MONO = 'ui-monospace, "SF Mono", "DejaVu Sans Mono", Menlo, Consolas, "Noto Sans Mono CJK SC", monospace'

export const SANS = 'system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans CJK SC", sans-serif'

interface ZoomLevel {
  minCell: number
  strip: number
  font: number
}

/** Zoom levels. Font 0: cells are too small for characters. */
const ZOOM_LEVELS: ZoomLevel[] = [
  { minCell: 2, strip: 4, font: 0 },
  { minCell: 5, strip: 8, font: 0 },
  { minCell: 9, strip: 13, font: 10 },
  { minCell: 17, strip: 22, font: 12.5 },
  { minCell: 25, strip: 30, font: 16 },
]

/** A part of the header; its height is 0 if it is absent. */
export interface Band {
  y: number
  height: number
}

export interface Geometry {
  /** Width of a cell (one step) and of the column of labels. */
  cell: number
  label: number
  font: number
  /** Whether words are slanted, because they do not fit into their columns. */
  slanted: boolean
  ruler: Band
  /** Curves of numbers, and a heat strip if there are too many for curves. */
  charts: Band[]
  heat: Band
  /** The predicted class, and the target class. */
  predicted: Band
  target: Band
  predictions: Band
  surprise: Band
  /** The chosen feature. */
  track: Band
  /** The place of the chips in the column of labels. */
  chip: { x: number; width: number } | null
  header: number
  /** Heights of a strip and of the curve under it, and the distance from row to row. */
  strip: number
  curve: number
  pitch: number
}

/** The parts of the header over the strips. */
export interface HeaderParts {
  /** The print of a step: a character, a word, or none (numbers). */
  text: 'characters' | 'words' | 'none'
  /** Heights of the curves and of the heat strip. */
  charts: number[]
  heat: number
  /** The names of the classes; null if none are predicted. */
  classes: string[] | null
  /** Whether targets are known. */
  hasTargets: boolean
  predictions: boolean
  surprise: boolean
  /** Columns after the last step, for forecasts. */
  ahead: number
}

export const SYMBOL_HEADER: HeaderParts = {
  text: 'characters',
  charts: [],
  heat: 0,
  classes: null,
  hasTargets: false,
  predictions: true,
  surprise: true,
  ahead: 0,
}

/** The parts around the strips that depend on the page. */
export interface Extras {
  track: boolean
  /** Whether chips are shown in the column of labels, and the width of the notes beside them. */
  chips: boolean
  note: number
  header?: HeaderParts
  /** Width that is visible without scrolling. */
  width?: number
}

export const PLAIN: Extras = { track: false, chips: false, note: 0 }

const NUMBER_WIDTH = 36

const MIN_CHIP_WIDTH = 16

const SLANT_HEIGHT = 0.87 // height of a slanted word as a share of its length: sin 60°

const MAX_WORDS_HEIGHT = 96

const MAX_WORD_WIDTH = 104

const NUMBER_CELL_WIDTHS = [2, 3, 5, 17, 25]

interface ColumnLayout {
  cell: number
  slanted: boolean
  /** Height of the ruler without its numbers. */
  height: number
}

/** Choose the width of the columns: wide enough for level words if all fit into sight or the zoom is large, else narrow. */
function columnLayout(
  zoom: number,
  labels: string[],
  font: number,
  minCell: number,
  measure: Measure,
  extras: Extras,
): ColumnLayout {
  const parts = extras.header ?? SYMBOL_HEADER
  const room = extras.width ?? Infinity
  const size = (text: string): number => (measure(text) * (font + 1.5)) / 100
  if (parts.text === 'none') {
    const fitting = Math.floor(room / Math.max(1, labels.length + parts.ahead))
    const cell = NUMBER_CELL_WIDTHS[zoom] ?? 17
    return { cell: zoom === 3 ? Math.max(6, Math.min(cell, fitting)) : cell, slanted: false, height: 0 }
  }
  if (!font) return { cell: minCell, slanted: false, height: 0 }
  const levelHeight = Math.ceil(font) + 12
  if (parts.text === 'characters') {
    const minWidth = parts.classes ? Math.max(minCell, 11) : minCell
    return { cell: cellWidth(labels, minWidth, size), slanted: false, height: levelHeight }
  }
  let widest = 0
  for (const label of new Set(labels)) widest = Math.max(widest, size(label))
  const classWidth = Math.max(0, ...(parts.classes ?? []).map((name) => (measure(name) * 10) / 100))
  const levelCell = Math.max(minCell, Math.min(MAX_WORD_WIDTH, Math.ceil(Math.max(widest, classWidth)) + 10))
  if (zoom > 3 || levelCell * labels.length <= room) return { cell: levelCell, slanted: false, height: levelHeight }
  const cell = zoom < 3 ? Math.max(minCell, 18) : Math.max(30, Math.min(50, Math.ceil(classWidth) + 10))
  return { cell, slanted: true, height: Math.min(MAX_WORDS_HEIGHT, Math.ceil(widest * SLANT_HEIGHT) + 22) }
}

export function geometry(
  zoom: number,
  labels: string[],
  labelWidth: number,
  curve: number,
  measure: Measure,
  extras = PLAIN,
): Geometry {
  const { minCell: least, strip, font } = ZOOM_LEVELS[zoom] ?? ZOOM_LEVELS[3]!
  const parts = extras.header ?? SYMBOL_HEADER
  const { cell, slanted, height } = columnLayout(zoom, labels, font, least, measure, extras)
  const ruler = { y: 15, height }
  let y = ruler.y + ruler.height
  const band = (height: number, gap = 4): Band => {
    const placed = { y: height ? y + gap : y, height }
    y = placed.y + height
    return placed
  }
  const charts = parts.charts.map((height) => band(height, 8))
  const heat = band(parts.heat, 8)
  const predicted = band(parts.classes ? 20 : 0, 6)
  const target = band(parts.classes && parts.hasTargets ? 18 : 0, 2)
  const predictions = band(parts.predictions ? 38 : 0)
  const surprise = band(parts.surprise ? 12 : 0)
  const track = band(extras.track ? 22 : 0, 6)
  const chipRoom = labelWidth - NUMBER_WIDTH - 10 - extras.note
  const tall = curve ? Math.max(strip, 18) : strip
  return {
    cell,
    label: labelWidth,
    font,
    slanted,
    ruler,
    charts,
    heat,
    predicted,
    target,
    predictions,
    surprise,
    track,
    chip: extras.chips && chipRoom >= MIN_CHIP_WIDTH && strip >= 8 ? { x: NUMBER_WIDTH, width: chipRoom } : null,
    header: track.y + track.height + 8,
    strip: tall,
    curve,
    pitch: tall + (curve ? curve + 18 : strip > 6 ? 2 : 1),
  }
}

let pen: CanvasRenderingContext2D | null = null

const widths = new Map<string, number>()

/** Return the width of a text in the bold monospaced font at 100 px; cached. */
export function measure(text: string): number {
  let width = widths.get(text)
  if (width === undefined) {
    pen ??= document.createElement('canvas').getContext('2d')
    if (!pen) return 60 * text.length
    pen.font = `600 100px ${MONO}`
    width = pen.measureText(text).width
    widths.set(text, width)
  }
  return width
}

export type Spot =
  | { part: 'cell'; row: number; step: number }
  | { part: 'label' | 'chip'; row: number }
  | { part: 'predictions' | 'surprise' | 'ruler' | 'track' | 'predicted' | 'target'; step: number }
  | { part: 'chart'; chart: number; step: number }
  | { part: 'heat'; share: number; step: number }

/** Return what lies under a point of the scrolled canvas. */
export function spotAt(
  g: Geometry,
  rows: number,
  steps: number,
  scroll: { left: number; top: number },
  x: number,
  y: number,
): Spot | null {
  const step = Math.floor((x - g.label + scroll.left) / g.cell)
  const inText = x >= g.label && step >= 0 && step < steps
  if (y < g.header) {
    if (!inText) return null
    if (g.track.height && y >= g.track.y - 3) return { part: 'track', step }
    for (const part of ['surprise', 'predictions', 'target', 'predicted'] as const)
      if (g[part].height && y >= g[part].y) return { part, step }
    if (g.heat.height && y >= g.heat.y)
      return { part: 'heat', share: Math.min(1, (y - g.heat.y) / g.heat.height), step }
    const chart = g.charts.findLastIndex((band) => y >= band.y - 4)
    return chart >= 0 ? { part: 'chart', chart, step } : { part: 'ruler', step }
  }
  const row = Math.floor((y - g.header + scroll.top) / g.pitch)
  if (row < 0 || row >= rows) return null
  if (x < g.label) return { part: g.chip && x >= g.chip.x && x < g.chip.x + g.chip.width ? 'chip' : 'label', row }
  return inText ? { part: 'cell', row, step } : null
}
