// The weights of a network, read from weights.safetensors and checked against its configuration.
import { cast, type Precision, type Values } from './arrays'
import { type Configuration, expectedTensors } from './configuration'
import { Sha256 } from './digest'
import { EngineError, shown } from './errors'
import { byCodePoint } from './python-format'
import { decoded, type RawTensor, readRawTensors } from './tensors'
import { toUtf8 } from './utf8'

/** Type of a file -> its name in torch, which the checksum contains. */
const FLOATS: Record<string, string> = { F16: 'float16', BF16: 'bfloat16', F32: 'float32', F64: 'float64' }

/** The weights by name, and the training step in which they were written. */
export interface Weights {
  values: (name: string) => Values
  step: number
}

/** Return the weights of a network. Throws an EngineError if the file is damaged or belongs to another network. */
export function readWeights(configuration: Configuration, bytes: ArrayBuffer, precision: Precision): Weights {
  const { metadata, tensors } = readRawTensors(bytes, Object.keys(FLOATS))
  const expected = expectedTensors(configuration)
  for (const name of tensors.keys())
    if (!expected.has(name)) throw new EngineError('WEIGHT_UNKNOWN', { name: shown(name) })
  for (const [name, shape] of expected) {
    const found = tensors.get(name)?.shape
    if (!found || found.length !== shape.length || found.some((size, axis) => size !== shape[axis]))
      throw new EngineError('WEIGHT_SHAPE_WRONG', {
        name,
        expected: shape.join(' x '),
        shape: shown(found?.join(' x ') ?? '-'),
      })
  }
  const written = metadata['step'] ?? '0'
  const step = Number(written)
  if (!/^\d+$/.test(written) || !Number.isSafeInteger(step))
    throw new EngineError('WEIGHTS_STEP_INVALID', { step: shown(written) })
  if ('sha256' in metadata && metadata['sha256'] !== checksum(tensors, step)) throw new EngineError('WEIGHTS_DAMAGED')
  const weights = new Map<string, Values>()
  for (const [name, tensor] of tensors) {
    const values = cast(precision, decoded(tensor).data as Values)
    if (!values.every(Number.isFinite)) throw new EngineError('WEIGHT_NOT_FINITE', { name })
    weights.set(name, values)
  }
  return { values: (name) => weights.get(name)!, step }
}

/** Return the SHA-256 of a step and of the names, types, shapes and bytes of arrays, as src/gatescope/runs/tensors.py. */
function checksum(tensors: ReadonlyMap<string, RawTensor>, step: number): string {
  const digest = new Sha256().update(toUtf8(`step ${step}\n`))
  for (const [name, { dtype, shape, bytes }] of [...tensors].sort(([a], [b]) => byCodePoint(a, b))) {
    const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`
    digest.update(toUtf8(`${name} torch.${FLOATS[dtype]} ${tuple}\n`)).update(bytes)
  }
  return digest.hex()
}
