// The order in which neurons are listed. Reads the values [N, T] of one signal; NaN counts as missing.
import type { Sort } from '../data/view'
import type { Clusters } from './clustering'

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
  /** The places in `neurons` where a group begins, but for the first one. */
  gaps: readonly number[]
}

/** Layers with more neurons are listed by activity until there are labels. */
export const MAX_NUMBERED_NEURONS = 32
/** Larger layers are not clustered: the distances of all pairs would take too much memory and time. */
export const MAX_CLUSTERED_NEURONS = 2048

/**
 * Return the order in which the neurons of a layer are listed.
 *
 * @param chosen the chosen order; null if none is: by label once there are labels, by activity if the layer is large
 */
export function shownSort(chosen: Sort | null, neurons: number, hasLabels: boolean, hasEffects: boolean): Sort {
  if (chosen === null) return hasLabels ? 'score' : neurons > MAX_NUMBERED_NEURONS ? 'activity' : 'number'
  return missingFor(chosen, neurons, hasLabels, hasEffects) ? 'number' : chosen
}

/** Whether an order has nothing to sort by: no labels, no effects, or too many neurons to compare. */
export function missingFor(sort: Sort, neurons: number, hasLabels: boolean, hasEffects: boolean): boolean {
  if (sort === 'effect') return !hasEffects
  if (sort === 'alike') return neurons > MAX_CLUSTERED_NEURONS
  return (sort === 'label' || sort === 'score') && !hasLabels
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
  return { neurons, keys, gaps: sort === 'label' ? labelGaps(neurons, scores.label) : [] }
}

/** Return where another label begins in a list of neurons. */
function labelGaps(neurons: readonly number[], labels: readonly string[]): number[] {
  return neurons.flatMap((neuron, k) => (k && labels[neuron] !== labels[neurons[k - 1]!] ? [k] : []))
}

/** Leave out the neurons of an order that are not listed; a group that begins with one begins with the next one. */
export function listed(order: NeuronOrder, isListed: (neuron: number) => boolean): NeuronOrder {
  const groups = order.gaps.map((gap) => order.neurons.slice(0, gap).filter(isListed).length)
  const neurons = order.neurons.filter(isListed)
  return { ...order, neurons, gaps: [...new Set(groups)].filter((gap) => gap > 0 && gap < neurons.length) }
}

/**
 * Return the neurons in an order.
 *
 * @param clustering groups neurons that are alike; null until its script is loaded: they are listed by number
 */
export function sortNeurons(
  sort: Sort,
  values: Float32Array,
  steps: number,
  chosen: number,
  scores = NO_SCORES,
  clustering: { clusters: (values: Float32Array, steps: number) => Clusters } | null = null,
): NeuronOrder {
  const count = steps ? values.length / steps : 0
  const neurons = Array.from({ length: count }, (_, n) => n)
  if (sort === 'number' || (sort === 'alike' && !clustering)) return { neurons, keys: null, gaps: [] }
  if (sort === 'alike' && clustering) {
    const { order, gaps } = clustering.clusters(values, steps)
    return { neurons: order, keys: null, gaps }
  }
  if (sort === 'label' || sort === 'score' || sort === 'effect') return sortByScores(sort, neurons, scores)
  const keys = sort === 'activity' ? variances(values, steps) : correlations(values, steps, Math.min(chosen, count - 1))
  if (sort === 'similar' && chosen < count) keys[chosen] = 1
  neurons.sort(
    (a, b) =>
      (sort === 'similar' && (a === chosen || b === chosen) ? (a === chosen ? -1 : 1) : keys[b]! - keys[a]!) || a - b,
  )
  return { neurons, keys, gaps: [] }
}
