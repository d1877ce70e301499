// Neurons that do the same, beside each other: hierarchical clustering of their values over a text.

/** The products of the correlations of all pairs. Longer texts use every k-th step. */
const MAX_PRODUCTS = 1 << 26

/** Clusters are cut at this share of the height of the last merge, the rule of SciPy's dendrograms. */
export const CUT_SHARE = 0.7

/** One merge: two clusters, their distance and the number of neurons. A cluster below n is a neuron, n + k merge k. */
export interface Merge {
  first: number
  second: number
  distance: number
  size: number
}

export interface Clusters {
  merges: Merge[]
  /** The neurons in the order of the leaves. */
  order: number[]
  /** The places in `order` where a cluster begins, but for the first one. */
  gaps: number[]
  /** Every how many steps a step was used. */
  stride: number
}

/** Return where the distance of clusters i < j of n lies in a list of all pairs. */
const pairIndex = (i: number, j: number, n: number): number =>
  i < j ? i * n - (i * (i + 1)) / 2 + j - i - 1 : j * n - (j * (j + 1)) / 2 + i - j - 1

/** Return each neuron with mean 0 and norm 1 over the used steps; constant neurons and those with missing data are 0. */
function standardized(values: Float32Array, neurons: number, steps: number, stride: number): Float64Array {
  const used = Math.ceil(steps / stride)
  const result = new Float64Array(neurons * used)
  for (let n = 0; n < neurons; n++) {
    const row = result.subarray(n * used, (n + 1) * used)
    let mean = 0
    for (let k = 0; k < used; k++) mean += row[k] = values[n * steps + k * stride]!
    mean /= used
    let squares = 0
    for (let k = 0; k < used; k++) squares += (row[k]! -= mean) ** 2
    // Rounding of a mean leaves a little of a constant neuron.
    const floor = used * (1e-7 * Math.abs(mean)) ** 2 + 1e-20
    const norm = squares > floor ? Math.sqrt(squares) : Infinity
    for (let k = 0; k < used; k++) row[k] = norm === Infinity ? 0 : row[k]! / norm
  }
  return result
}

/** Return 1 - |r| of every pair of neurons, from their values [N, T]: the pairs (0, 1), (0, 2), ..., (1, 2), ... */
export function correlationDistances(values: Float32Array, steps: number, stride = 1): Float64Array {
  const neurons = steps ? values.length / steps : 0
  const used = Math.ceil(steps / stride)
  const rows = standardized(values, neurons, steps, stride)
  const distances = new Float64Array((neurons * (neurons - 1)) / 2)
  let place = 0
  for (let i = 0; i < neurons; i++)
    for (let j = i + 1; j < neurons; j++) {
      let r = 0
      for (let a = i * used, b = j * used; a < (i + 1) * used; a++, b++) r += rows[a]! * rows[b]!
      distances[place++] = Math.max(0, 1 - Math.abs(r))
    }
  return distances
}

/** Return the active cluster nearest to `x`; of equally near ones `preferred`, then the first. */
function nearest(distances: Float64Array, sizes: Int32Array, x: number, preferred: number): [number, number] {
  const n = sizes.length
  let best = preferred
  let least = preferred < 0 ? Infinity : distances[pairIndex(x, preferred, n)]!
  for (let i = 0; i < n; i++) {
    if (!sizes[i] || i === x) continue
    const distance = distances[pairIndex(x, i, n)]!
    if (distance < least) [least, best] = [distance, i]
  }
  return [best, least]
}

/**
 * Merge clusters by the average distance of their neurons, the nearest ones first.
 *
 * Source: Müllner, "Modern hierarchical, agglomerative clustering algorithms", 2011: the nearest-neighbour chain.
 *
 * @param distances of all pairs of n; not changed
 */
