// What Python computes: scripts/write-engine-fixtures writes it before the tests.
import { Network } from '../../engine/network'
import type { Intervention } from '../../engine/interventions'
import { readTensors, type Tensor } from '../../engine/tensors'
import type { TraceRequest } from '../../engine/wire'

/** One changed number of a trace, and the largest residual that Python then finds; null for NaN and infinity. */
export interface Check {
  layer: string
  name: string
  step: number
  neuron: number
  delta: number | null
  largest: number | null
}

export interface Case {
  case: string
  network: { layers: { cell: string }[] } & Record<string, unknown>
  interventions: Intervention[]
  traces: TraceRequest[]
  checks: Check[]
}

const files = import.meta.glob<string>('./fixtures/*.bin', { query: '?url&inline', import: 'default', eager: true })

/** Return the bytes of a fixture. */
export function fixture(name: string): ArrayBuffer {
  const file = files[`./fixtures/${name}`]
  if (file === undefined)
    throw new Error(`${name} is missing: run scripts/write-engine-fixtures web/tests/engine/fixtures`)
  return Uint8Array.from(atob(file.split(';base64,')[1]!), (character) => character.charCodeAt(0)).buffer
}

const { metadata, tensors } = readTensors(fixture('networks.bin'))
export const INDEX = JSON.parse(metadata['index']!) as { lengths: number[]; rows: number; cases: Case[] }

/** Return an array of a case. */
export function arrayOf({ case: name }: Case, array: string): Tensor {
  const tensor = tensors.get(`${name}/${array}`)
  if (!tensor) throw new Error(`${name} has no array ${array}`)
  return tensor
}

export function bytesOf(about: Case, array: string): ArrayBuffer {
  return (arrayOf(about, array).data as Uint8Array<ArrayBuffer>).slice().buffer
}

export const openCase = (about: Case, options: Parameters<typeof Network.open>[2] = {}): Network =>
  Network.open(about.network, bytesOf(about, 'weights'), options)

/**
 * Return the largest difference of two arrays, relative to the largest number of the second one, if that is above 1.
 *
 * A signal near 0 is the difference of larger numbers, whose last digits it has. NaN must stand in the same places.
 */
export function difference(values: ArrayLike<number | bigint>, expected: ArrayLike<number | bigint>): number {
  if (values.length !== expected.length) return Infinity
  let [largest, scale] = [0, 1]
  for (let k = 0; k < values.length; k++) {
    const [a, b] = [Number(values[k]), Number(expected[k])]
    if (Object.is(a, b) || a === b) continue
    largest = Math.max(largest, Number.isNaN(a) || Number.isNaN(b) ? Infinity : Math.abs(a - b))
  }
  for (let k = 0; k < expected.length; k++)
    if (Number.isFinite(Number(expected[k]))) scale = Math.max(scale, Math.abs(Number(expected[k])))
  return largest / scale
}
