// The scene on the canvas of the strips, and the part of it that is in sight.
import type { Track } from '../data/features'
import type { Readout } from '../data/run'
import type { Columns } from '../data/trace'
import type { Range } from '../data/view'
import type { Scale } from '../model/scale'
import type { Geometry } from './geometry'
import type { Header } from './header'
import type { Palette } from './palette'
import type { Sprites } from './sprites'

export interface Row {
  label: string
  /** A short note beside the label. */
  note: string
  values: Float32Array
  scale: Scale
  /** The label of the neuron and its strength, 0 to 1. */
  chip?: { text: string; strength: number }
  /** Whether the neuron is on in the selected range. */
  inRange?: boolean
  /** The steps at which the values are held. */
  held?: readonly Range[]
}

export interface Scene {
  geometry: Geometry
  palette: Palette
  sprites: Sprites
  labels: string[]
  start: Uint8Array
  /** Whether the layer reads from the end. */
  reverse: boolean
  header: Header
  estimates: { readout: Readout; estimate: Columns | null; start: Uint8Array }
  /** 1 for steps whose symbol the network does not know. */
  unknown: Uint8Array
  rows: Row[]
  /** Predictions of the next symbol: `top` per step, the likeliest first. */
  top: number
  topLabels: (token: number) => string
  topToken: Int32Array
  topProbability: Float32Array
  logProbability: Float32Array
  cursor: { row: number | null; step: number | null; pinned: boolean }
  selected: number | null
  track: Track | null
  range: Range | null
}

export interface Window {
  width: number
  height: number
  left: number
  top: number
  ratio: number
}

/** Full height of the surprise bar, in nats. */
export const SURPRISE_LIMIT = 5

export interface Visible {
  firstStep: number
  endStep: number
  firstRow: number
  endRow: number
  x: (step: number) => number
  y: (row: number) => number
}

export function visibleCells(scene: Scene, view: Window): Visible {
  const g = scene.geometry
  const steps = scene.labels.length
  return {
    firstStep: Math.max(0, Math.floor(view.left / g.cell)),
    endStep: Math.min(steps, Math.ceil((view.left + view.width - g.label) / g.cell)),
    firstRow: Math.max(0, Math.floor(view.top / g.pitch)),
    endRow: Math.min(scene.rows.length, Math.ceil((view.top + view.height - g.header) / g.pitch)),
    x: (step) => g.label + step * g.cell - view.left,
    y: (row) => g.header + row * g.pitch - view.top,
  }
}