export function averageLinkage(distances: Float64Array, n: number): Merge[] {
  const d = distances.slice()
  const sizes = new Int32Array(n).fill(1)
  const merged: { x: number; y: number; distance: number }[] = []
  const chain: number[] = []
  while (merged.length < n - 1) {
    if (!chain.length) chain.push(sizes.findIndex((size) => size > 0))
    const x = chain.at(-1)!
    const before = chain.at(-2) ?? -1
    const [y, distance] = nearest(d, sizes, x, before)
    if (y !== before) {
      chain.push(y)
      continue
    }
    chain.length -= 2
    const [low, high] = [Math.min(x, y), Math.max(x, y)]
    merged.push({ x: low, y: high, distance })
    const [a, b] = [sizes[low]!, sizes[high]!]
    sizes[low] = 0
    sizes[high] = a + b
    for (let i = 0; i < n; i++) {
      if (!sizes[i] || i === high) continue
      const at = pairIndex(i, high, n)
      d[at] = (a * d[pairIndex(i, low, n)]! + b * d[at]!) / (a + b)
    }
  }
  return numbered(merged, n)
}

/** Sort merges by distance, and number the clusters in this order. */
function numbered(merged: { x: number; y: number; distance: number }[], n: number): Merge[] {
  const parents = Array.from({ length: 2 * n - 1 }, (_, k) => k)
  const sizes = parents.map((k) => Number(k < n))
  const root = (k: number): number => {
    while (parents[k] !== k) k = parents[k] = parents[parents[k]!]!
    return k
  }
  return merged
    .sort((a, b) => a.distance - b.distance)
    .map(({ x, y, distance }, k) => {
      const [a, b] = [root(x), root(y)]
      const size = sizes[a]! + sizes[b]!
      parents[a] = parents[b] = n + k
      sizes[n + k] = size
      return { first: Math.min(a, b), second: Math.max(a, b), distance, size }
    })
}

/**
 * Return the leaves of a tree of merges. Where two clusters meet, each is turned so that the neurons that touch are as
 * near as possible; the cluster with the lowest neuron stands first.
 */
export function leafOrder(merges: readonly Merge[], distances: Float64Array, n: number): number[] {
  const parts: number[][] = Array.from({ length: n }, (_, k) => [k])
  for (const { first, second } of merges) {
    const [a, b] = [parts[first]!, parts[second]!]
    const [left, right] = lowest(a) < lowest(b) ? [a, b] : [b, a]
    const ends = [
      [left.at(-1)!, right[0]!],
      [left.at(-1)!, right.at(-1)!],
      [left[0]!, right[0]!],
      [left[0]!, right.at(-1)!],
    ].map(([i, j]) => distances[pairIndex(i!, j!, n)]!)
    const best = ends.indexOf(Math.min(...ends))
    parts.push([...(best < 2 ? left : left.toReversed()), ...(best % 2 ? right.toReversed() : right)])
    parts[first] = parts[second] = []
  }
  return parts.at(-1) ?? []
}

const lowest = (neurons: readonly number[]): number => neurons.reduce((a, b) => Math.min(a, b))

/** Return where the clusters begin that merge above CUT_SHARE of the last distance. */
function gapsOf(merges: readonly Merge[], order: readonly number[], n: number): number[] {
  const cut = CUT_SHARE * (merges.at(-1)?.distance ?? 0)
  const cluster = Array.from({ length: 2 * n - 1 }, (_, k) => k)
  for (let k = merges.length - 1; k >= 0; k--) {
    const { first, second, distance } = merges[k]!
    // A merge below the cut takes the cluster of the one above it.
    if (distance <= cut) cluster[first] = cluster[second] = cluster[n + k]!
  }
  return order.flatMap((neuron, k) => (k && cluster[neuron] !== cluster[order[k - 1]!] ? [k] : []))
}

/** Cluster neurons by their values [N, T] over a text. */
export function clusters(values: Float32Array, steps: number): Clusters {
  const n = steps ? values.length / steps : 0
  const stride = Math.max(1, Math.ceil((n * n * steps) / 2 / MAX_PRODUCTS))
  const distances = correlationDistances(values, steps, stride)
  const merges = averageLinkage(distances, n)
  const order = n > 1 ? leafOrder(merges, distances, n) : [...new Array<number>(n).keys()]
  return { merges, order, gaps: gapsOf(merges, order, n), stride }
}
