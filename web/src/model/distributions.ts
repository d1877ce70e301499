// Histograms of every signal of a layer over a text: over all neurons, and of each one. The numbers of the Python study.
import type { Distribution } from '../data/study'

export const BINS = 40
/** The values of a text that are counted in the page. */
export const MAX_COUNTED_VALUES = 1 << 24
/** Share of its width by which rounding may carry a value out of the range of its signal. */
const ROUNDING = 1e-6

type Bounds = readonly [number | null, number | null]

/** Return the distance from a number to the next larger one in float64. */
function spacing(value: number): number {
  const size = Math.abs(value)
  if (size < 2 ** -1022) return 2 ** -1074
  let exponent = Math.floor(Math.log2(size))
  if (2 ** exponent > size) exponent--
  if (2 ** (exponent + 1) <= size) exponent++
  return 2 ** Math.max(exponent - 52, -1074)
}

/** Return the ends of the bins: the range of the signal, and on an open side the extreme value. */
export function spanOf(smallest: number, largest: number, [low, high]: Bounds, bins: number): [number, number] {
  if (smallest > largest) smallest = largest = low ?? high ?? 0
  const slack = low !== null && high !== null ? ROUNDING * (high - low) : 0
  const start = low === null || smallest < low - slack ? smallest : low
  const end = high === null || largest > high + slack ? largest : high
  const narrow = 4 * bins * spacing(Math.max(Math.abs(start), Math.abs(end)))
  return end - start > narrow ? [start, end] : [start - Math.max(0.5, narrow), end + Math.max(0.5, narrow)]
}

/** Return the edges of bins, as NumPy's linspace has them. */
export function edgesOf(low: number, high: number, bins: number): Float64Array {
  const step = (high - low) / bins
  const edges = Float64Array.from({ length: bins + 1 }, (_, k) => low + k * step)
  edges[bins] = high
  return edges
}

/** Return the bin of a value: the last one whose lower edge is not above it. */
function binOf(edges: Float64Array, value: number): number {
  let [low, high] = [0, edges.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (edges[middle]! <= value) low = middle + 1
    else high = middle
  }
  return Math.max(0, Math.min(edges.length - 2, low - 1))
}

/** Count the values [N, T] of a signal. */
export function distributionOf(signal: string, values: Float32Array, steps: number, range: Bounds): Distribution {
  const neurons = steps ? values.length / steps : 0
  let [smallest, largest, count, mean, squares] = [Infinity, -Infinity, 0, 0, 0]
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    smallest = Math.min(smallest, value)
    largest = Math.max(largest, value)
    count++
    const difference = value - mean
    mean += difference / count
    squares += difference * (value - mean)
  }
  const [low, high] = spanOf(smallest, largest, range, BINS)
  const edges = edgesOf(low, high, BINS)
  const counts = Array.from({ length: neurons }, (_, n) => {
    const bins = new Array<number>(BINS).fill(0)
    for (let t = n * steps; t < (n + 1) * steps; t++) if (Number.isFinite(values[t])) bins[binOf(edges, values[t]!)]!++
    return bins
  })
  const total = new Array<number>(BINS).fill(0)
  for (const bins of counts) bins.forEach((number, k) => (total[k]! += number))
  return {
    signal,
    low,
    high,
    total,
    counts,
    mean: count ? mean : null,
    deviation: count ? Math.sqrt(squares / count) : null,
    smallest: count ? smallest : null,
    largest: count ? largest : null,
    values: count,
    not_finite: values.length - count,
  }
}

/** Return the neurons with values in a bin, those with the largest share of their values first. */
export function neuronsInBin({ counts }: Distribution, bin: number): { neuron: number; share: number }[] {
  return (counts ?? [])
    .map((bins, neuron) => ({
      neuron,
      share:
        (bins[bin] ?? 0) /
        Math.max(
          1,
          bins.reduce((a, b) => a + b, 0),
        ),
    }))
    .filter(({ share }) => share > 0)
    .sort((a, b) => b.share - a.share || a.neuron - b.neuron)
}

/** Return the bin of an address such as "c.12"; null if there is none. */
export function parseBin(value: string | null): { signal: string; bin: number } | null {
  const [, signal, digits] = /^(.+)\.(\d{1,3})$/.exec(value ?? '') ?? []
  const bin = Number(digits)
  return signal !== undefined && bin < BINS ? { signal, bin } : null
}
