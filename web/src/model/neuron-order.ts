// The order in which neurons are listed. Reads the values [N, T] of one signal; NaN counts as missing.
import type { Sort } from '../data/view'

export function variances(values: Float32Array, steps: number): Float64Array {
  const neurons = steps ? values.length / steps : 0
  const result = new Float64Array(neurons)
  for (let n = 0; n < neurons; n++) {
    let count = 0
    let mean = 0
    let spread = 0
    for (let t = n * steps; t < (n + 1) * steps; t++) {
      const value = values[t]!
      if (Number.isNaN(value)) continue
      count++
      const difference = value - mean
      mean += difference / count
      spread += difference * (value - mean)
    }
    result[n] = count ? spread / count : 0
  }
  return result
}

/** Return the correlation of every neuron with neuron `chosen` over the text; 0 for constant neurons. */
export function correlations(values: Float32Array, steps: number, chosen: number): Float64Array {
  const neurons = steps ? values.length / steps : 0
  const result = new Float64Array(neurons)
  for (let n = 0; n < neurons; n++) {
    let count = 0
    let a = 0
    let b = 0
    let aa = 0
    let bb = 0
    let ab = 0
    // Subtracting the first value avoids rounding errors of nearly constant neurons.
    const shiftA = values[chosen * steps]! || 0
    const shiftB = values[n * steps]! || 0
    for (let t = 0; t < steps; t++) {
      const x = values[chosen * steps + t]! - shiftA
      const y = values[n * steps + t]! - shiftB
      if (Number.isNaN(x) || Number.isNaN(y)) continue
      count++
      a += x
      b += y
      aa += x * x
      bb += y * y
      ab += x * y
    }
    const spread = (aa - (a * a) / count) * (bb - (b * b) / count)
    result[n] = spread > 1e-20 ? (ab - (a * b) / count) / Math.sqrt(spread) : 0
  }
  return result
}

/** Scores of each neuron, by neuron number; NaN and '' if unknown. */
export interface NeuronScores {
  score: Float64Array
  effect: Float64Array
  label: string[]
}

const NO_SCORES: NeuronScores = { score: new Float64Array(), effect: new Float64Array(), label: [] }

export interface NeuronOrder {
  /** Neuron numbers from top to bottom. */
  neurons: number[]
  /** The sort key of each neuron (by neuron number); null if sorted by number. */
  keys: Float64Array | null
}

const missingLast = (value: number | undefined): number =>
  value === undefined || Number.isNaN(value) ? -Infinity : value

function sortByScores(sort: Sort, neurons: number[], scores: NeuronScores): NeuronOrder {
  const keys = sort === 'effect' ? scores.effect : scores.score
  neurons.sort((a, b) => {
    const names = sort === 'label' ? [scores.label[a] || '\uffff', scores.label[b] || '\uffff'] : ['', '']
    if (names[0] !== names[1]) return names[0]! < names[1]! ? -1 : 1
    // The difference of two equal infinities is NaN.
    return missingLast(keys[a]) === missingLast(keys[b]) ? a - b : missingLast(keys[b]) - missingLast(keys[a])
  })
  return { neurons, keys: keys }
}

export function sortNeurons(
  sort: Sort,
  values: Float32Array,
  steps: number,
  chosen: number,
  scores = NO_SCORES,
): NeuronOrder {
  const count = steps ? values.length / steps : 0
  const neurons = Array.from({ length: count }, (_, n) => n)
  if (sort === 'number') return { neurons, keys: null }
  if (sort === 'label' || sort === 'score' || sort === 'effect') return sortByScores(sort, neurons, scores)
  const keys = sort === 'activity' ? variances(values, steps) : correlations(values, steps, Math.min(chosen, count - 1))
  if (sort === 'similar' && chosen < count) keys[chosen] = 1
  neurons.sort(
    (a, b) =>
      (sort === 'similar' && (a === chosen || b === chosen) ? (a === chosen ? -1 : 1) : keys[b]! - keys[a]!) || a - b,
  )
  return { neurons, keys: keys }
}
