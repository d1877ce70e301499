// The neurons of two networks in pairs, by the correlation of a signal over a text: gatescope.studies.matching.
import { assign } from './assignment'
import { EngineError } from './errors'

/** The values of a signal in two networks, [neurons, steps] each. */
export interface MatchRequest {
  first: Float32Array
  second: Float32Array
  steps: number
}

/** Two neurons, and their correlation over all steps. */
export interface Pair {
  first: number
  second: number
  r: number
}

export type Reason = 'constant' | 'not finite' | 'left over'

/** A neuron without a partner. */
export interface Unpaired {
  side: 'first' | 'second'
  neuron: number
  reason: Reason
}

export interface Matching {
  /** In the order of the neurons of the first network. */
  pairs: Pair[]
  unpaired: Unpaired[]
}

/** The standard deviation below which a signal counts as constant, as in gatescope.studies.health. */
export const STILL = 1e-3
/** Products of values, and steps of the assignment, that take about a second. */
const MAX_PRODUCTS = 5e8

/** Pair each neuron of one network with one of the other, so that the sum of |r| is largest. Throws an EngineError. */
export function matchNeurons({ first, second, steps }: MatchRequest): Matching {
  const [a, b] = [standardized(first, steps), standardized(second, steps)]
  const [rows, columns] = [a.alive.length, b.alive.length]
  const products = rows * columns * Math.max(steps, rows, columns)
  if (products > MAX_PRODUCTS) throw new EngineError('MATCH_TOO_LARGE', { first: rows, second: columns, steps })
  const correlations = new Float64Array(rows * columns)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      const [p, q] = [a.alive[i]! * steps, b.alive[j]! * steps]
      let sum = 0
      for (let t = 0; t < steps; t++) sum += a.values[p + t]! * b.values[q + t]!
      correlations[i * columns + j] = sum
    }
  const chosen = assign(
    correlations.map((r) => -Math.abs(r)),
    rows,
    columns,
  )
  const pairs = Array.from(chosen).flatMap((j, i): Pair[] =>
    j < 0 ? [] : [{ first: a.alive[i]!, second: b.alive[j]!, r: correlations[i * columns + j]! }],
  )
  const unpaired = (['first', 'second'] as const).flatMap((side, k) => {
    const paired = new Set(pairs.map((pair) => pair[side]))
    const { reasons } = k ? b : a
    return reasons.flatMap((reason, neuron): Unpaired[] =>
      paired.has(neuron) ? [] : [{ side, neuron, reason: reason ?? 'left over' }],
    )
  })
  return { pairs, unpaired }
}

interface Standardized {
  /** With mean 0 and norm 1 over all steps. */
  values: Float64Array
  /** The neurons that have a correlation with others, and why the others have none. */
  alive: number[]
  reasons: (Reason | null)[]
}

function standardized(signal: Float32Array, steps: number): Standardized {
  const values = Float64Array.from(signal)
  const reasons = Array.from({ length: steps ? values.length / steps : 0 }, (_, n): Reason | null => {
    const row = values.subarray(n * steps, (n + 1) * steps)
    if (!row.every(Number.isFinite)) return 'not finite'
    const mean = row.reduce((sum, value) => sum + value, 0) / steps
    const norm = Math.sqrt(row.reduce((sum, value) => sum + (value - mean) ** 2, 0))
    if (norm < STILL * Math.sqrt(steps)) return 'constant'
    row.forEach((value, t) => (row[t] = (value - mean) / norm))
    return null
  })
  return { values, alive: reasons.flatMap((reason, n) => (reason === null ? [n] : [])), reasons }
}
