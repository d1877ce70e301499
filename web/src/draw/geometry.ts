// The layout of the canvas of the strips, in CSS pixels: label column, ruler, predictions, surprise, one row per strip.
import { FIT_ZOOM } from '../data/view'
import { cellWidth, type Measure } from '../model/characters'

export const MONO =
  'ui-monospace, "SF Mono", "DejaVu Sans Mono", Menlo, Consolas, "Noto Sans Mono CJK SC", "PingFang SC", "Microsoft YaHei", monospace'

export const SANS =
  'system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif'

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
  /** The same without the holds, each under its part; their heights are 0 if nothing is held. */
  original: { predicted: Band; predictions: Band; surprise: Band }
  /** The chosen feature. */
  track: Band
  /** The branches of the text, below each other. */
  branches: Band[]
  /** The place of the chips in the column of labels. */
  chip: { x: number; width: number } | null
  header: number
  /** Heights of a strip and of the curve under it, and the distance from row to row. */
  strip: number
  curve: number
  pitch: number
  /** The parts of a strip, y from its top: the values; if signals are held, the difference and the lower part. */
  bands: { values: Band; difference: Band; lower: Band }
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
  /** The number of branches. */
  branches?: number
  header?: HeaderParts
  /** Whether the strips show the values without the holds besides. */
  split?: boolean
  /** Width that is visible without scrolling. */
  width?: number
}

export const PLAIN: Extras = { track: false, chips: false, note: 0 }

const NUMBER_WIDTH = 36

/** Heights of the text and of the strip of a branch. */
export const BRANCH_TEXT_HEIGHT = 20
export const BRANCH_STRIP_HEIGHT = 14
const BRANCH_HEIGHT = BRANCH_TEXT_HEIGHT + BRANCH_STRIP_HEIGHT

const MIN_CHIP_WIDTH = 16

const SLANT_HEIGHT = 0.87 // height of a slanted word as a share of its length: sin 60°

const MAX_WORDS_HEIGHT = 96

const MAX_WORD_WIDTH = 104

/** Limits of a column, and the height of a strip without characters, where the whole text is in sight. */
const MAX_FITTED_CELL = 30
const MIN_FITTED_CELL = 0.001
const FITTED_STRIP = 13

/** Heights of the header with the predictions without the holds, and those without them. */
const SPLIT_HEIGHTS = { predicted: 18, predictions: 28, surprise: 8 }
const WHOLE_HEIGHTS = { predicted: 20, predictions: 38, surprise: 12 }
const ORIGINAL_HEIGHTS = { predicted: 12, predictions: 14, surprise: 5 }

/** The share of a split strip that the values take. */
const VALUES_SHARE = 0.6

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

/** Lay out the columns so that all steps are in sight: whole pixels if there are enough, else several steps a pixel. */
function fittedLayout(labels: string[], measure: Measure, extras: Extras): ColumnLayout & ZoomLevel {
  const parts = extras.header ?? SYMBOL_HEADER
  const share = (extras.width ?? Infinity) / Math.max(1, labels.length + parts.ahead)
  const cell = share >= 1 ? Math.floor(Math.min(share, MAX_FITTED_CELL)) : Math.max(share, MIN_FITTED_CELL)
  // The largest characters that fit into the columns.
  const fits = ({ font }: ZoomLevel): boolean =>
    font > 0 &&
    parts.text === 'characters' &&
    cellWidth(labels, 1, (text) => (measure(text) * (font + 1.5)) / 100) <= cell
  const level = ZOOM_LEVELS.findLast(fits)
  if (level) return { ...level, cell, slanted: false, height: Math.ceil(level.font) + 12 }
  return { minCell: 0, strip: FITTED_STRIP, font: 0, cell, slanted: false, height: 0 }
}

export function geometry(
  zoom: number,
  labels: string[],
  labelWidth: number,
  curve: number,
  measure: Measure,
  extras = PLAIN,
): Geometry {
  const parts = extras.header ?? SYMBOL_HEADER
  const fitted = zoom === FIT_ZOOM ? fittedLayout(labels, measure, extras) : null
  const { minCell, strip, font } = fitted ?? ZOOM_LEVELS[zoom] ?? ZOOM_LEVELS[3]!
  const { cell, slanted, height } = fitted ?? columnLayout(zoom, labels, font, minCell, measure, extras)
  const ruler = { y: 15, height }
  let y = ruler.y + ruler.height
  const band = (height: number, gap = 4): Band => {
    const placed = { y: height ? y + gap : y, height }
    y = placed.y + height
    return placed
  }
  const charts = parts.charts.map((height) => band(height, 8))
  const heat = band(parts.heat, 8)
  const split = extras.split ?? false
  const heights = split ? SPLIT_HEIGHTS : WHOLE_HEIGHTS
  const original = (part: keyof typeof ORIGINAL_HEIGHTS, isThere: boolean): Band =>
    band(split && isThere ? ORIGINAL_HEIGHTS[part] : 0, 1)
  const predicted = band(parts.classes ? heights.predicted : 0, 6)
  const originalPredicted = original('predicted', parts.classes !== null)
  const target = band(parts.classes && parts.hasTargets ? 18 : 0, 2)
  const predictions = band(parts.predictions ? heights.predictions : 0)
  const originalPredictions = original('predictions', parts.predictions)
  const surprise = band(parts.surprise ? heights.surprise : 0)
  const originalSurprise = original('surprise', parts.surprise)
  const track = band(extras.track ? 22 : 0, 6)
  const branches = Array.from({ length: extras.branches ?? 0 }, () => band(BRANCH_HEIGHT, 6))
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
    original: { predicted: originalPredicted, predictions: originalPredictions, surprise: originalSurprise },
    track,
    branches,
    chip: extras.chips && chipRoom >= MIN_CHIP_WIDTH && strip >= 8 ? { x: NUMBER_WIDTH, width: chipRoom } : null,
    header: y + 8,
    strip: tall,
    curve,
    pitch: tall + (curve ? curve + 18 : strip > 6 ? 2 : 1),
    bands: stripBands(tall, split),
  }
}

/** Divide a strip into its values, the difference and the lower part. */
function stripBands(strip: number, split: boolean): Geometry['bands'] {
  const none = { y: strip, height: 0 }
  if (!split) return { values: { y: 0, height: strip }, difference: none, lower: none }
  const values = Math.max(1, Math.round(strip * VALUES_SHARE))
  const difference = strip >= 13 ? 2 : strip >= 8 ? 1 : 0
  return {
    values: { y: 0, height: values },
    difference: { y: values, height: difference },
    lower: { y: values + difference, height: strip - values - difference },
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

/** Return the row of a spot on the label or the chip of a neuron; null for any other. */
export const labelRow = (spot: Spot | null): number | null =>
  spot?.part === 'label' || spot?.part === 'chip' ? spot.row : null

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
