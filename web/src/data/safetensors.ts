// Arrays as they arrive, in the safetensors layout; an error is a sentence.
import { EngineError } from '../../engine/errors'
import { readTensors as read } from '../../engine/tensors'
import { type Code, text } from '../messages/text'

export interface Tensor {
  shape: number[]
  data: Float32Array | Int32Array | Uint8Array
}

export interface Tensors {
  metadata: Record<string, string>
  tensors: Map<string, Tensor>
}

export class TraceError extends Error {}

/** The types of an answer. */
const TYPES = ['F32', 'F16', 'I32', 'U8']

/** Return the tensors of an answer, and its metadata. Throws a TraceError if the answer is damaged. */
export function readTensors(bytes: ArrayBuffer): Tensors {
  try {
    return read(bytes, TYPES) as Tensors
  } catch (error) {
    if (error instanceof EngineError) throw new TraceError(text(error.code as Code, error.values))
    throw error
  }
}
