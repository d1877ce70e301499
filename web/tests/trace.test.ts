import { describe, expect, it } from 'vitest'
import { readTensors, TraceError } from '../src/data/safetensors'
import { Trace } from '../src/data/trace'

type Given = Record<string, { dtype: string; shape: number[]; bytes: Uint8Array }>

const f32 = (...values: number[]): Uint8Array => new Uint8Array(new Float32Array(values).buffer)
const i32 = (...values: number[]): Uint8Array => new Uint8Array(new Int32Array(values).buffer)

/** The layout written down independently of the reader: length, header, bytes. */
function pack(arrays: Given, metadata: Record<string, string> = {}): ArrayBuffer {
  const header: Record<string, unknown> = { __metadata__: metadata }
  const body: number[] = []
  for (const [name, { dtype, shape, bytes }] of Object.entries(arrays)) {
    header[name] = { dtype, shape, data_offsets: [body.length, body.length + bytes.length] }
    body.push(...bytes)
  }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const out = new Uint8Array(8 + text.length + body.length)
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true)
  out.set(text, 8)
  out.set(body, 8 + text.length)
  return out.buffer
}

function whole(steps: number): ArrayBuffer {
  const zeros = Array.from({ length: steps }, () => 0)
  return pack(
    {
      // An odd number of bytes first: nothing after it is aligned.
      start: { dtype: 'U8', shape: [steps], bytes: new Uint8Array(zeros) },
      'layer0.c': {
        dtype: 'F32',
        shape: [2, steps],
        bytes: f32(...zeros.map((_, k) => k), ...zeros.map((_, k) => -k)),
      },
      'layer0.p.i': { dtype: 'F32', shape: [2], bytes: f32(0.5, 0.25) },
      token: { dtype: 'I32', shape: [steps], bytes: i32(...zeros) },
      top_token: { dtype: 'I32', shape: [steps, 1], bytes: i32(...zeros) },
      top_probability: { dtype: 'F32', shape: [steps, 1], bytes: f32(...zeros) },
      log_probability: { dtype: 'F32', shape: [steps], bytes: f32(...zeros) },
    },
    {
      labels: JSON.stringify(zeros.map(() => '月')),
      residual: '3.1e-07',
      tolerance: '1e-05',
      holds: 'true',
      step: '40',
      unknown: '["q"]',
    },
  )
}

describe('the reader', () => {
  it('reads every type, aligned or not', () => {
    const half = new Uint8Array(new Uint16Array([0x3c00, 0xc000, 0x0001, 0x7c00, 0x7e00, 0x3555]).buffer)
    const { tensors, metadata } = readTensors(
      pack(
        {
          u: { dtype: 'U8', shape: [3], bytes: new Uint8Array([1, 2, 255]) },
          f: { dtype: 'F32', shape: [2, 1], bytes: f32(1.5, NaN) },
          i: { dtype: 'I32', shape: [2], bytes: i32(-7, 2 ** 30) },
          h: { dtype: 'F16', shape: [6], bytes: half },
          none: { dtype: 'F32', shape: [4, 0], bytes: new Uint8Array() },
        },
        { step: '3' },
      ),
    )
    expect([...tensors.get('u')!.data]).toEqual([1, 2, 255])
    expect([...tensors.get('f')!.data]).toEqual([1.5, NaN])
    expect(tensors.get('f')!.shape).toEqual([2, 1])
    expect([...tensors.get('i')!.data]).toEqual([-7, 2 ** 30])
    const [one, minusTwo, tiny, infinite, none, third] = tensors.get('h')!.data
    expect([one, minusTwo, tiny, infinite, none]).toEqual([1, -2, 2 ** -24, Infinity, NaN])
    expect(third).toBeCloseTo(1 / 3, 3)
    expect(tensors.get('none')!.data.length).toBe(0)
    expect(metadata['step']).toBe('3')
  })

  it('refuses a body cut anywhere', () => {
    const bytes = whole(3)
    for (let length = 0; length < bytes.byteLength; length++)
      expect(() => Trace.read(bytes.slice(0, length)), `${length} bytes`).toThrow(TraceError)
  })

  it('refuses shapes that do not fit, unknown types and broken headers', () => {
    expect(() => readTensors(pack({ a: { dtype: 'F32', shape: [3], bytes: f32(1, 2) } }))).toThrow(/12 bytes.*8/)
    expect(() => readTensors(pack({ a: { dtype: 'I64', shape: [1], bytes: i32(1, 2) } }))).toThrow(/I64/)
    const broken = new Uint8Array(whole(1))
    broken[9] = 0
    expect(() => readTensors(broken.buffer)).toThrow(/header/)
    const huge = new Uint8Array(whole(1))
    huge.fill(0xff, 0, 8)
    expect(() => readTensors(huge.buffer)).toThrow(/cut short/)
  })
})

describe('a trace', () => {
  it('gives rows of one neuron, parameters and what it was asked for only', () => {
    const trace = Trace.read(whole(3))
    expect(trace.steps).toBe(3)
    expect([...trace.row('layer0.c', 1)!]).toEqual([-0, -1, -2])
    expect(trace.row('layer0.c', 2)).toBeNull()
    expect(trace.row('layer0.h', 0)).toBeNull()
    expect(trace.parameter('layer0.p.i', 1)).toBe(0.25)
    expect(trace).toMatchObject({ top: 1, residual: 3.1e-7, tolerance: 1e-5, holds: true, step: 40, unknown: ['q'] })
    expect(trace.labels).toEqual(['月', '月', '月'])
  })

  it('may be empty', () => {
    const trace = Trace.read(whole(0))
    expect(trace.steps).toBe(0)
    expect(trace.row('layer0.c', 1)!.length).toBe(0)
  })

  it('names the array that is missing', () => {
    expect(() => Trace.read(pack({ start: { dtype: 'U8', shape: [0], bytes: new Uint8Array() } }))).toThrow(/“token”/)
  })
})
