// What SciPy, NumPy and the studies compute for the other ways to look: scripts/write-engine-fixtures writes it.
import { readTensors } from '../engine/tensors'
import type { Table } from '../src/data/study'
import { fixture } from './engine/fixtures'

interface ComponentNumbers {
  directions: number[][]
  shares: number[]
  projections: number[][]
}

export interface LookSignal {
  clusters: { distances: number[]; merges: [number, number, number, number][]; groups: number[] } | null
  components: ComponentNumbers
  /** Of the first five steps, which are fewer than the neurons. */
  components_of_few: ComponentNumbers
  peaks: Table[]
}

export interface LookCase {
  name: string
  network: unknown
  signals: Record<string, LookSignal>
  ranges: Record<string, [number | null, number | null] | null>
  distributions: Table
  moments: Table
  snapshot: Table
  weights: Table
}

const { metadata, tensors } = readTensors(fixture('looks.bin'))
export const LOOKS = JSON.parse(metadata['index']!) as {
  text: string
  at: string
  peaks: number
  apart: number
  cases: LookCase[]
}

/** The neurons of layer 0 of every case. */
export const NEURONS = 9

/** Return a signal [N, T], or another array of a case. */
export function lookArray({ name }: LookCase, array: string): Float32Array {
  return tensors.get(`${name}/${array}`)!.data as Float32Array
}

/** Every signal of every case, with its values and the number of steps. */
export const SIGNALS = LOOKS.cases.flatMap((one) =>
  Object.entries(one.signals).map(([signal, expected]) => {
    const values = lookArray(one, signal)
    return { title: `${one.name} ${signal}`, one, signal, expected, values, steps: values.length / NEURONS }
  }),
)
