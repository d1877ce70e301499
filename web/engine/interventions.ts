// Changes of the signals of neurons while the network runs: value <- scale · value + shift.
//
// A change acts at the point where the equations compute the signal; everything that is computed later reads the
// changed value. Several changes of a signal act in the order of the list. The rules are those of
// src/gatescope/engine/interventions.py.
import { type Precision, type Values, zeros } from './arrays'
import type { Cell } from './cell'
import { EngineError, shown } from './errors'

/** Python's slice; null or missing for an open end. */
export interface Slice {
  start?: number | null
  stop?: number | null
  step?: number | null
}

/** Numbers whose first axis is the step, as nested lists. */
export type Nested = number[] | Nested[]

/** A change as it arrives: `steps`, `row`, `scale` and `shift` default to all steps, all rows, 0 and 0. */
export interface Intervention {
  layer: string | number
  signal: string
  neuron: number | Slice
  steps?: number | Slice | null
  scale?: number
  shift?: number | Nested
  row?: number | Slice | null
}

/** A checked change of one layer. */
export interface Change {
  signal: string
  neurons: number[]
  rows: number[]
  /** The steps at which the change acts; null for all. */
  steps: Set<number> | null
  scale: number
  /** Return the number that is added at a step, for a row and a neuron by their places in `rows` and `neurons`. */
  shift: (step: number, row: number, neuron: number) => number
  /** Whether the shift has values for each step, and for each row. */
  varies: boolean
  variesByRow: boolean
}

const MAX_AXES = 3
const MAX_CHANGES = 1000

const invalid = (name: string, value: unknown): EngineError =>
  new EngineError('INTERVENTION_INVALID', { name, value: shown(value) })

/** Return the places that a selection picks among `count`, as Python's slice does. */
export function places(name: string, selection: unknown, count: number): number[] {
  if (Number.isInteger(selection)) return [selection as number]
  if (typeof selection !== 'object' || selection === null || Array.isArray(selection)) throw invalid(name, selection)
  const { start = null, stop = null, step = null } = selection as Slice
  if (![start, stop, step].every((bound) => bound === null || Number.isSafeInteger(bound)) || step === 0)
    throw invalid(name, selection)
  const stride = step ?? 1
  const [low, high] = stride > 0 ? [0, count] : [-1, count - 1]
  const bound = (value: number): number => Math.min(high, Math.max(low, value < 0 ? value + count : value))
  const first = start === null ? (stride > 0 ? low : high) : bound(start)
  const last = stop === null ? (stride > 0 ? high : low) : bound(stop)
  const picked: number[] = []
  for (let place = first; stride > 0 ? place < last : place > last; place += stride) picked.push(place)
  return picked
}

const isEvery = (selection: unknown): boolean =>
  selection === null ||
  selection === undefined ||
  (typeof selection === 'object' && Object.values(selection).every((bound) => bound === null || bound === undefined))

/** Return the name of the layer of a change; a number must mean one layer: not both directions. */
export function layerName(layer: unknown, names: readonly string[]): string {
  const meant = names.filter((name) =>
    typeof layer === 'number' ? [`layer${layer}`, `layer${layer}_reverse`].includes(name) : name === layer,
  )
  if (meant.length !== 1)
    throw new EngineError('INTERVENTION_LAYER_UNKNOWN', { layer: shown(layer), layers: names.join(', ') })
  return meant[0]!
}

/** The axes and numbers of nested lists. */
function flat(value: unknown): { shape: number[]; data: number[] } {
  const shape: number[] = []
  for (let level: unknown = value; Array.isArray(level); level = level[0]) shape.push(level.length)
  const data = (value as unknown[]).flat(MAX_AXES) as unknown[]
  const size = shape.reduce((product, length) => product * length, 1)
  if (shape.length > MAX_AXES || data.length !== size || !data.every((entry) => typeof entry === 'number'))
    throw invalid('shift', value)
  return { shape, data: data as number[] }
}

