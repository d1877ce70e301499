// A network goes on with a text: with the symbols of Python, and with the trace of reading them.
import { describe, expect, it } from 'vitest'
import { continuation, type WriteRequest, type Written } from '../../engine/continuation'
import { type Hold, holdsAfter, interventionsOf } from '../../engine/holds'
import { Network } from '../../engine/network'
import { finished, Recorder } from '../../engine/recording'
import { sample } from '../../engine/sampling'
import { readTensors } from '../../engine/tensors'
import { DRAWS, drawnArray } from './draws'
import { hold, madeNetwork } from './made'

const network = madeNetwork('lstm', 3)
const settings = { length: 12, temperature: 1, seed: 3 }

function goOn(of: Network, request: WriteRequest, recorder = new Recorder(of)): Written {
  return finished(continuation(of, recorder, request, (engines) => engines.join()))
}
const write = (text: string, holds: Hold[] = [], change: Partial<WriteRequest> = {}): string =>
  goOn(network, { text, holds, ...settings, ...change }).text

describe('the continuation of a text', () => {
  it('is what the network writes after the last sequence, up to its end mark', () => {
    for (const seed of [0, 1, 2, 3, 4, 5, 6, 7]) {
      const prime = 'ab'
      const expected = Array.from(sample(network, { prime, length: 12, seed, stop: '\n' })).join('')
      for (const text of ['ab', 'b\nab', '\n\nab']) expect(write(text, [], { seed })).toBe(expected)
      expect(expected.indexOf('\n')).toBeOneOf([-1, expected.length - 1])
    }
    expect(new Set([0, 1, 2, 3].map((seed) => write('ab', [], { seed }))).size).toBeGreaterThan(1)
  })

  it('takes the most probable symbols at temperature 0, whatever the seed', () => {
    const greedy = Array.from(sample(network, { prime: 'ab', length: 12, greedy: true, stop: '\n' })).join('')
    for (const seed of [0, 9]) expect(write('ab', [], { temperature: 0, seed })).toBe(greedy)
  })

  it('is written by the held network, with the steps of the text', () => {
    const holds = (first: number): Hold[] => [hold({ signal: 'h', value: 8, first }), hold({ value: 20, first })]
    const shifted = write('b\nab', holds(3))
    expect(shifted).toBe(write('ab', holds(1)))
    const changes = interventionsOf(holds(1), [])
    const request = { prime: 'ab', length: 12, seed: 3, stop: '\n', interventions: changes }
    expect(shifted).toBe(Array.from(sample(network, request)).join(''))
  })

  it('starts a new sequence after an end mark, which is read once more', () => {
    const fresh = (holds: Hold[]): string =>
      Array.from(
        sample(network, { prime: '', length: 12, seed: 3, stop: '\n', interventions: interventionsOf(holds, []) }),
      ).join('')
    for (const text of ['', 'ab\n', 'b\nab\n', '\n\n']) expect(write(text)).toBe(fresh([]))
    const strong = (first: number): Hold[] => [hold({ signal: 'h', value: 8, first }), hold({ value: 20, first })]
    for (const shift of [0, 1, 2]) expect(write('b\nab\n', strong(4 + shift))).toBe(fresh(strong(shift)))
    expect(new Set([0, 1, 12].map((first) => fresh(strong(first)))).size).toBeGreaterThan(1)
  })

  it('is not changed by holds that end before its sequence', () => {
    expect(holdsAfter([hold({ first: 0, last: 1 }), hold({ first: 1, last: 4 })], 2)).toEqual([
      hold({ first: 0, last: 2 }),
    ])
    expect(write('b\nab', [hold({ value: 99, last: 1 })])).toBe(write('b\nab'))
  })

  it('of a branch begins with its symbols, and goes on as after a text that has them', () => {
    const { vocabulary } = network.configuration
    const id = vocabulary.symbols.indexOf('b')
    for (const [steps, prime] of [
      [2, 'ab'],
      [3, 'aba'],
      [0, ''],
    ] as const) {
      const written = write('abab', [], { steps, then: [id] })
      const start = prime || '\n'
      expect(written).toBe(`b${[...sample(network, { ...settings, prime: `${start}b`, stop: '\n' })].join('')}`)
    }
    const end = vocabulary.symbols.indexOf('\n')
    expect(write('abab', [], { steps: 2, then: [end] })).toBe('\n')
  })

  it('has the trace of reading it', () => {
    const text = 'b\nab'
    const written = goOn(network, {
      text,
      holds: [],
      ...settings,
      temperature: 0,
      seed: 0,
      layer: 'layer0',
      signals: ['c', 'h'],
    })
    const { tensors, metadata } = readTensors(written.trace)
    const steps = written.text.length
    expect(JSON.parse(metadata['labels']!)).toEqual([...written.text])
    const whole = new Recorder(network).record(text + written.text).sequences[1]!
    const c = tensors.get('layer0.c')!
    const ranks = network.configuration.vocabulary.size
    expect(c.shape).toEqual([3, steps])
    for (let step = 0; step < steps; step++) {
      for (let n = 0; n < 3; n++)
        expect(c.data[n * steps + step]).toBeCloseTo(whole.layers[0]!.get('c')![(2 + step) * 3 + n]!, 12)
      expect(written.logProbabilities[step]).toBeCloseTo(whole.logProbabilities[1 + step]!, 6)
      expect(tensors.get('top_token')!.data[step * ranks]).toBe(whole.topTokens[(2 + step) * ranks])
    }
    expect(written.next).toBe(whole.inputs[2])
  })

  it('is that of a text that grows, with one recorder', () => {
    const recorder = new Recorder(network)
    for (const text of ['', 'a', 'ab', 'abb', 'ab', 'ab\n', 'ab\na'])
      expect(goOn(network, { text, holds: [], ...settings }, recorder).text).toBe(write(text))
  })

  it('ends early with the answer to a request for fewer symbols, never within the symbols of a branch', () => {
    const request = { text: 'ab', holds: [], length: 12, temperature: 1, seed: 5, layer: 'layer0', signals: ['c'] }
    const cut = (after: number, change: Partial<WriteRequest> = {}): Written => {
      const work = continuation(network, new Recorder(network), { ...request, ...change }, (engines) => engines.join())
      for (let count = 1; ; count++) {
        const piece = work.next(count > after)
        if (piece.done) return piece.value
      }
    }
    for (const after of [1, 3]) expect(cut(after)).toEqual(goOn(network, { ...request, length: after }))
    expect(cut(1, { then: [0, 1, 0] }).logProbabilities).toHaveLength(3)
  })

  it('is refused for wrong requests', () => {
    for (const change of [
      { then: [99] },
      { then: 'b' },
      { steps: 9 },
      { steps: -1 },
      { length: -1 },
      { temperature: -1 },
    ])
      expect(() => write('ab', [], change as Partial<WriteRequest>)).toThrow(/REQUEST_INVALID|SAMPLING/)
  })
})

// In float64, in which the engines agree so closely that no draw lies between them. sampling.test.ts compares `sample`
// with Python.
describe.each(DRAWS.texts)('the $name', ({ name, network: json, written }) => {
  const bytes = (drawnArray(`texts/${name}`).data as Uint8Array<ArrayBuffer>).slice().buffer
  const writer = Network.open(json, bytes, { precision: 'float64' })
  const { end = null } = writer.configuration.vocabulary

  it('goes on as `sample` after the last sequence of a text', () => {
    const { prime } = written[0]!.request
    const sequence = writer.configuration.vocabulary.split(prime).at(-1)!
    for (const temperature of [0, 0.6, 1])
      for (const seed of [0, 1, 2]) {
        const choice = temperature ? { temperature } : { greedy: true }
        const expected = [...sample(writer, { prime: sequence, length: 40, seed, stop: end, ...choice })].join('')
        const { text, trace } = goOn(writer, { text: prime, length: 40, temperature, seed, holds: [] })
        expect(text).toBe(expected)
        expect(readTensors(trace).tensors.get('token')!.data.length).toBeGreaterThan(0)
      }
  })
})
