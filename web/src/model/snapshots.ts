// All neurons at one symbol of each sequence of a text. The numbers of the Python study.
import type { Snapshot } from '../data/study'

/** A text as the network read it: the symbol of each step, and where sequences start. */
export interface ReadSequences {
  labels: readonly string[]
  start: Uint8Array
  /** The symbol that ends a sequence. */
  end: string
  /** What stands between two symbols in print. */
  between: string
}

interface Sequence {
  first: number
  labels: readonly string[]
}

/** Return the different sequences of a text, each where it comes first. */
function differentSequences({ labels, start, between }: ReadSequences): Sequence[] {
  const found = new Map<string, Sequence>()
  for (let first = 0; first < labels.length;) {
    let end = first + 1
    while (end < labels.length && !start[end]) end++
    const key = JSON.stringify([labels.slice(first, end), between])
    if (!found.has(key)) found.set(key, { first, labels: labels.slice(first, end) })
    first = end
  }
  return [...found.values()]
}

/** Return the symbols with the number of sequences that have each: those in most sequences, and there most seldom, first. */
export function markersOf(read: ReadSequences): Snapshot['markers'] {
  const counts = new Map<string, { sequences: number; steps: number }>()
  for (const { labels } of differentSequences(read)) {
    for (const label of labels) {
      const count = counts.get(label) ?? { sequences: 0, steps: 0 }
      counts.set(label, { ...count, steps: count.steps + 1 })
    }
    for (const label of new Set(labels)) counts.get(label)!.sequences++
  }
  const isEnd = (symbol: string): number => Number(symbol === read.end)
  return [...counts]
    .sort(([a, x], [b, y]) => y.sequences - x.sequences || isEnd(a) - isEnd(b) || x.steps - y.steps)
    .map(([symbol, { sequences }]) => ({ symbol, sequences }))
}

/** Return the step of a marker in a sequence: its first symbol of this name, or the number behind "#". */
function stepOf(at: string, labels: readonly string[]): number {
  const number = /^#(-?\d{1,6})$/.exec(at)
  if (!number) return labels.indexOf(at)
  const step = Number(number[1])
  return step < 0 ? (step + labels.length < 0 ? -1 : step + labels.length) : step < labels.length ? step : -1
}

/**
 * Return the values [N, T] of every neuron at one symbol of each sequence.
 *
 * @param at the symbol, or "#" and a number of a step; null for the best marker
 */
export function snapshotOf(
  read: ReadSequences,
  values: Float32Array,
  names: { layer: string; signal: string },
  at: string | null,
): Snapshot {
  const steps = read.labels.length
  const neurons = steps ? values.length / steps : 0
  const markers = markersOf(read)
  const chosen = at ?? markers[0]?.symbol ?? '#-1'
  const sequences = differentSequences(read)
  const places = sequences
    .map((sequence) => ({ ...sequence, step: stepOf(chosen, sequence.labels) }))
    .filter(({ step }) => step >= 0)
    .sort((a, b) => a.step - b.step || a.labels.length - b.labels.length || a.first - b.first)
  return {
    ...names,
    at: chosen,
    markers,
    sequences: places.length,
    without: sequences.length - places.length,
    texts: places.map(({ labels }) => labels.join(read.between)),
    steps: places.map(({ step }) => step),
    values: Array.from({ length: neurons }, (_, n) =>
      places.map(({ first, step }) => values[n * steps + first + step] ?? null),
    ),
  }
}