/** Return the shift as a function of step, row and neuron, and whether it varies by row. */
function shiftOf(
  change: Intervention,
  rows: number,
  neurons: number,
  total: number,
): Pick<Change, 'shift' | 'varies' | 'variesByRow'> {
  const value = change.shift ?? 0
  if (typeof value === 'number') {
    if (Number.isNaN(value)) throw invalid('shift', value)
    return { shift: () => value, varies: false, variesByRow: false }
  }
  if (!Array.isArray(value)) throw invalid('shift', value)
  const { shape, data } = flat(value)
  if (shape[0] !== total) throw new EngineError('INTERVENTION_STEP_COUNT', { count: shape[0]!, steps: total })
  const byNeuron = typeof change.neuron === 'object'
  const byRow = typeof change.row !== 'number'
  // The last axes are those of rows and neurons, where these are slices; an axis of size 1 is repeated.
  const axes = [...(byRow ? [rows] : []), ...(byNeuron ? [neurons] : [])]
  const given = shape.slice(1)
  if (given.length > axes.length) throw invalid('shift', value)
  const used = axes.slice(axes.length - given.length)
  if (given.some((length, k) => length !== 1 && length !== used[k])) throw invalid('shift', value)
  const neuronAxis = byNeuron ? given.length - 1 : -1
  const rowAxis = byRow ? given.length - (byNeuron ? 2 : 1) : -1
  const size = given.reduce((product, length) => product * length, 1)
  const stride = (axis: number): number =>
    axis < 0 || given[axis] === 1 ? 0 : given.slice(axis + 1).reduce((product, length) => product * length, 1)
  const [rowStride, neuronStride] = [stride(rowAxis), stride(neuronAxis)]
  return {
    shift: (step, row, neuron) => data[step * size + row * rowStride + neuron * neuronStride]!,
    varies: true,
    variesByRow: rowAxis >= 0,
  }
}

/** Return a change of a cell's signal, checked. */
function checked(change: Intervention, cell: Cell, total: number, rows: number, neurons: number): Change {
  const line = cell.signals.get(change.signal)
  if (line === undefined)
    throw new EngineError('INTERVENTION_SIGNAL_UNKNOWN', {
      signal: shown(change.signal),
      signals: [...cell.signals.keys()].join(', '),
    })
  const [rowSelection, scale] = [change.row ?? {}, change.scale ?? 0]
  if (typeof scale !== 'number' || Number.isNaN(scale)) throw invalid('scale', scale)
  for (const [name, place, count] of [
    ['neuron', change.neuron, neurons],
    ['row', rowSelection, rows],
  ] as const)
    if (typeof place === 'number' && !(place >= 0 && place < count))
      throw new EngineError('INTERVENTION_PLACE_UNKNOWN', { name, place, last: count - 1 })
  // One step is a slice of one step, so that -1 is the last one.
  const { steps } = change
  const single = typeof steps === 'number' ? { start: steps, stop: steps === -1 ? null : steps + 1 } : steps
  const [rowPlaces, neuronPlaces] = [places('row', rowSelection, rows), places('neuron', change.neuron, neurons)]
  return {
    signal: cell.stops.get(line)!,
    neurons: neuronPlaces,
    rows: rowPlaces,
    steps: isEvery(single) ? null : new Set(places('steps', single, total)),
    scale,
    ...shiftOf(change, rowPlaces.length, neuronPlaces.length, total),
  }
}

/** Return the changes of one layer, checked, in their order. `total` is the number of all steps as changes count. */
export function changesOf(
  interventions: readonly Intervention[],
  layer: string,
  names: readonly string[],
  cell: Cell,
  total: number,
  rows: number,
  neurons: number,
): Change[] {
  if (!Array.isArray(interventions) || interventions.length > MAX_CHANGES) throw invalid('interventions', interventions)
  return interventions
    .filter((change) => {
      if (typeof change !== 'object' || change === null) throw invalid('intervention', change)
      return layerName(change.layer, names) === layer
    })
    .map((change) => checked(change, cell, total, rows, neurons))
}

/** Return a change of a batch as the change of one of its rows that is run alone; none if it does not act on it. */
export function ofRow(change: Change, row: number): Change[] {
  const place = change.rows.indexOf(row)
  if (place < 0) return []
  return [{ ...change, rows: [0], shift: (step, _, neuron) => change.shift(step, place, neuron), variesByRow: false }]
}

