// The scene on the canvas of the strips, and the part of it that is in sight.
import type { Track } from '../data/features'
import type { Layer, Readout, Run } from '../data/run'
import type { Columns, Trace } from '../data/trace'
import type { Below, Range } from '../data/view'
import { predictionLabels } from '../model/characters'
import type { Picture } from '../model/picture'
import type { Scale } from '../model/scale'
import type { Geometry } from './geometry'
import { type Header, headerOf } from './header'
import type { Palette } from './palette'
import type { Sprites } from './sprites'

export interface Row {
  label: string
  /** A short note beside the label. */
  note: string
  values: Float32Array
  scale: Scale
  /** The values without the holds, and how much the holds change them; absent if nothing is held. */
  original?: Float32Array
  difference?: Float32Array
  /** The scale of the differences, if the row has one of its own. */
  differences?: Scale
  /** The name of the values in a table, such as `layer0.c.4`: the array of the trace, and the neuron. */
  column?: string
  /** The label of the neuron and its strength, 0 to 1. */
  chip?: { text: string; strength: number }
  /** The printed symbols of the row, if they are not those of the text over the strips. */
  labels?: string[]
  /** Whether the row is a title of those below it, without values. */
  heading?: boolean
  /** Whether the row is the second one of a pair. */
  joined?: boolean
  /** Whether the neuron is on in the selected range. */
  inRange?: boolean
  /** Whether the neuron was added to the page of text. */
  collected?: boolean
  /** Whether a group of neurons begins with this row. */
  begins?: boolean
  /** The steps at which the values are held. */
  held?: readonly Range[]
  /** The values while the network reads what it wrote behind the text. */
  ghost?: Float32Array | null
}

/** Symbols that the network wrote, and what it predicted after each. */
export interface GhostScene {
  labels: readonly string[]
  /** Predictions after each symbol: `top` of them, the likeliest first. */
  top: number
  topToken: Int32Array
  topProbability: Float32Array
  logProbability: Float32Array
}

/** A branch of the text, in a band of its own. */
export interface BranchScene {
  labels: readonly string[]
  /** The column of its first symbol. */
  from: number
  /** The values of the chosen neuron at each symbol; null while they are not known. */
  values: Float32Array | null
  scale: Scale
}

/** Predictions of the next symbol: `top` per step, the likeliest first; and the log-probability of what came. */
export type Predicted = Pick<Trace, 'top' | 'topToken' | 'topProbability' | 'logProbability'>

/** What the strips show besides the held signals: the same text without the holds. */
export interface Original {
  /** The name of the set of holds that it is; null for the free network. */
  name: string | null
  header: Header
  predicted: Predicted
  lower: Below
  /** The scale of the differences. */
  differences: Scale
}

export interface Scene {
  geometry: Geometry
  palette: Palette
  sprites: Sprites
  labels: string[]
  start: Uint8Array
  /** The text as it is printed over the strips: that of the strips, or the one that is being read. */
  ruler: readonly string[]
  /** What the network wrote behind the text, printed after it; null if nothing. */
  ghost: GhostScene | null
  branches: readonly BranchScene[]
  /** The columns of the selected text. */
  selection: Range | null
  /** Whether controls take the place of the name of the text. */
  editable: boolean
  /** Whether the layer reads from the end. */
  reverse: boolean
  header: Header
  estimates: { readout: Readout; estimate: Columns | null; start: Uint8Array }
  /** 1 for steps whose symbol the network does not know. */
  unknown: Uint8Array
  rows: Row[]
  topLabels: (token: number) => string
  predicted: Predicted
  /** Null if nothing is held. */
  original: Original | null
  cursor: { row: number | null; step: number | null; pinned: boolean }
  selected: number | null
  track: Track | null
  range: Range | null
}

/** What a picture alone decides of the scene. */
type PictureScene = Pick<Scene, 'labels' | 'start' | 'reverse' | 'estimates' | 'unknown' | 'topLabels' | 'predicted'>

/** Return what the strips show besides held signals; null if nothing is held. */
export function originalOf(
  { run, original }: Picture,
  { against: name, below: lower }: { against: string | null; below: Below },
  differences: Scale,
): Original | null {
  return original && { name, header: headerOf(run, original), predicted: original, lower, differences }
}

/** What of a picture is drawn. */
export interface Drawn {
  run: Pick<Run, 'vocabulary' | 'readout'>
  trace: Trace
  layer: Pick<Layer, 'reverse'>
}

/** Return the part of the scene that is the picture's. */
export function pictureScene({ run, trace, layer }: Drawn): PictureScene {
  const { labels, start, estimate, token } = trace
  const names = predictionLabels(run)
  return {
    labels,
    start,
    reverse: layer.reverse,
    estimates: { readout: run.readout, estimate, start },
    unknown: Uint8Array.from(token, (id) => Number(id >= run.vocabulary.length)),
    topLabels: (id) => names[id] ?? '?',
    predicted: trace,
  }
}

export interface Window {
  width: number
  height: number
  left: number
  top: number
  ratio: number
  /** The place of the window on the canvas, in CSS pixels; the upper left corner by default. */
  x?: number
  y?: number
}

/** Let a pen draw in the CSS pixels of a window. */
export function placeWindow(
  pen: CanvasRenderingContext2D,
  { ratio, x = 0, y = 0 }: Pick<Window, 'ratio' | 'x' | 'y'>,
): void {
  pen.setTransform(ratio, 0, 0, ratio, x * ratio, y * ratio)
}

/** Full height of the surprise bar, in nats. */
export const SURPRISE_LIMIT = 5

export interface Visible {
  firstStep: number
  endStep: number
  /** The column after the last one in sight, in the text or behind it. */
  endColumn: number
  firstRow: number
  endRow: number
  x: (step: number) => number
  y: (row: number) => number
}

export function visibleCells(scene: Scene, view: Window): Visible {
  const g = scene.geometry
  const steps = scene.labels.length
  const endColumn = Math.ceil((view.left + view.width - g.label) / g.cell)
  return {
    firstStep: Math.max(0, Math.floor(view.left / g.cell)),
    endStep: Math.min(steps, endColumn),
    endColumn,
    firstRow: Math.max(0, Math.floor(view.top / g.pitch)),
    endRow: Math.min(scene.rows.length, Math.ceil((view.top + view.height - g.header) / g.pitch)),
    x: (step) => g.label + step * g.cell - view.left,
    y: (row) => g.header + row * g.pitch - view.top,
  }
}
