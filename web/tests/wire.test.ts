// The reader reads what Python writes: tests/reference/wire.py makes the fixtures, and tests/web/test_wire.py holds them fresh.
import { describe, expect, it } from 'vitest'
import { readTensors } from '../src/data/safetensors'
import { Trace } from '../src/data/trace'

interface Content {
  metadata: Record<string, string>
  arrays: Record<string, { dtype: string; shape: number[]; values: (number | string)[] }>
}

const TYPES: Record<string, unknown> = { F32: Float32Array, F16: Float32Array, I32: Int32Array, U8: Uint8Array }

const messages = import.meta.glob<string>('./fixtures/*.bin', { query: '?url&inline', import: 'default', eager: true })
const contents = import.meta.glob<string>('./fixtures/*.json', { query: '?raw', import: 'default', eager: true })

function fixture(name: string): { bytes: ArrayBuffer; content: Content } {
  const [, base64 = ''] = messages[`./fixtures/${name}.bin`]!.split(';base64,')
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)).buffer
  return { bytes, content: JSON.parse(contents[`./fixtures/${name}.json`]!) as Content }
}

const numbers = (values: (number | string)[]): number[] => values.map(Number)

describe.each(['trace', 'one-neuron', 'empty', 'types'])('the message “%s”', (name) => {
  const { bytes, content } = fixture(name)
  const { metadata, tensors } = readTensors(bytes)

  it('has every array that Python put in, and no other', () => {
    expect([...tensors.keys()].sort()).toEqual(Object.keys(content.arrays).sort())
  })

  it.each(Object.keys(content.arrays))('has the shape, type and every number of %s', (array) => {
    const { dtype, shape, values } = content.arrays[array]!
    const { shape: found, data } = tensors.get(array)!
    expect(found).toEqual(shape)
    expect(data).toBeInstanceOf(TYPES[dtype])
    // toEqual tells NaN from numbers and −0 from 0.
    expect([...data]).toEqual(numbers(values))
  })

  it('says the same about itself', () => {
    expect(metadata).toEqual(content.metadata)
  })
})

describe.each(['trace', 'one-neuron', 'empty'])('the trace “%s”', (name) => {
  const { bytes, content } = fixture(name)
  const trace = Trace.read(bytes)
  const values = (array: string): number[] => numbers(content.arrays[array]!.values)

  it('has the labels, predictions and remarks', () => {
    expect(trace.labels).toEqual(name === 'empty' ? [] : ['a', '月', '\n', 'é', '😀'])
    expect(trace.unknown).toEqual(name === 'empty' ? [] : ['é', '😀'])
    expect(trace.steps).toBe(trace.labels.length)
    expect([...trace.token]).toEqual(values('token'))
    expect([...trace.start]).toEqual(values('start'))
    expect([...trace.logProbability]).toEqual(values('log_probability'))
    expect([...trace.topToken]).toEqual(values('top_token'))
    expect([...trace.topProbability]).toEqual(values('top_probability'))
    expect(trace.top).toBe(content.arrays['top_token']!.shape[1])
    expect(trace).toMatchObject({ tolerance: 1e-5, holds: true, step: 40 })
    expect(trace.residual).toBe(name === 'empty' ? 0 : 3.14e-7)
  })

  it('has the row of every neuron', () => {
    for (const [array, { shape }] of Object.entries(content.arrays)) {
      if (!array.startsWith('layer0.') || shape.length !== 2) continue
      const [rows = 0, steps = 0] = shape
      expect(trace.rows(array)).toBe(rows)
      for (let n = 0; n < rows; n++)
        expect([...trace.row(array, n)!]).toEqual(values(array).slice(n * steps, (n + 1) * steps))
    }
  })
})

it('gives the numbers per neuron', () => {
  const { bytes, content } = fixture('trace')
  const trace = Trace.read(bytes)
  const expected = numbers(content.arrays['layer0.p.n']!.values)
  expect([trace.parameter('layer0.p.n', 0), trace.parameter('layer0.p.n', 1)]).toEqual(expected)
})
