// Whatever a file or a request holds, the engine answers or refuses it with a code: it never hangs, and no other error
// leaves it.
import { describe, expect, it } from 'vitest'
import { readCell } from '../../engine/cell'
import { EngineError } from '../../engine/errors'
import { Network } from '../../engine/network'
import { Recorder } from '../../engine/recording'
import { readTensors, writeTensors } from '../../engine/tensors'
import { readVocabulary } from '../../engine/vocabulary'
import { checkRequest, encode, type TraceRequest } from '../../engine/wire'
import { bytesOf, type Case, INDEX, openCase } from './fixtures'
import { numbers } from './kernel-problems'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

const named = (name: string): Case => INDEX.cases.find((about) => about.case === name)!
const own = named('own/numbers')
const lstm = named('lstm/characters')

/** Return the code of the error of a function; null if there is none. Other errors are thrown on. */
function codeOf(work: () => unknown): string | null {
  try {
    work()
    return null
  } catch (error) {
    if (error instanceof EngineError) return error.code
    throw error
  }
}

function nested(depth: number): Json {
  let value: Json = []
  for (let k = 0; k < depth; k++) value = [value]
  return value
}

const HOSTILE: Json[] = [null, true, -1, 0, 0.5, 1e308, 2 ** 53, '', 'x', '__proto__', '\ud800', [], {}, [[]], nested(50_000), Array.from({ length: 5000 }, () => 'a')] // prettier-ignore

/** Yield copies of a JSON value, each with one part replaced by a hostile value. */
function* mutated(value: Json, replace: (changed: Json) => Json = (changed) => changed): Generator<Json> {
  for (const hostile of HOSTILE) yield replace(hostile)
  if (Array.isArray(value)) {
    for (const [k, entry] of value.slice(0, 4).entries())
      yield* mutated(entry, (changed) => replace(value.with(k, changed)))
    yield replace([...value, ...value])
  } else if (typeof value === 'object' && value !== null)
    for (const [key, entry] of Object.entries(value)) {
      yield* mutated(entry, (changed) => replace({ ...value, [key]: changed }))
      const { [key]: _, ...rest } = value
      yield replace(rest)
    }
}

describe('a file of weights', () => {
  const bytes = bytesOf(lstm, 'weights')
  const open = (weights: ArrayBuffer): Network => Network.open(lstm.network, weights)

  it('is refused if it is cut anywhere', () => {
    for (let length = 0; length < bytes.byteLength; length += length < 1200 ? 1 : 37)
      expect(
        codeOf(() => open(bytes.slice(0, length))),
        String(length),
      ).not.toBeNull()
  })

  it('is refused if any byte of its numbers is changed', () => {
    const first = 8 + Number(new DataView(bytes).getBigUint64(0, true))
    for (let place = first; place < bytes.byteLength; place += 11) {
      const damaged = new Uint8Array(bytes.slice(0))
      damaged[place]! ^= 16
      expect(
        codeOf(() => open(damaged.buffer)),
        String(place),
      ).toBe('WEIGHTS_DAMAGED')
    }
  })

  it('is refused or read if its header is changed', () => {
    const next = numbers(7)
    for (let round = 0; round < 2000; round++) {
      const damaged = new Uint8Array(bytes.slice(0))
      for (let k = 0; k < 3; k++) damaged[Math.floor(Math.abs(next()) * 700)] = Math.floor(Math.abs(next()) * 256)
      codeOf(() => open(damaged.buffer))
    }
  })

  it('is refused for sizes that no memory has, and for arrays that share their bytes', () => {
    const file = (header: object): ArrayBuffer => {
      const text = new TextEncoder().encode(JSON.stringify(header))
      const made = new Uint8Array(8 + text.length + 64)
      new DataView(made.buffer).setBigUint64(0, BigInt(text.length), true)
      made.set(text, 8)
      return made.buffer
    }
    const huge = { dtype: 'F32', shape: [2 ** 40, 2 ** 40], data_offsets: [0, 64] }
    expect(codeOf(() => readTensors(file({ huge })))).toBe('TENSOR_BYTES_WRONG')
    const part = { dtype: 'F32', shape: [16], data_offsets: [0, 64] }
    expect(codeOf(() => readTensors(file({ a: part, b: part })))).toBe('TENSORS_OVERLAP')
    expect(codeOf(() => readTensors(file({ a: { ...part, shape: [-4, -4] } })))).toBe('TENSOR_DESCRIPTION_INVALID')
    expect(codeOf(() => readTensors(file({ a: { ...part, data_offsets: [64, 0] } })))).toBe('TENSOR_BYTES_WRONG')
    expect(codeOf(() => readTensors(file([])))).toBe('TENSORS_HEADER_NOT_JSON')
  })

  it('survives a writing and a reading', () => {
    const { metadata, tensors } = readTensors(bytes)
    const odd = new Map([['odd', { shape: [3], data: Uint8Array.of(1, 2, 3) }], ...tensors, ['wide', { shape: [1], data: BigInt64Array.of(-5n) }]]) // prettier-ignore
    const again = readTensors(writeTensors({ metadata, tensors: odd }))
    expect(again.metadata).toEqual(metadata)
    expect([...again.tensors.keys()].sort()).toEqual([...odd.keys()].sort())
    for (const [name, tensor] of odd) expect(again.tensors.get(name)).toEqual(tensor)
  })
})

