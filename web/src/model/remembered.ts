// How well a neuron follows what a task makes the network remember: a score on strings of the task.
//
// A count is compared by R² of the line that was fitted on every other string, a truth value by the area under the ROC
// curve on all strings. What chance reaches is the best score of any neuron when the strings are shuffled among the
// values. It is a score, not a label: gatescope.studies.labels compares with hundreds of features and tests the result.
import type { Remembered } from '../data/playground'

/** A neuron of one signal, and the score of the quantity that it follows best. */
export interface Follower {
  neuron: number
  quantity: Remembered['quantities'][number]
  score: number
}

/** The score from which on a neuron counts as following. */
export const FOLLOWS = 0.9

const SHUFFLES = 50

/** The strings of some steps, without the step that reads the end mark: nothing is learned about it. */
interface Strings {
  /** The first step of each string, and the step after its last one. */
  spans: readonly (readonly [number, number])[]
}

export function spansOf(strings: readonly string[]): Strings {
  let end = 0
  const spans = strings.map((string) => {
    const start = end
    end += [...string].length
    return [start, end - 1] as const
  })
  return { spans }
}

/**
 * Return the neuron that follows any of the quantities best; null if none can be followed.
 *
 * @param values the values of a signal, [neurons, steps]
 */
export function bestFollower(values: Float32Array, remembered: Remembered): Follower | null {
  const strings = spansOf(remembered.strings)
  return best(values, remembered, (k) => strings.spans[k]!)
}

/** Return the best score that any neuron reaches when the strings are shuffled; null if there is none. */
export function shuffledScore(values: Float32Array, remembered: Remembered): number | null {
  const { spans } = spansOf(remembered.strings)
  let most: number | null = null
  for (let seed = 1; seed <= SHUFFLES; seed++) {
    const order = shuffled(spans.length, seed)
    const found = best(values, remembered, (k) => spans[order[k]!]!)
    if (found && (most === null || found.score > most)) most = found.score
  }
  return most
}

/** Return how well each neuron follows the quantity that it follows best; null for a neuron that follows none. */
export function followers(values: Float32Array, remembered: Remembered): (Follower | null)[] {
  const strings = spansOf(remembered.strings)
  return each(values, remembered, (k) => strings.spans[k]!)
}

/** Return the best follower where string k has the quantities of another string. */
function best(...given: Parameters<typeof each>): Follower | null {
  let found: Follower | null = null
  for (const one of each(...given)) if (one && (!found || one.score > found.score)) found = one
  return found
}

/** Return the best quantity of each neuron where string k has the quantities of another string. */
function each(
  values: Float32Array,
  remembered: Remembered,
  quantitiesOf: (k: number) => readonly [number, number],
): (Follower | null)[] {
  const { spans } = spansOf(remembered.strings)
  const steps = remembered.quantities[0]?.values.length ?? 0
  // Strings of different lengths share their first steps.
  const pairs = spans.map(([start, end], k) => {
    const [from, to] = quantitiesOf(k)
    return { start, from, length: Math.min(end - start, to - from) }
  })
  const neurons = steps ? values.length / steps : 0
  const found: (Follower | null)[] = Array.from({ length: neurons }, () => null)
  for (const quantity of remembered.quantities)
    for (let neuron = 0; neuron < neurons; neuron++) {
      const [x, y, fit] = [[] as number[], [] as number[], [] as boolean[]]
      pairs.forEach(({ start, from, length }, k) => {
        for (let t = 0; t < length; t++) {
          x.push(values[neuron * steps + start + t]!)
          y.push(Number(quantity.values[from + t]))
          fit.push(k % 2 === 0)
        }
      })
      const score = quantity.count ? heldOutR2(x, y, fit) : area(x, y)
      if (score !== null && score > (found[neuron]?.score ?? -1)) found[neuron] = { neuron, quantity, score }
    }
  return found
}

/** Return R² of y on the steps that are not in the fit, of the line through the others; null if y or x is constant. */
export function heldOutR2(x: readonly number[], y: readonly number[], fit: readonly boolean[]): number | null {
  let [n, sx, sy, sxx, sxy] = [0, 0, 0, 0, 0]
  x.forEach((value, k) => {
    if (!fit[k]) return
    n++
    sx += value
    sy += y[k]!
    sxx += value * value
    sxy += value * y[k]!
  })
  const spread = n * sxx - sx * sx
  if (!(spread > 1e-12 * n * sxx)) return null
  const slope = (n * sxy - sx * sy) / spread
  const intercept = (sy - slope * sx) / n
  const rest = y.flatMap((value, k) => (fit[k] ? [] : [{ value, error: value - slope * x[k]! - intercept }]))
  const mean = rest.reduce((sum, { value }) => sum + value, 0) / rest.length
  const total = rest.reduce((sum, { value }) => sum + (value - mean) ** 2, 0)
  if (!(total > 0)) return null
  return Math.max(0, 1 - rest.reduce((sum, { error }) => sum + error ** 2, 0) / total)
}

/** Return the area under the ROC curve of x for the truth of y, of whichever direction is better; null if y is constant. */
export function area(x: readonly number[], y: readonly number[]): number | null {
  const order = [...x.keys()].sort((a, b) => x[a]! - x[b]!)
  const on = y.reduce((sum, value) => sum + value, 0)
  const off = y.length - on
  if (!on || !off || !x.every(Number.isFinite)) return null
  let ranks = 0
  for (let first = 0; first < order.length;) {
    let last = first
    while (last + 1 < order.length && x[order[last + 1]!] === x[order[first]!]) last++
    // Equal values share their mean rank.
    for (let k = first; k <= last; k++) if (y[order[k]!]) ranks += (first + last) / 2 + 1
    first = last + 1
  }
  const share = (ranks - (on * (on + 1)) / 2) / (on * off)
  return Math.max(share, 1 - share)
}

/** Return the numbers below `count` in an order that follows from a seed (a linear congruential generator). */
function shuffled(count: number, seed: number): number[] {
  const order = Array.from({ length: count }, (_, k) => k)
  let state = seed
  for (let k = count - 1; k > 0; k--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    const other = Math.floor((state / 2 ** 32) * (k + 1))
    ;[order[k], order[other]] = [order[other]!, order[k]!]
  }
  return order
}
