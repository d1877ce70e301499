// Small scenes for the tests of drawing: a trace, the run it belongs to, and everything on the canvas.
import type { Readout, Run, Unit } from '../src/data/run'
import type { Tensor } from '../src/data/safetensors'
import { Trace } from '../src/data/trace'
import { geometry, PLAIN, type Extras } from '../src/draw/geometry'
import { headerOf } from '../src/draw/header'
import { LIGHT, Palette } from '../src/draw/palette'
import { type Row, type Scene, type Visible, visibleCells, type Window } from '../src/draw/scene'
import { Sprites } from '../src/draw/sprites'
import { predictionLabels } from '../src/model/characters'
import { type Scale } from '../src/model/scale'

export const WINDOW: Window = { width: 900, height: 600, left: 0, top: 0, ratio: 1 }
export const GATE: Scale = { kind: 'one', low: 0, high: 1, open: false }
export const SIGNED: Scale = { kind: 'two', low: -1, high: 1, open: false }

const SYMBOLS: Readout = { kind: 'symbols', names: [], quantiles: [], reads: 'every step' }

/** Arrays of a trace; those left out are filled with zeros, or absent where they may be. */
export interface Arrays {
  start?: number[]
  topToken?: number[][]
  topProbability?: number[][]
  logProbability?: number[]
  target?: number[]
  input?: number[][]
  value?: number[][]
  estimate?: number[][]
}

const columns = (rows: number[][]): Tensor => ({
  shape: [rows.length, rows[0]?.length ?? 0],
  data: Float32Array.from(rows.flat()),
})

export function makeTrace(labels: string[], arrays: Arrays = {}): Trace {
  const steps = labels.length
  const zeros = labels.map(() => 0)
  const top = arrays.topToken ?? zeros.map(() => [0])
  const tensors = new Map<string, Tensor>([
    ['token', { shape: [steps], data: new Int32Array(steps) }],
    ['start', { shape: [steps], data: Uint8Array.from(arrays.start ?? zeros.map((_, t) => Number(t === 0))) }],
    ['top_token', { shape: [steps, top[0]?.length ?? 1], data: Int32Array.from(top.flat()) }],
    ['top_probability', columns(arrays.topProbability ?? zeros.map(() => [0]))],
    ['log_probability', { shape: [steps], data: Float32Array.from(arrays.logProbability ?? zeros.map(() => NaN)) }],
  ])
  if (arrays.target) tensors.set('target', { shape: [steps], data: Int32Array.from(arrays.target) })
  for (const name of ['input', 'value', 'estimate'] as const) if (arrays[name]) tensors.set(name, columns(arrays[name]))
  return new Trace({ metadata: { labels: JSON.stringify(labels) }, tensors })
}

export interface SceneOptions {
  labels: string[]
  arrays?: Arrays
  readout?: Partial<Readout>
  unit?: Unit
  vocabulary?: string[]
  rows?: Partial<Row>[]
  zoom?: number
  label?: number
  curve?: number
  extras?: Partial<Extras>
  scene?: Partial<Scene>
}

/** A scene with one row by default. Letters are 60 % as wide as their font is high. */
export function makeScene(options: SceneOptions): Scene {
  const { labels, arrays = {}, unit = 'character', vocabulary = ['a', 'b', 'c'] } = options
  const trace = makeTrace(labels, arrays)
  const readout = { ...SYMBOLS, ...options.readout }
  const run = { unit, readout, vocabulary, task: { name: 'text', title: '', question: '' } } as unknown as Run
  const header = headerOf(run, trace)
  const names = predictionLabels(run)
  const g = geometry(options.zoom ?? 3, labels, options.label ?? 134, options.curve ?? 0, (text) => 60 * text.length, {
    ...PLAIN,
    header: header.parts,
    width: 700,
    ...options.extras,
  })
  const rows = (options.rows ?? [{}]).map((row, k) => ({
    label: String(k),
    note: '',
    values: new Float32Array(labels.length),
    scale: SIGNED,
    ...row,
  }))
  return {
    geometry: g,
    palette: new Palette(LIGHT),
    sprites: new Sprites(),
    labels,
    start: trace.start,
    ruler: labels,
    ghost: null,
    branches: [],
    selection: null,
    editable: false,
    reverse: false,
    header,
    estimates: { readout, estimate: trace.estimate, start: trace.start },
    unknown: new Uint8Array(labels.length),
    rows,
    topLabels: (token) => names[token] ?? '?',
    predicted: trace,
    original: null,
    cursor: { row: null, step: null, pinned: false },
    selected: null,
    track: null,
    range: null,
    ...options.scene,
  }
}

export function visibleOf(scene: Scene, window: Window = WINDOW): Visible {
  return visibleCells(scene, window)
}
