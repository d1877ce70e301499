// Where everything on the strips' canvas lies, in CSS pixels: label column, ruler, predictions, surprise, one row per strip.
import { cellWidth, type Measure } from './glyphs'

export const MONO = 'ui-monospace, "SF Mono", "DejaVu Sans Mono", Menlo, Consolas, "Noto Sans Mono CJK SC", monospace'
export const SANS = 'system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans CJK SC", sans-serif'

interface Level {
  least: number
  strip: number
  font: number
}

/** Zoom levels; without a font there is no room for characters. */
const LEVELS: Level[] = [
  { least: 2, strip: 4, font: 0 },
  { least: 5, strip: 8, font: 0 },
  { least: 9, strip: 13, font: 10 },
  { least: 17, strip: 22, font: 12.5 },
  { least: 25, strip: 30, font: 16 },
]

export interface Geometry {
  /** Width of a cell (one step) and of the column of labels. */
  cell: number
  label: number
  font: number
  /** y of each part of the head, and its height. */
  ruler: { y: number; height: number }
  predictions: { y: number; height: number }
  surprise: { y: number; height: number }
  /** The chosen feature; without one it has no height. */
  track: { y: number; height: number }
  /** Where in the column of labels the chips lie. */
  chip: { x: number; width: number } | null
  head: number
  /** Height of a strip, of the curve under it, and the distance from row to row. */
  strip: number
  curve: number
  pitch: number
}

/** What there is besides the strips. */
export interface Extras {
  track: boolean
  /** Room for chips in the column of labels, and how much of it the remarks take. */
  chips: boolean
  note: number
}

export const PLAIN: Extras = { track: false, chips: false, note: 0 }
const NUMBER = 36
const LEAST_CHIP = 16

export function geometry(
  zoom: number,
  labels: string[],
  label: number,
  curve: number,
  measure: Measure,
  extras = PLAIN,
): Geometry {
  const { least, strip, font } = LEVELS[zoom] ?? LEVELS[3]!
  const cell = font ? cellWidth(labels, least, (text) => (measure(text) * (font + 1.5)) / 100) : least
  const ruler = { y: 15, height: font ? Math.ceil(font) + 12 : 0 }
  const predictions = { y: ruler.y + ruler.height + 4, height: 38 }
  const surprise = { y: predictions.y + predictions.height + 4, height: 12 }
  const track = { y: surprise.y + surprise.height + (extras.track ? 6 : 0), height: extras.track ? 22 : 0 }
  const room = label - NUMBER - 10 - extras.note
  const tall = curve ? Math.max(strip, 18) : strip
  return {
    cell,
    label,
    font,
    ruler,
    predictions,
    surprise,
    track,
    chip: extras.chips && room >= LEAST_CHIP && strip >= 8 ? { x: NUMBER, width: room } : null,
    head: track.y + track.height + 8,
    strip: tall,
    curve,
    pitch: tall + (curve ? curve + 18 : strip > 6 ? 2 : 1),
  }
}

let pen: CanvasRenderingContext2D | null = null
const widths = new Map<string, number>()

/** Width of a text in the bold monospaced font at 100 px, measured once for each text. */
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
  | { part: 'predictions' | 'surprise' | 'ruler' | 'track'; step: number }

/** What lies under a point of the canvas, given how far it is scrolled. */
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
  if (y < g.head) {
    if (!inText) return null
    if (y < g.predictions.y) return { part: 'ruler', step }
    if (g.track.height && y >= g.track.y - 3) return { part: 'track', step }
    return { part: y < g.surprise.y ? 'predictions' : 'surprise', step }
  }
  const row = Math.floor((y - g.head + scroll.top) / g.pitch)
  if (row < 0 || row >= rows) return null
  if (x < g.label) return { part: g.chip && x >= g.chip.x && x < g.chip.x + g.chip.width ? 'chip' : 'label', row }
  return inText ? { part: 'cell', row, step } : null
}
