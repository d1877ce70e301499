// Where gradients go: maps over all pairs of steps, how they fall with distance, chains of factors.
import type { Scale } from './paint'
import type { Expression } from './source'
import { readTensors, TraceError } from './trace'

export interface Pair {
  /** The earlier step: by whose state is derived. */
  before: number
  /** The later step, whose state is derived. */
  after: number
}

export interface Term {
  to: string
  source: string
  name: string
  direct: boolean
  formula: string
}

/** The map of one layer over one text. Entry [t · T + s] is the natural logarithm of a norm; NaN where there is none. */
export interface PairMap {
  labels: string[]
  steps: number
  start: Uint8Array
  step: number
  states: string[]
  neurons: number
  exact: boolean
  vectors: number | null
  /** Pairs further apart were not looked at; null = all were. */
  furthest: number | null
  exponent: number | null
  terms: Term[]
  norm: (state: string | null) => Float32Array
  largest: Float32Array
  bypass: Float32Array
  rest: Float32Array
  /** A row of T for each term. */
  shares: Float32Array
}

export function readMap(bytes: ArrayBuffer): PairMap {
  const { metadata, tensors } = readTensors(bytes)
  const said = <T>(name: string, otherwise: T): T => (name in metadata ? JSON.parse(metadata[name]!) : otherwise)
  const array = (name: string): Float32Array =>
    (tensors.get(name)?.data as Float32Array | undefined) ?? new Float32Array()
  const labels = said<string[]>('labels', [])
  if (array('norm').length !== labels.length ** 2)
    throw new TraceError(`The map has ${array('norm').length} entries for a text of ${labels.length} steps.`)
  return {
    labels,
    steps: labels.length,
    start: (tensors.get('start')?.data as Uint8Array | undefined) ?? new Uint8Array(),
    step: said('step', 0),
    states: said('states', []),
    neurons: said('neurons', 0),
    exact: said('exact', true),
    vectors: said('vectors', null),
    furthest: said('furthest', null),
    exponent: said('exponent', null),
    terms: said('terms', []),
    norm: (state) => array(state === null ? 'norm' : `norm.${state}`),
    largest: array('largest'),
    bypass: array('bypass'),
    rest: array('rest'),
    shares: array('shares'),
  }
}

/** What the predictions of the steps `first` and on hang on: row after row of `steps` values. */
export interface Connected {
  first: number
  rows: number
  steps: number
  furthest: number
  values: Float32Array
  loss: Float32Array
}

export function readConnections(bytes: ArrayBuffer): Connected {
  const { metadata, tensors } = readTensors(bytes)
  const found = tensors.get('connections')
  const loss = tensors.get('loss')
  if (!found || !loss) throw new TraceError('The answer has no connections.')
  return {
    first: Number(metadata['first']),
    rows: found.shape[0] ?? 0,
    steps: found.shape[1] ?? 0,
    furthest: Number(metadata['furthest']),
    values: found.data as Float32Array,
    loss: loss.data as Float32Array,
  }
}

/** The row of one step; null where the answer does not reach it. */
export function rowOf(found: Connected, step: number): Float32Array | null {
  const row = step - found.first
  return row >= 0 && row < found.rows ? found.values.subarray(row * found.steps, (row + 1) * found.steps) : null
}

export interface Chain {
  columns: { step: number[]; direct: number[]; product: number[]; whole: (number | null)[] } & Record<
    string,
    (number | null)[]
  >
  direct: { formula: string; expression: Expression }[]
  values: Record<string, number[]>
  through: Record<string, string>
  about: { layer: string; state: string; neuron: number; after: number; before: number }
}

const LOWS = [-1, -2, -3, -4, -6, -8, -12]
const COVERED = 0.95

/** Powers of ten that hold most of the sizes of a map: what is smaller is as good as gone. */
export function decadeScale(values: ArrayLike<number>): Scale {
  const known = Array.from(values, decades).filter(Number.isFinite)
  known.sort((a, b) => a - b)
  const least = known[Math.floor((1 - COVERED) * known.length)] ?? 0
  const high = Math.max(1, Math.ceil(known.at(-1) ?? 0))
  return { kind: 'one', low: LOWS.find((low) => low <= least) ?? LOWS.at(-1)!, high, open: false }
}

/** Keeps one scale for all the weights of a network on one text; it only ever grows, so that they can be compared. */
export class HeldScale {
  #about = ''
  #scale: Scale | null = null