describe('network.json', () => {
  it.each(['own/numbers', 'lstm/both-ways', 'gru/tokens'])(
    'of %s is refused or read, whatever part is replaced',
    (name) => {
      const about = named(name)
      const codes = new Set<string | null>()
      for (const network of mutated(about.network as Json))
        codes.add(codeOf(() => Network.open(network, bytesOf(about, 'weights'))))
      expect(codes.size).toBeGreaterThan(12)
      expect(codes).not.toContain('ENGINE_FAILED')
    },
  )

  it('may describe sizes that no memory has', () => {
    const layers = (own.network.layers as object[]).map((layer) => ({ ...layer, neurons: 2 ** 24 }))
    expect(codeOf(() => Network.open({ ...own.network, layers }, bytesOf(own, 'weights')))).toBe('WEIGHT_SHAPE_WRONG')
    const embedding = 2 ** 31
    expect(codeOf(() => Network.open({ ...lstm.network, embedding }, bytesOf(lstm, 'weights')))).toBe('NETWORK_DAMAGED')
  })
})

describe('a tape', () => {
  const cell = (nodes: unknown, signals: unknown = { h: 0 }): unknown => ({
    name: 'c',
    title: 'C',
    paper: '',
    tape: { nodes, signals },
  })
  const code = (nodes: unknown, signals?: unknown): string | null => codeOf(() => readCell(cell(nodes, signals)))

  it('is refused for lines that do not follow from earlier ones', () => {
    expect(
      code(
        [
          ['drive', 'x.a'],
          ['add', 0, 1],
        ],
        { h: 1 },
      ),
    ).toBe('TAPE_LINE_INVALID') // reads itself
    expect(
      code([
        ['tanh', 1],
        ['drive', 'x.a'],
      ]),
    ).toBe('TAPE_LINE_INVALID') // reads a later line
    expect(
      code([
        ['drive', 'x.a'],
        ['add', 0],
      ]),
    ).toBe('TAPE_LINE_INVALID')
    expect(
      code([
        ['drive', 'x.a'],
        ['add', 0, -1],
      ]),
    ).toBe('TAPE_LINE_INVALID')
    expect(
      code([
        ['drive', 'x.a'],
        ['constructor', 0],
      ]),
    ).toBe('TAPE_LINE_INVALID')
    expect(code([['constant', NaN]])).toBe('TAPE_LINE_INVALID')
    expect(code([['constant', 1e301]])).toBe('TAPE_LINE_INVALID')
    expect(code([['drive', 'x.a']], { h: 1 })).toBe('TAPE_SIGNAL_INVALID')
  })

  it('is refused for names and signals that no trace has', () => {
    expect(code([['drive', 'y.a']])).toBe('CELL_NAME_INVALID')
    expect(code([['drive', 'x.a b']])).toBe('CELL_NAME_INVALID')
    expect(code([['drive', 'x.a']], { h: 0, 'c.d': 0 })).toBe('CELL_NAME_INVALID')
    expect(
      code([
        ['drive', 'x.a'],
        ['drive', 'x.a'],
      ]),
    ).toBe('CELL_NAME_REPEATED')
    expect(
      code([
        ['drive', 'x.a'],
        ['state', 'c'],
      ]),
    ).toBe('CELL_STATE_NOT_RETURNED')
    expect(code([['drive', 'x.a']], { g: 0 })).toBe('CELL_HIDDEN_MISSING')
    expect(
      code(
        [
          ['constant', 1],
          ['drive', 'x.a'],
        ],
        { h: 1, one: 0 },
      ),
    ).toBe('CELL_SIGNAL_CONSTANT')
  })

  it('is refused if it or its formulas are too long', () => {
    const sums = [['drive', 'x.a'], ...Array.from({ length: 40 }, (_, k) => ['add', k, k])]
    expect(code(sums, { h: 40 })).toBe('CELL_SIGNAL_TOO_LONG')
    const long = Array.from({ length: 1001 }, (_, k) => ['drive', `x.k${k}`])
    expect(code(long)).toBe('TAPE_TOO_LONG')
  })
})

describe('a request', () => {
  const network = openCase(lstm)
  const answer = (request: unknown): string | null =>
    codeOf(() => {
      const checked = checkRequest(network, request as TraceRequest)
      encode(network, new Recorder(network).record(checked.text, checked.interventions), checked, '')
    })

  it('is answered or refused, whatever part is replaced', () => {
    const intervention = { layer: 'layer0', signal: 'c', neuron: { start: 0 }, steps: { start: 1, stop: 2, step: 1 }, scale: 0, shift: [[1]], row: 0 } // prettier-ignore
    const request = {
      text: 'a',
      layer: 'layer0',
      signals: ['c'],
      neurons: [0],
      drives: true,
      top: 3,
      interventions: [intervention],
    }
    expect(answer(request)).toBeNull()
    const codes = new Set<string | null>()
    for (const changed of mutated(request as unknown as Json)) codes.add(answer(changed))
    expect(codes.size).toBeGreaterThan(8)
  })

  it('is refused for a text that is too long', () => {
    expect(answer({ text: 'a'.repeat(20_001) })).toBe('TEXT_TOO_LONG')
    expect(answer({ text: 'a'.repeat(20_000) })).toBeNull()
    expect(answer({ text: 'a'.repeat(3e6) })).toBe('TEXT_TOO_LARGE')
  })
})

it('splits a text of a hundred thousand letters in any unit', () => {
  const symbols = ['a', 'b', '.']
  for (const unit of ['character', 'token', 'word'])
    for (const end of [null, '.'])
      for (const rule of [1, 2]) {
        const vocabulary = readVocabulary({ unit, symbols, end, rule })
        for (const piece of ['c', '月', 'c\u0301', "c'", '-', ' ', 'c\n', '\n', '\n \n'])
          expect(
            vocabulary.labels(piece.repeat(1e5)).length + vocabulary.split(piece.repeat(1e5)).length,
          ).toBeGreaterThanOrEqual(0)
      }
})