/** Apply the changes of a signal at one step to its values (B, N), in place. */
export function apply(changes: readonly Change[], signal: string, step: number, values: Values, neurons: number): void {
  const round = values instanceof Float32Array ? Math.fround : (value: number): number => value
  for (const change of changes) {
    if (change.signal !== signal || (change.steps && !change.steps.has(step))) continue
    const scale = round(change.scale)
    change.rows.forEach((row, r) =>
      change.neurons.forEach((neuron, n) => {
        const place = row * neurons + neuron
        values[place] = round(values[place]! * scale) + round(change.shift(step, r, n))
      }),
    )
  }
}

/** Scale and shift of a signal, (T or 1, B or 1, N): one change that stands for all. */
export interface Joined {
  scale: Values
  shift: Values
  byStep: boolean
  byRow: boolean
}

/**
 * Join all changes of each signal into one: value <- scale · value + shift.
 *
 * `first` is the number of the first of `steps` steps, as changes count.
 */
export function joined(
  changes: readonly Change[],
  precision: Precision,
  first: number,
  steps: number,
  rows: number,
  neurons: number,
): Map<string, Joined> {
  const round = precision === 'float32' ? Math.fround : (value: number): number => value
  const result = new Map<string, Joined>()
  for (const signal of new Set(changes.map((change) => change.signal))) {
    const acting = changes.filter((change) => change.signal === signal)
    const byStep = acting.some((change) => change.steps !== null || change.varies)
    const byRow = acting.some((change) => change.rows.length !== rows || change.variesByRow)
    const [stepCount, rowCount] = [byStep ? steps : 1, byRow ? rows : 1]
    const size = stepCount * rowCount * neurons
    const scale = zeros(precision, size).fill(1)
    const shift = zeros(precision, size)
    for (const change of acting)
      for (let t = 0; t < stepCount; t++) {
        if (change.steps && !change.steps.has(first + t)) continue
        const factor = round(change.scale)
        for (let r = 0; r < (byRow ? change.rows.length : 1); r++)
          change.neurons.forEach((neuron, n) => {
            const place = (t * rowCount + (byRow ? change.rows[r]! : 0)) * neurons + neuron
            scale[place]! *= factor
            shift[place] = round(shift[place]! * factor) + round(change.shift(first + t, r, n))
          })
      }
    result.set(signal, { scale, shift, byStep, byRow })
  }
  return result
}

/** Whether the changes of a step do not depend on the number of steps and of sequences. */
function isLocal(intervention: Intervention): boolean {
  // Something else than an intervention is refused when it is read.
  if (typeof intervention !== 'object' || intervention === null) return false
  const { row, steps, shift } = intervention
  const { start, stop, step } = typeof steps === 'object' && steps !== null ? steps : {}
  const bounds = typeof steps === 'number' ? [steps] : [start, stop, step]
  return (row ?? null) === null && typeof (shift ?? 0) === 'number' && bounds.every((bound) => (bound ?? 0) >= 0)
}

/** Return the number of first steps of a text at which two lists of changes do the same; Infinity for equal lists. */
export function unchangedSteps(interventions: readonly Intervention[], old: readonly Intervention[]): number {
  if (![...interventions, ...old].every(isLocal)) return 0
  const [now, before] = [interventions, old].map((list) => list.map((one) => JSON.stringify(one))) as [
    string[],
    string[],
  ]
  let same = 0
  while (same < now.length && now[same] === before[same]) same++
  if (same === now.length && same === before.length) return Infinity
  const firstOf = ({ steps }: Intervention): number => (typeof steps === 'number' ? steps : (steps?.start ?? 0))
  return Math.min(...[...interventions.slice(same), ...old.slice(same)].map(firstOf))
}

/** Return a text that differs for different interventions. */
export function keyOf(interventions: readonly Intervention[]): string {
  try {
    return JSON.stringify(interventions)
  } catch {
    // Values that are nested too deeply.
    throw new EngineError('INTERVENTION_INVALID', { name: 'intervention', value: shown(interventions) })
  }
}