  scale(about: string, values: ArrayLike<number>): Scale {
    const now = decadeScale(values)
    const held = about === this.#about ? this.#scale : null
    this.#about = about
    this.#scale = held ? { ...now, low: Math.min(now.low, held.low), high: Math.max(now.high, held.high) } : now
    return this.#scale
  }
}

/** A natural logarithm as a power of ten. */
export const decades = (log: number): number => log / Math.LN10

const RAISED: Record<string, string> = { '-': '⁻', ...Object.fromEntries([...'⁰¹²³⁴⁵⁶⁷⁸⁹'].map((one, k) => [k, one])) }

/** 10⁻⁵ */
export function power(exponent: number): string {
  return exponent === 0 ? '1' : exponent === 1 ? '10' : `10${[...String(exponent)].map((one) => RAISED[one]).join('')}`
}

/** A size from its natural logarithm, whatever its magnitude: 0.034, 2.1 · 10⁻⁹. */
export function size(log: number): string {
  if (Number.isNaN(log)) return 'no data'
  if (log === -Infinity) return '0'
  const ten = decades(log)
  if (ten >= -3 && ten < 4) return String(Number(Math.exp(log).toPrecision(3)))
  const exponent = Math.floor(ten)
  return `${(10 ** (ten - exponent)).toPrecision(2)} · ${power(exponent)}`
}

export interface Quartiles {
  distance: number
  pairs: number
  low: number
  middle: number
  high: number
}

function quantile(sorted: number[], share: number): number {
  const at = share * (sorted.length - 1)
  const below = sorted[Math.floor(at)]!
  const above = sorted[Math.ceil(at)]!
  return below === above ? below : below + (above - below) * (at - Math.floor(at))
}

/** Median and quartiles over all pairs of one distance, for every distance that has a pair. */
export function byDistance(values: Float32Array, steps: number): Quartiles[] {
  const found: Quartiles[] = []
  for (let distance = 0; distance < steps; distance++) {
    const known: number[] = []
    for (let t = distance; t < steps; t++) {
      const value = values[t * steps + t - distance]!
      if (!Number.isNaN(value)) known.push(value)
    }
    if (!known.length) break
    known.sort((a, b) => a - b)
    const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(known, share))
    found.push({ distance, pairs: known.length, low: low!, middle: middle!, high: high! })
  }
  return found
}

/** Where medians (logarithms) have first fallen to a share of the first one; ∞ where they never do. */
export function crossing(curve: Quartiles[], share: number): number {
  const start = curve[0]?.middle ?? NaN
  if (!Number.isFinite(start)) return NaN
  const level = start + Math.log(share)
  const first = curve.findIndex((one) => one.middle <= level)
  if (first < 0) return Infinity
  const [left, right] = [curve[first - 1]!.middle, curve[first]!.middle]
  return right === -Infinity ? first : first - 1 + (left - level) / (left - right)
}

/** The median of the known ones. */
export function median(values: ArrayLike<number>): number {
  const known = Array.from(values).filter((value) => !Number.isNaN(value))
  known.sort((a, b) => a - b)
  return known.length ? quantile(known, 0.5) : NaN
}

/** Where the map's cells lie on its canvas, in CSS pixels. */
export interface Square {
  cell: number
  left: number
  top: number
  steps: number
}

const LARGEST_CELL = 24
export const MARGIN = 46

/** Words need more room beside the map than characters. */
export const WORDS_MARGIN = 92

export function square(steps: number, width: number, margin = MARGIN): Square {
  const cell = Math.max(1, Math.min(LARGEST_CELL, Math.floor((width - margin - 2) / Math.max(1, steps))))
  return { cell, left: margin, top: margin, steps }
}

/** The pair of steps under a point; null outside of the triangle. */
export function pairAt({ cell, left, top, steps }: Square, x: number, y: number): Pair | null {
  const before = Math.floor((x - left) / cell)
  const after = Math.floor((y - top) / cell)
  return before >= 0 && after < steps && before <= after ? { before, after } : null
}

/** A pair moved by so many steps, kept within the triangle. */
export function moved(pair: Pair, before: number, after: number, steps: number): Pair {
  const later = Math.max(0, Math.min(steps - 1, pair.after + after))
  return { after: later, before: Math.max(0, Math.min(later, pair.before + before)) }
}
