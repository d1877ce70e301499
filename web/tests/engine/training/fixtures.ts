// What Python computes in training: tests/reference/engine_training.py writes it before the tests.
import { readTensors, type Tensor } from '../../../engine/tensors'
import { type Bundle, readBundle } from '../../../engine/training/bundle'

export interface PythonScore {
  value: number
  chance: number
  solved: boolean | null
  better: string
  details: Record<string, unknown>
}

/** A record of a training of Python on the batches that this engine draws. */
export interface PythonRecord {
  step: number
  loss: number
  learning_rate: number
  gradient_norm: number
  validation_loss?: number
  score?: PythonScore
}

interface Index {
  bundles: { bundle: Record<string, unknown>; scores: { score: PythonScore; validation: number }[] }[]
  gradients: { case: string; network: unknown; loss: number }[]
  rates: { task: string; changes: object; steps: number[]; rates: number[]; validates: number[] }[]
  histories: { task: string; seed: number; changes: object; records: PythonRecord[] }[]
  lengths: number[]
  rate: number
  clip: number
}

const files = import.meta.glob<string>('../fixtures/training.*', {
  query: '?url&inline',
  import: 'default',
  eager: true,
})

function bytes(name: string): Uint8Array<ArrayBuffer> {
  const file = files[`../fixtures/${name}`]
  if (file === undefined)
    throw new Error(`${name} is missing: run scripts/write-engine-fixtures web/tests/engine/fixtures`)
  return Uint8Array.from(atob(file.split(';base64,')[1]!), (character) => character.charCodeAt(0))
}

export const INDEX = JSON.parse(new TextDecoder().decode(bytes('training.json'))) as Index
const { tensors } = readTensors(bytes('training.bin').buffer)

export function arrayOf(name: string): Tensor {
  const tensor = tensors.get(name)
  if (!tensor) throw new Error(`there is no array ${name}`)
  return tensor
}

/** Return the names of the arrays that begin with a prefix, without the prefix. */
export const namesBelow = (prefix: string): string[] =>
  [...tensors.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length))

export const TASKS = INDEX.bundles.map(({ bundle }) => bundle['task'] as string)

/** Return a copy of the JSON of a bundle. */
export function bundleJson(task: string): Record<string, unknown> {
  return structuredClone(INDEX.bundles.find(({ bundle }) => bundle['task'] === task)!.bundle)
}

const bundles = new Map<string, Bundle>()

/** Return the bundle of a task; the same object at every call. */
export function bundleOf(task: string): Bundle {
  if (!bundles.has(task)) bundles.set(task, readBundle(bundleJson(task)))
  return bundles.get(task)!
}
