// Requests about gradients: what cannot be answered is refused with a code, in the words of the page.
import { describe, expect, it } from 'vitest'
import english from '../../../src/gatescope/messages/en/page.json'
import { saliencyOf } from '../../engine/backpropagation'
import { chain, connections, gradientMap, weightPaths } from '../../engine/gradient-calls'
import { EngineError } from '../../engine/errors'
import { ExactRecording } from '../../engine/exact-recording'
import type { Network } from '../../engine/network'
import { Recorder } from '../../engine/recording'
import { readTensors } from '../../engine/tensors'
import { answer, Engine } from '../../engine/worker'
import { INDEX, openCase } from './fixtures'
import { madeNetwork } from './made'

const lstm = madeNetwork('lstm', 3)
const map = { text: 'abba', layer: 'layer0' }
const connection = { text: 'abba', by: 'gradient', step: 1 }
const path = { text: 'abba', layer: 'layer0', state: 'c', neuron: 1, after: 3, before: 1 }

const weight = { text: 'abba', layer: 'layer0', drive: 'f', to: 1, source: 0, step: 2 }

const caseOf = (name: string): Network => openCase(INDEX.cases.find((about) => about.case === name)!)

/** Return the code of the error of a call. */
function codeOf(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(EngineError)
    const { code, values } = error as EngineError
    const sentence = (english as Record<string, string>)[code]
    expect(sentence, code).toBeTruthy()
    const fields = [...sentence!.matchAll(/\{(\w+)/g)].map((match) => match[1])
    expect(Object.keys(values)).toEqual(expect.arrayContaining(fields))
    return code
  }
  return 'answered'
}

describe('a request', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'abba'],
    ['a list', [map]],
    ['a missing field', { text: 'abba' }],
    ['an unknown field', { ...map, colour: 'red' }],
    ['a field of another type', { ...map, text: 3 }],
    ['a field of the prototype', JSON.parse('{"text": "a", "__proto__": "layer0"}')],
    ['an object instead of a name', { text: 'a', layer: { toString: 1 } }],
  ])('that is %s is refused', (_, request) => {
    expect(codeOf(() => gradientMap(lstm, request))).toBe('GRADIENTS_REQUEST_INVALID')
    expect(codeOf(() => connections(lstm, request))).toBe('GRADIENTS_REQUEST_INVALID')
    expect(codeOf(() => chain(lstm, request))).toBe('GRADIENTS_REQUEST_INVALID')
    expect(codeOf(() => weightPaths(lstm, request))).toBe('GRADIENTS_REQUEST_INVALID')
  })

  it('may name the weights that are open, and no others', () => {
    expect(codeOf(() => gradientMap(lstm, { ...map, checkpoint: null }))).toBe('answered')
    expect(codeOf(() => gradientMap(lstm, { ...map, checkpoint: lstm.step }))).toBe('answered')
    expect(codeOf(() => gradientMap(lstm, { ...map, checkpoint: lstm.step + 1 }))).toBe('CHECKPOINT_NOT_OPEN')
    expect(codeOf(() => gradientMap(lstm, { ...map, checkpoint: '0' }))).toBe('CHECKPOINT_NOT_OPEN')
  })

  it.each([-1, 4, 1.5, NaN, Infinity, 2 ** 53])('names a step of the text, not %s', (step) => {
    expect(codeOf(() => connections(lstm, { ...connection, step }))).toBe('STEP_UNKNOWN')
    expect(codeOf(() => weightPaths(lstm, { ...weight, step }))).toBe('STEP_UNKNOWN')
    expect(codeOf(() => chain(lstm, { ...path, after: step }))).toBe('STEP_UNKNOWN')
    expect(codeOf(() => chain(lstm, { ...path, before: step }))).toBe('STEP_UNKNOWN')
  })

  it('names a place of the network', () => {
    for (const layer of ['layer1', '', 'toString', '__proto__'])
      expect(codeOf(() => gradientMap(lstm, { ...map, layer }))).toBe('LAYER_UNKNOWN')
    for (const state of ['f', '', '__proto__'])
      expect(codeOf(() => chain(lstm, { ...path, state }))).toBe('CHAIN_NEURON_UNKNOWN')
    for (const neuron of [-1, 3, 0.5, NaN])
      expect(codeOf(() => chain(lstm, { ...path, neuron }))).toBe('CHAIN_NEURON_UNKNOWN')
    expect(codeOf(() => connections(lstm, { ...connection, by: 'hearsay' }))).toBe('GRADIENTS_REQUEST_INVALID')
  })

  it('names a recurrent weight', () => {
    expect(codeOf(() => weightPaths(lstm, weight))).toBe('answered')
    expect(codeOf(() => weightPaths(lstm, { ...weight, layer: '__proto__' }))).toBe('LAYER_UNKNOWN')
    for (const drive of ['c', '', 'u.f', '__proto__'])
      expect(codeOf(() => weightPaths(lstm, { ...weight, drive }))).toBe('WEIGHT_PATHS_DRIVE')
    for (const neuron of [-1, 3, 0.5, NaN]) {
      expect(codeOf(() => weightPaths(lstm, { ...weight, to: neuron }))).toBe('WEIGHT_PATHS_NEURON')
      expect(codeOf(() => weightPaths(lstm, { ...weight, source: neuron }))).toBe('WEIGHT_PATHS_NEURON')
    }
  })

  it('has a next symbol that the network knows', () => {
    for (const [text, step] of [
      ['abba', 3],
      ['ab\nab', 2],
      ['ab?ab', 1],
    ] as const)
      expect(codeOf(() => weightPaths(lstm, { ...weight, text, step }))).toBe('WEIGHT_PATHS_NEXT_UNKNOWN')
  })

  it('names two steps of one sequence, the later one first', () => {
    expect(codeOf(() => chain(lstm, { ...path, after: 1, before: 2 }))).toBe('CHAIN_REVERSED')
    expect(codeOf(() => chain(lstm, { ...path, text: 'ab\nab', after: 4 }))).toBe('CHAIN_SPANS_SEQUENCES')
    expect(chain(lstm, { ...path, after: 1 }).columns['direct']).toEqual([])
  })
})

