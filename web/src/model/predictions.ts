// What the network predicted at each step beside the targets, whatever the kind of readout.
import type { Readout, Unit } from '../data/run'
import type { Columns, Trace } from '../data/trace'
import { characterName } from './characters'
import { FEW } from './descriptions'
import { shortNumber } from './numbers'

export interface NetworkInfo {
  unit: Unit
  readout: Readout
  vocabulary: string[]
}

/** What was read in a step, as it is named in a sentence: “a”, “cats”, value 0.25 and marker 1. */
export function stepName(about: NetworkInfo, trace: Trace, step: number): string {
  const { input } = trace
  if (!input) return characterName(trace.labels[step] ?? '')
  if (input.width > FEW) return `${input.width} numbers`
  const values = Array.from({ length: input.width }, (_, k) => input.data[step * input.width + k]!)
  return values.map((value, k) => `${about.vocabulary[k] ?? ''} ${shortNumber(value)}`).join(', ')
}

/** The first step behind the sequence that a step is in, and its own first step. */
export function sequenceAt(start: Uint8Array, step: number): { first: number; end: number } {
  let first = step
  while (first > 0 && !start[first]) first--
  let end = step + 1
  while (end < start.length && !start[end]) end++
  return { first, end }
}

/** Classes: what was said, and what should have been, -1 where nothing was or nobody knows. */
export interface ClassPredictions {
  names: string[]
  once: boolean
  predicted: Int32Array
  targets: Int32Array
}

/** Of a network that answers once, what should have been said at its end stands at every step of the sequence. */
export function classPredictions(readout: Readout, trace: Trace): ClassPredictions | null {
  if (readout.kind !== 'classes' || !trace.target) return null
  const { steps, top, topToken, start } = trace
  const once = readout.reads === 'last step'
  const predicted = Int32Array.from({ length: steps }, (_, t) => (top ? topToken[t * top]! : -1))
  const targets = Int32Array.from(trace.target, (id) => (id < readout.names.length ? id : -1))
  if (once) for (let t = steps - 2; t >= 0; t--) if (!start[t + 1] && targets[t] === -1) targets[t] = targets[t + 1]!
  return { names: readout.names, once, predicted, targets }
}

/** The probability of every class in their order, where all of them were sent; NaN where nothing was said. */
export function classProbabilities(readout: Readout, trace: Trace): Float32Array | null {
  const { top, steps, topToken, topProbability } = trace
  const classes = readout.names.length
  if (readout.kind !== 'classes' || top < classes) return null
  const probabilities = new Float32Array(steps * classes).fill(NaN)
  for (let k = 0; k < topToken.length; k++) {
    const id = topToken[k]!
    if (id >= 0) probabilities[Math.floor(k / top) * classes + id] = topProbability[k]!
  }
  return probabilities
}

/** An output of estimated numbers, at the quantiles it has; one that is `ahead` foretells a number that is read. */
export interface Output {
  name: string
  index: number
  /** Which number it foretells, and how many steps ahead. */
  input: number | null
  ahead: number
}

const AHEAD_NAME = /^(?:(.+) )?(\d+) ahead$/

/** Of "3 ahead" the name of the series may be missing: it is the number that came in the next steps. */
function forecastInput(about: NetworkInfo, trace: Trace, series: string | undefined): number | null {
  const { input, value } = trace
  if (!input) return null
  if (series !== undefined) {
    const index = about.vocabulary.indexOf(series)
    return index < 0 ? null : index
  }
  const first = about.readout.names.findIndex((name) => AHEAD_NAME.exec(name)?.[2] === '1')
  for (let k = 0; k < input.width; k++) {
    let matches = 0
    for (let t = 0; t + 1 < trace.steps; t++) {
      if (trace.start[t + 1]) continue
      const actual = value?.data[t * value.width + first] ?? NaN
      if (Number.isNaN(actual)) continue
      if (Math.abs(actual - input.data[(t + 1) * input.width + k]!) > 1e-6) matches = -Infinity
      matches++
    }
    if (matches > 0) return k
  }
  return input.width === 1 ? 0 : null
}

export function outputs(about: NetworkInfo, trace: Trace): Output[] {
  if (about.readout.kind !== 'numbers') return []
  const inputs = new Map<string | undefined, number | null>()
  return about.readout.names.map((name, index) => {
    const [, series, ahead] = AHEAD_NAME.exec(name) ?? []
    if (ahead === undefined) return { name, index, input: null, ahead: 0 }
    if (!inputs.has(series)) inputs.set(series, forecastInput(about, trace, series))
    return { name, index, input: inputs.get(series) ?? null, ahead: Number(ahead) }
  })
}

export interface Estimate {
  low: number
  middle: number
  high: number
}

/** What was estimated of one output after a step: its outer quantiles and its middle; all three the mean without quantiles. */
export function estimateAt({ quantiles }: Readout, estimate: Columns, step: number, index: number): Estimate {
  const levels = Math.max(1, quantiles.length)
  const at = (k: number): number => estimate.data[step * estimate.width + index * levels + k]!
  // Quantiles that cross are put in order.
  const sorted = Float64Array.from({ length: levels }, (_, k) => at(k)).sort()
  return { low: sorted[0]!, middle: sorted[levels >> 1]!, high: sorted[levels - 1]! }
}

/** The share of values between the outer quantiles, as a per cent: 80. Null where there is one quantile, or none. */
export function interval({ quantiles }: Readout): number | null {
  return quantiles.length < 2 ? null : Math.round(100 * (quantiles.at(-1)! - quantiles[0]!))
}
