// The neurons that are on throughout a range of a text and off around it: studies/patterns.py for the signal on the screen.
import type { Range } from '../data/view'

/** A neuron that nearly fits: at how many steps of the range it is on, and whether it is on just before and after it. */
export interface NearMiss {
  neuron: number
  /** 1: on at the threshold and above; -1: on at minus the threshold and below. */
  sign: 1 | -1
  on: number
  before: boolean
  after: boolean
}

export interface RangeNeurons {
  /** A neuron is on from this value on; for both signs, if values can be negative. */
  threshold: number
  neurons: number[]
  misses: NearMiss[]
  /** The number of neurons with one and the same value in the range and around it. */
  constant: number
}

interface Values {
  /** The values of a signal, [neurons, steps]. */
  values: Float32Array
  steps: number
  /** 1 at the first step of each sequence. */
  start: Uint8Array
  /** Whether values are never negative. */
  isOneSided: boolean
}

const MAX_MISSES = 5
const MIN_DIGITS = 3
const DEFAULT_THRESHOLD = 0.3

/** Return a number with few digits, at least three, that is at most a value and larger than another one. */
export function roundedDown(value: number, above: number): number {
  for (let digits = MIN_DIGITS; digits < 17; digits++) {
    const text = value.toExponential(digits - 1)
    const unit = Number(`1e${Number(text.slice(text.indexOf('e') + 1)) - digits + 1}`)
    const nearest = Number(text)
    const rounded = nearest <= value ? nearest : Number((nearest - unit).toExponential(digits - 1))
    if (rounded > above && rounded <= value) return rounded
  }
  return value
}

/** One neuron with one sign: its values in the range and at the steps around it. */
interface Candidate {
  neuron: number
  sign: 1 | -1
  inside: Float32Array
  before: number
  after: number
}

/** Yield every neuron with every sign; a step around the range that a sequence does not have is -Infinity. */
function* candidates({ values, steps, start, isOneSided }: Values, { first, last }: Range): Generator<Candidate> {
  const hasBefore = first > 0 && !start[first]
  const hasAfter = last + 1 < steps && !start[last + 1]
  for (let neuron = 0; neuron < values.length / steps; neuron++)
    for (const sign of isOneSided ? ([1] as const) : ([1, -1] as const)) {
      const row = values.subarray(neuron * steps, (neuron + 1) * steps)
      const inside = row.subarray(first, last + 1)
      const side = (step: number): number => (Number.isNaN(row[step]!) ? -Infinity : sign * row[step]!)
      yield {
        neuron,
        sign,
        inside: sign === 1 ? inside : inside.map((value: number) => -value),
        before: hasBefore ? side(first - 1) : -Infinity,
        after: hasAfter ? side(last + 1) : -Infinity,
      }
    }
}

/** Return the largest threshold at which a neuron fails at the fewest steps. */
function chooseThreshold(signal: Values, range: Range): number {
  const least = signal.isOneSided ? -Infinity : 0
  let [fewest, chosen, below] = [Infinity, DEFAULT_THRESHOLD, -Infinity]
  const consider = (failures: number, threshold: number, { before, after }: Candidate): void => {
    if (!(threshold > least) || failures > fewest || (failures === fewest && threshold <= chosen)) return
    const lower = [before, after].filter((value) => value < threshold)
    ;[fewest, chosen, below] = [failures, threshold, Math.max(least, ...lower)]
  }
  for (const candidate of candidates(signal, range)) {
    const { inside, before, after } = candidate
    let lowest = Infinity
    for (const value of inside) lowest = value >= lowest ? lowest : value
    if (lowest > Math.max(before, after)) consider(0, lowest, candidate)
  }
  if (fewest === 0) return roundedDown(chosen, below)
  // No neuron fits: the threshold of a near miss is one of its values in the range.
  for (const candidate of candidates(signal, range)) {
    const ordered = candidate.inside.filter((value) => !Number.isNaN(value)).sort()
    const missing = candidate.inside.length - ordered.length
    ordered.forEach((value, k) => {
      if (k > 0 && ordered[k - 1] === value) return
      consider(missing + k + Number(candidate.before >= value) + Number(candidate.after >= value), value, candidate)
    })
  }
  return roundedDown(chosen, below)
}

/**
 * Return the neurons that are on throughout a range and off around it, and those that come closest.
 *
 * @param threshold the value from which on a neuron is on; null for the largest one at which there is such a neuron, or,
 *   if there is none at any value, at which one fails at the fewest steps
 */
export function rangeNeurons(signal: Values, range: Range, threshold: number | null): RangeNeurons {
  const { values, steps } = signal
  const chosen = threshold ?? chooseThreshold(signal, range)
  const neurons = new Set<number>()
  const misses: (NearMiss & { failures: number; gap: number })[] = []
  for (const { neuron, sign, inside, before, after } of candidates(signal, range)) {
    let on = 0
    let gap = Math.max(before - chosen, after - chosen, 0)
    for (const value of inside) {
      if (value >= chosen) on++
      else gap = Number.isNaN(value) ? Infinity : Math.max(gap, chosen - value)
    }
    const failures = inside.length - on + Number(before >= chosen) + Number(after >= chosen)
    if (failures === 0) neurons.add(neuron)
    else if (on) misses.push({ neuron, sign, on, before: before >= chosen, after: after >= chosen, failures, gap })
  }
  misses.sort((a, b) => a.failures - b.failures || a.gap - b.gap || a.neuron - b.neuron || b.sign - a.sign)
  // A neuron stands in the list once, with its nearer sign.
  const nearest = misses.filter(({ neuron }, k) => misses.findIndex((other) => other.neuron === neuron) === k)
  const around = { first: range.first, last: range.last }
  if (range.first > 0 && !signal.start[range.first]) around.first--
  if (range.last + 1 < steps && !signal.start[range.last + 1]) around.last++
  let constant = 0
  for (let n = 0; n < values.length / steps; n++) {
    const row = values.subarray(n * steps + around.first, n * steps + around.last + 1)
    const known = row.find((value) => !Number.isNaN(value))
    if (row.every((value) => value === known || Number.isNaN(value))) constant++
  }
  const shown = nearest.slice(0, MAX_MISSES)
  return {
    threshold: chosen,
    neurons: [...neurons],
    misses: shown.map(({ neuron, sign, on, before, after }) => ({ neuron, sign, on, before, after })),
    constant,
  }
}

/** Whether a range lies in one sequence. */
export const isInOneSequence = (start: Uint8Array, { first, last }: Range): boolean =>
  !start.subarray(first + 1, last + 1).includes(1)
