// Predictions and targets of each step, for every kind of readout.
import type { Readout, Unit } from '../data/run'
import type { Columns, Trace } from '../data/trace'
import { text } from '../messages/text'
import { characterName } from './characters'
import { MAX_NAMED_OUTPUTS } from './descriptions'
import { shortNumber } from './numbers'

export interface NetworkInfo {
  unit: Unit
  readout: Readout
  vocabulary: string[]
}

/** Return the name of the input of a step, for a sentence: “a”, “cats”, value 0.25, marker 1. */
export function stepName(network: NetworkInfo, trace: Trace, step: number): string {
  const { input } = trace
  if (!input) return characterName(trace.labels[step] ?? '')
  if (input.width > MAX_NAMED_OUTPUTS) return text('STEP_NUMBERS', { count: input.width })
  const values = Array.from({ length: input.width }, (_, k) => input.data[step * input.width + k]!)
  return values
    .map((value, k) => text('STEP_NUMBER', { name: network.vocabulary[k] ?? '', value: shortNumber(value) }))
    .join(text('LIST_NAMES'))
}

/** Return the first step of the sequence that a step is in, and the step after its last one. */
export function sequenceAt(start: Uint8Array, step: number): { first: number; end: number } {
  let first = step
  while (first > 0 && !start[first]) first--
  let end = step + 1
  while (end < start.length && !start[end]) end++
  return { first, end }
}

/** Predicted and target classes of every step; -1 where there is no prediction or the target is unknown. */
export interface ClassPredictions {
  names: string[]
  once: boolean
  predicted: Int32Array
  targets: Int32Array
}

/** Return the classes of a trace. The target of a many-to-one network is repeated at every step of its sequence. */
export function classPredictions(readout: Readout, trace: Trace): ClassPredictions | null {
  if (readout.kind !== 'classes' || !trace.target) return null
  const { steps, top, topToken, start } = trace
  const once = readout.reads === 'last step'
  const predicted = Int32Array.from({ length: steps }, (_, t) => (top ? topToken[t * top]! : -1))
  const targets = Int32Array.from(trace.target, (id) => (id < readout.names.length ? id : -1))
  if (once) for (let t = steps - 2; t >= 0; t--) if (!start[t + 1] && targets[t] === -1) targets[t] = targets[t + 1]!
  return { names: readout.names, once, predicted, targets }
}

/** Return the probability of every class, [steps, classes], NaN without a prediction; null if not all were sent. */
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

/** An output that estimates a number; if `ahead` > 0, it forecasts an input number. */
export interface Output {
  name: string
  index: number
  /** The index of the input number that it forecasts, and how many steps ahead. */
  input: number | null
  ahead: number
}

const AHEAD_NAME = /^(?:(.+) )?(\d+) ahead$/

/** Return the input number that outputs called "3 ahead" forecast: without a name, the one whose next values are the targets. */
function forecastInput(network: NetworkInfo, trace: Trace, series: string | undefined): number | null {
  const { input, value } = trace
  if (!input) return null
  if (series !== undefined) {
    const index = network.vocabulary.indexOf(series)
    return index < 0 ? null : index
  }
  const first = network.readout.names.findIndex((name) => AHEAD_NAME.exec(name)?.[2] === '1')
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

export function outputs(network: NetworkInfo, trace: Trace): Output[] {
  if (network.readout.kind !== 'numbers') return []
  const inputs = new Map<string | undefined, number | null>()
  return network.readout.names.map((name, index) => {
    const [, series, ahead] = AHEAD_NAME.exec(name) ?? []
    if (ahead === undefined) return { name, index, input: null, ahead: 0 }
    if (!inputs.has(series)) inputs.set(series, forecastInput(network, trace, series))
    return { name, index, input: inputs.get(series) ?? null, ahead: Number(ahead) }
  })
}

export interface Estimate {
  low: number
  middle: number
  high: number
}

/** Return the estimate of one output after a step: outer quantiles and median, or three times the mean. */
export function estimateAt({ quantiles }: Readout, estimate: Columns, step: number, index: number): Estimate {
  const levels = Math.max(1, quantiles.length)
  const quantile = (k: number): number => estimate.data[step * estimate.width + index * levels + k]!
  // Crossing quantiles are sorted.
  const sorted = Float64Array.from({ length: levels }, (_, k) => quantile(k)).sort()
  return { low: sorted[0]!, middle: sorted[levels >> 1]!, high: sorted[levels - 1]! }
}

/** Return the per cent of values between the outer quantiles, such as 80; null without two quantiles. */
export function interval({ quantiles }: Readout): number | null {
  return quantiles.length < 2 ? null : Math.round(100 * (quantiles.at(-1)! - quantiles[0]!))
}
