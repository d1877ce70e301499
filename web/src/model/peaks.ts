// The steps of a text at which a neuron has its largest or smallest values. The numbers of the Python study of passages.
import type { Passage } from '../data/study'

/**
 * Return the steps of the largest values, at least `apart` steps from each other in a sequence; the first of equal ones.
 *
 * @param least find the smallest values
 */
export function peaks(
  values: Float32Array,
  start: Uint8Array,
  labels: readonly string[],
  count: number,
  apart: number,
  least = false,
): number[] {
  const sequences = sequenceEnds(start, values.length)
  const seen = new Set<string>()
  const left = Float64Array.from(values, (value) => (Number.isNaN(value) ? -Infinity : least ? -value : value))
  // Of several equal sequences only the first one counts: each starts from the same state.
  for (const [first, end] of sequences) {
    const key = JSON.stringify(labels.slice(first, end))
    if (seen.has(key)) left.fill(-Infinity, first, end)
    seen.add(key)
  }
  const found: number[] = []
  while (found.length < count) {
    let place = -1
    left.forEach((value, k) => {
      if (value > (place < 0 ? -Infinity : left[place]!)) place = k
    })
    if (place < 0) break
    found.push(place)
    const [first, end] = sequences.find(([first, end]) => first <= place && place < end)!
    left.fill(-Infinity, Math.max(first, place - apart + 1), Math.min(end, place + apart))
  }
  return found
}

/** Return the first step of each sequence and the step after its last one. */
function sequenceEnds(start: Uint8Array, steps: number): [number, number][] {
  const starts = Array.from({ length: steps }, (_, k) => k).filter((k) => k === 0 || start[k])
  return starts.map((first, k) => [first, starts[k + 1] ?? steps])
}

/** Steps that are shown on both sides of a peak. */
const CONTEXT_STEPS = 28

/** Return the passages of a text with the largest values of a neuron. */
export function peakPassages(
  { labels, start, between }: { labels: readonly string[]; start: Uint8Array; between: string },
  values: Float32Array,
  text: string,
  count: number,
  least = false,
): Passage[] {
  const ends = sequenceEnds(start, values.length)
  return peaks(values, start, labels, count, 2 * CONTEXT_STEPS, least).map((step) => {
    const [first, end] = ends.find(([first, end]) => first <= step && step < end)!
    const from = Math.max(first, step - CONTEXT_STEPS)
    const to = Math.min(end, step + CONTEXT_STEPS + 1)
    return {
      value: values[step]!,
      before: labels.slice(from, step).join(between),
      at: labels[step]!,
      after: labels.slice(step + 1, to).join(between),
      first: from,
      step,
      values: [...values.subarray(from, to)],
      labels: labels.slice(from, to),
      text,
      from: step,
      to: step,
    }
  })
}
