// Reads the safetensors layout: an 8-byte little-endian header length, a JSON header, raw bytes.
import { text } from '../messages/text'

export interface Tensor {
  shape: number[]
  data: Float32Array | Int32Array | Uint8Array
}

export interface Tensors {
  metadata: Record<string, string>
  tensors: Map<string, Tensor>
}

export class TraceError extends Error {}

const BYTES_PER_NUMBER: Record<string, number> = { F32: 4, F16: 2, I32: 4, U8: 1 }

function decodeHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

function decode(type: string, bytes: ArrayBuffer): Tensor['data'] {
  if (type === 'F32') return new Float32Array(bytes)
  if (type === 'I32') return new Int32Array(bytes)
  if (type === 'U8') return new Uint8Array(bytes)
  return Float32Array.from(new Uint16Array(bytes), decodeHalf)
}

interface Entry {
  dtype: string
  shape: number[]
  data_offsets: [number, number]
}

function readTensor(name: string, entry: Entry, bytes: ArrayBuffer, base: number): Tensor {
  const size = BYTES_PER_NUMBER[entry.dtype]
  if (size === undefined)
    throw new TraceError(
      text('TENSOR_TYPE_UNKNOWN', { name, type: entry.dtype, types: Object.keys(BYTES_PER_NUMBER).join(', ') }),
    )
  const count = entry.shape.reduce((product, length) => product * length, 1)
  const [from, to] = entry.data_offsets
  if (to - from !== count * size)
    throw new TraceError(text('TENSOR_BYTES_WRONG', { name, expected: count * size, bytes: to - from }))
  if (from < 0 || base + to > bytes.byteLength)
    throw new TraceError(text('TENSOR_CUT_SHORT', { name, end: base + to, bytes: bytes.byteLength }))
  // A copy: an array in the middle of the body may start at any byte, which a view does not allow.
  return { shape: entry.shape, data: decode(entry.dtype, bytes.slice(base + from, base + to)) }
}

/** Return the tensors of a file, and its metadata. Throws a TraceError if the file is damaged. */
export function readTensors(bytes: ArrayBuffer): Tensors {
  if (bytes.byteLength < 8) throw new TraceError(text('TENSORS_CUT_SHORT', { expected: 8, bytes: bytes.byteLength }))
  const length = Number(new DataView(bytes).getBigUint64(0, true))
  if (8 + length > bytes.byteLength)
    throw new TraceError(text('TENSORS_HEADER_CUT_SHORT', { expected: length, bytes: bytes.byteLength - 8 }))
  let header: Record<string, unknown>
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(bytes, 8, length)))
  } catch {
    throw new TraceError(text('TENSORS_HEADER_NOT_JSON'))
  }
  const tensors = new Map<string, Tensor>()
  for (const [name, entry] of Object.entries(header))
    if (name !== '__metadata__') tensors.set(name, readTensor(name, entry as Entry, bytes, 8 + length))
  return { metadata: (header['__metadata__'] ?? {}) as Record<string, string>, tensors }
}
