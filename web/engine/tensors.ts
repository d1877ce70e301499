// The safetensors layout: an 8-byte little-endian header length, a JSON header, raw bytes.
import { EngineError, shown } from './errors'

export type Data = Float32Array | Float64Array | Int32Array | Uint8Array | BigInt64Array

export interface Tensor {
  shape: number[]
  data: Data
}

export interface Tensors {
  metadata: Record<string, string>
  tensors: Map<string, Tensor>
}

interface Type {
  bytes: number
  decode: (bytes: ArrayBuffer) => Data
}

/** Half and brain floats are widened to float32, and truth values are 0 and 1. */
const TYPES: Record<string, Type> = {
  F32: { bytes: 4, decode: (bytes) => new Float32Array(bytes) },
  F16: { bytes: 2, decode: (bytes) => Float32Array.from(new Uint16Array(bytes), decodeHalf) },
  BF16: {
    bytes: 2,
    decode: (bytes) => new Float32Array(Uint32Array.from(new Uint16Array(bytes), (b) => b << 16).buffer),
  },
  F64: { bytes: 8, decode: (bytes) => new Float64Array(bytes) },
  I32: { bytes: 4, decode: (bytes) => new Int32Array(bytes) },
  I64: { bytes: 8, decode: (bytes) => new BigInt64Array(bytes) },
  U8: { bytes: 1, decode: (bytes) => new Uint8Array(bytes) },
  BOOL: { bytes: 1, decode: (bytes) => new Uint8Array(bytes) },
}

const MAX_AXES = 8

function decodeHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

interface Entry {
  dtype: string
  shape: number[]
  data_offsets: [number, number]
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

function isEntry(value: unknown): value is Entry {
  if (typeof value !== 'object' || value === null) return false
  const { dtype, shape, data_offsets: offsets } = value as Partial<Entry>
  return (
    typeof dtype === 'string' &&
    Array.isArray(shape) &&
    shape.length <= MAX_AXES &&
    shape.every(isSize) &&
    Array.isArray(offsets) &&
    offsets.length === 2 &&
    offsets.every(isSize)
  )
}

/** One array of a file, as it stands there. */
export interface RawTensor {
  dtype: string
  shape: number[]
  bytes: Uint8Array<ArrayBuffer>
}

function readRaw(name: string, entry: unknown, bytes: ArrayBuffer, base: number, types: readonly string[]): RawTensor {
  if (!isEntry(entry)) throw new EngineError('TENSOR_DESCRIPTION_INVALID', { name: shown(name), entry: shown(entry) })
  const type = types.includes(entry.dtype) ? TYPES[entry.dtype] : undefined
  if (type === undefined)
    throw new EngineError('TENSOR_TYPE_UNKNOWN', {
      name: shown(name),
      type: shown(entry.dtype),
      types: types.join(', '),
    })
  const count = entry.shape.reduce((product, length) => product * length, 1)
  const [from, to] = entry.data_offsets
  if (to - from !== count * type.bytes)
    throw new EngineError('TENSOR_BYTES_WRONG', { name: shown(name), expected: count * type.bytes, bytes: to - from })
  if (base + to > bytes.byteLength)
    throw new EngineError('TENSOR_CUT_SHORT', { name: shown(name), end: base + to, bytes: bytes.byteLength })
  return { dtype: entry.dtype, shape: entry.shape, bytes: new Uint8Array(bytes, base + from, to - from) }
}

/** Return the numbers of an array. */
export function decoded({ dtype, shape, bytes }: RawTensor): Tensor {
  // A copy: an array in the middle of the body may start at any byte, which a view does not allow.
  return { shape, data: TYPES[dtype]!.decode(bytes.slice().buffer) }
}

function readHeader(bytes: ArrayBuffer, length: number): Record<string, unknown> {
  try {
    const header: unknown = JSON.parse(
      new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(bytes, 8, length)),
    )
    if (typeof header === 'object' && header !== null && !Array.isArray(header))
      return header as Record<string, unknown>
  } catch {
    // Refused below, as every other text that is not an object.
  }
  throw new EngineError('TENSORS_HEADER_NOT_JSON')
}

function metadataOf(header: Record<string, unknown>): Record<string, string> {
  const metadata = header['__metadata__'] ?? {}
  if (typeof metadata !== 'object' || Object.values(metadata).some((value) => typeof value !== 'string'))
    throw new EngineError('TENSORS_HEADER_NOT_JSON')
  return metadata as Record<string, string>
}

/** Return the arrays of a file as they stand there, and its metadata; see `readTensors`. */
export function readRawTensors(
  bytes: ArrayBuffer,
  types: readonly string[] = Object.keys(TYPES),
): { metadata: Record<string, string>; tensors: Map<string, RawTensor> } {
  if (bytes.byteLength < 8) throw new EngineError('TENSORS_CUT_SHORT', { expected: 8, bytes: bytes.byteLength })
  const length = Number(new DataView(bytes).getBigUint64(0, true))
  if (8 + length > bytes.byteLength)
    throw new EngineError('TENSORS_HEADER_CUT_SHORT', { expected: length, bytes: bytes.byteLength - 8 })
  const header = readHeader(bytes, length)
  const tensors = new Map<string, RawTensor>()
  let total = 0
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue
    const tensor = readRaw(name, entry, bytes, 8 + length, types)
    total += tensor.bytes.length
    // Arrays that overlap could make a small file take any amount of memory.
    if (8 + length + total > bytes.byteLength) throw new EngineError('TENSORS_OVERLAP', { name: shown(name) })
    tensors.set(name, tensor)
  }
  return { metadata: metadataOf(header), tensors }
}

/**
 * Return the tensors of a file, and its metadata.
 *
 * Throws an EngineError if the file is damaged, or has a tensor of a type that is not among `types`.
 */
export function readTensors(bytes: ArrayBuffer, types: readonly string[] = Object.keys(TYPES)): Tensors {
  const { metadata, tensors } = readRawTensors(bytes, types)
  return { metadata, tensors: new Map([...tensors].map(([name, tensor]) => [name, decoded(tensor)])) }
}

function typeOf(data: Data): string {
  if (data instanceof Float32Array) return 'F32'
  if (data instanceof Float64Array) return 'F64'
  if (data instanceof Int32Array) return 'I32'
  return data instanceof Uint8Array ? 'U8' : 'I64'
}

/** Return tensors and metadata as the bytes of a file; the header is padded, so that every tensor is aligned. */
export function writeTensors({ metadata, tensors }: Tensors): ArrayBuffer {
  // The widest numbers come first, so that each tensor starts at a multiple of the size of its numbers.
  const entries = [...tensors].sort(([, a], [, b]) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT)
  const described: [string, unknown][] = [['__metadata__', metadata]]
  let end = 0
  for (const [name, { shape, data }] of entries) {
    described.push([name, { dtype: typeOf(data), shape, data_offsets: [end, end + data.byteLength] }])
    end += data.byteLength
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(described)))
  const base = 8 * Math.ceil((8 + text.length) / 8)
  const bytes = new Uint8Array(base + end).fill(0x20, 8 + text.length, base)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(base - 8), true)
  bytes.set(text, 8)
  let place = base
  for (const [, { data }] of entries) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), place)
    place += data.byteLength
  }
  return bytes.buffer
}