describe('a network', () => {
  it('carries a state, forward, and reads and predicts symbols', () => {
    const [stateless, both] = [madeNetwork('feedforward', 3), caseOf('lstm/both-ways')]
    expect(codeOf(() => gradientMap(stateless, map))).toBe('LAYER_STATELESS')
    expect(codeOf(() => chain(stateless, { ...path, state: 'h' }))).toBe('LAYER_STATELESS')
    const words = { text: 'good bad', layer: 'layer0_reverse' }
    expect(codeOf(() => gradientMap(both, words))).toBe('GRADIENTS_LAYER_REVERSE')
    expect(codeOf(() => connections(both, { text: 'good bad', by: 'change', step: 0 }))).toBe(
      'CONNECTIONS_BIDIRECTIONAL',
    )
    expect(codeOf(() => gradientMap(caseOf('lstm/numbers'), map))).toBe('GRADIENTS_OF_NUMBERS')
    expect(codeOf(() => connections(caseOf('lstm/last-step'), connection))).toBe('CONNECTIONS_OF_ESTIMATES')
  })

  it('has paths if it predicts the next symbol from a state of 0, without a head', () => {
    const code = (network: Network, layer = 'layer0'): string =>
      codeOf(() => weightPaths(network, { ...weight, layer, to: 0 }))
    expect(code(caseOf('lstm/bytes'))).toBe('WEIGHT_PATHS_LAYER')
    expect(code(caseOf('lstm/both-ways'))).toBe('WEIGHT_PATHS_READOUT')
    expect(code(caseOf('lstm/last-step'))).toBe('WEIGHT_PATHS_READOUT')
    expect(code(madeNetwork('feedforward', 3))).toBe('WEIGHT_PATHS_DRIVE')
  })

  it('has the same weights after its paths were listed', () => {
    const before = readTensors(gradientMap(lstm, map))
    weightPaths(lstm, weight)
    weightPaths(lstm, { ...weight, text: 'abb', step: 1 })
    gradientMap(lstm, { ...map, text: 'ba' })
    expect(readTensors(gradientMap(lstm, map))).toEqual(before)
  })

  it('has another symbol to read', () => {
    const single = madeNetwork('lstm', 3, '\n')
    expect(codeOf(() => connections(single, { text: '\n', by: 'change', step: 0 }))).toBe('REPLACEMENTS_MISSING')
  })
})

describe('a text', () => {
  it('is empty: a map without steps, and no step to connect', () => {
    const { tensors, metadata } = readTensors(gradientMap(lstm, { ...map, text: '' }))
    expect(tensors.get('norm')!.shape).toEqual([0, 0])
    expect(JSON.parse(metadata['labels']!)).toEqual([])
    expect(codeOf(() => connections(lstm, { ...connection, text: '' }))).toBe('STEPS_MISSING')
    expect(codeOf(() => chain(lstm, { ...path, text: '' }))).toBe('STEPS_MISSING')
  })

  it('is short, and its map small', () => {
    expect(codeOf(() => gradientMap(lstm, { ...map, text: 'a'.repeat(301) }))).toBe('GRADIENTS_TEXT_TOO_LONG')
    expect(codeOf(() => gradientMap(madeNetwork('lstm', 40), { ...map, text: 'ab'.repeat(50) }))).toBe(
      'GRADIENTS_TOO_LARGE',
    )
  })

  it('may be another one in the next request', () => {
    const before = readTensors(gradientMap(lstm, map))
    gradientMap(lstm, { ...map, text: 'ba' })
    expect(readTensors(gradientMap(lstm, map))).toEqual(before)
  })
})

it('connections of a large network come in parts, which are those of the whole', () => {
  const network = madeNetwork('lstm', 160)
  const text = 'abba'.repeat(24)
  const { sequences } = new ExactRecording(network.toFloat64(), text)
  const firsts = [0, 94].map((step) => {
    const { tensors, metadata } = readTensors(connections(network, { text, by: 'gradient', step }))
    const [first, values] = [Number(metadata['first']), tensors.get('connections')!]
    expect(values.shape[0]).toBeLessThan(96)
    const { norms, losses } = saliencyOf(network.toFloat64(), sequences[0]!, [step])
    const row = (values.data as Float32Array).subarray((step - first) * 96, (step - first + 1) * 96)
    expect([...row.subarray(0, step + 1)]).toEqual([...Float32Array.from(norms.subarray(0, step + 1))])
    expect((tensors.get('loss')!.data as Float32Array)[step - first]).toBe(Math.fround(losses[0]!))
    return first
  })
  expect(firsts[0]).toBe(0)
  expect(firsts[1]).toBeGreaterThan(0)
})

it('the worker answers every call', async () => {
  const engine = new Engine()
  engine.open('counter', { network: lstm, recorder: new Recorder(lstm) })
  const requests = { gradients: map, connections: connection, chain: path, weightPaths: weight }
  for (const [call, request] of Object.entries(requests) as [keyof typeof requests, object][]) {
    const reply = await answer(engine, { id: 7, call, run: 'counter', request })
    expect([reply.id, reply.ok], call).toEqual([7, true])
    expect(await answer(engine, { id: 8, call, run: 'counter', request: {} })).toMatchObject({
      ok: false,
      code: 'GRADIENTS_REQUEST_INVALID',
    })
  }
})
