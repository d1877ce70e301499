// What Python draws: scripts/write-engine-fixtures writes it before the tests.
import { readTensors, type Tensor } from '../../engine/tensors'
import type { SampleRequest } from '../../engine/sampling'
import { fixture } from './fixtures'

interface Stream {
  seed: string
  name: string
  words: number[]
  far: number[]
  uniforms: number[]
  normals: number[]
  permutation: number[]
  below: { limit: number; numbers: number[]; position: number }[]
}

interface Index {
  streams: Stream[]
  weights: { name: string; seed: string; network: unknown }[]
  texts: { name: string; network: unknown; written: { request: SampleRequest; text: string }[] }[]
}

const { metadata, tensors } = readTensors(fixture('draws.bin'))
export const DRAWS = JSON.parse(metadata['index']!) as Index

/** Return an array that Python wrote. */
export function drawnArray(name: string): Tensor {
  const tensor = tensors.get(name)
  if (!tensor) throw new Error(`draws.bin has no array ${name}`)
  return tensor
}
