// The same seed writes the text of Python, and every draw follows the documented rule.
import { describe, expect, it } from 'vitest'
import { type Choice, draw } from '../../engine/choice'
import { Network } from '../../engine/network'
import { Generator } from '../../engine/random'
import { sample, type SampleRequest } from '../../engine/sampling'
import { answer, Engine } from '../../engine/worker'
import { DRAWS, drawnArray } from './draws'

const FREE: Choice = { temperature: 1, topK: null, topP: null, greedy: false }

const weightsOf = (name: string): ArrayBuffer =>
  (drawnArray(`texts/${name}`).data as Uint8Array<ArrayBuffer>).slice().buffer

// In float64, in which the engines agree so closely that no draw lies between them.
describe.each(DRAWS.texts)('the $name', ({ name, network: json, written }) => {
  const network = Network.open(json, weightsOf(name), { precision: 'float64' })
  const text = (request: SampleRequest): string => [...sample(network, request)].join('')

  it.each(written)('writes the text of Python for $request', ({ request, text: expected }) => {
    expect(text(request)).toBe(expected)
  })

  it('writes another text with another seed', () => {
    const request = written[0]!.request
    expect(new Set([1, 2, 3, 4].map((seed) => text({ ...request, seed }))).size).toBe(4)
  })
})

it('a long prime is read in pieces', () => {
  const { name, network: json } = DRAWS.texts[0]!
  const network = Network.open(json, weightsOf(name), { precision: 'float64' })
  const prime = 'abcde\nca'.repeat(300)
  const ids = network.configuration.vocabulary.encode(prime) as Int32Array
  const { top } = network.run(network.inputs(ids))
  const logits = network.readOut(top.subarray(-top.length / ids.length), 1)
  for (let seed = 0; seed < 20; seed++) {
    const [symbol] = sample(network, { prime, seed, length: 1 })
    expect(symbol).toBe(network.configuration.vocabulary.symbols[draw(logits, FREE, new Generator(seed, 'sample'))])
  }
})

it('pieces of a text come one by one', () => {
  const { name, network } = DRAWS.texts[0]!
  const pieces = sample(Network.open(network, weightsOf(name)), { prime: 'ab', length: 5 })
  expect([...pieces]).toHaveLength(5)
})

describe('a draw', () => {
  const generator = new Generator(0, 'logits')

  it('takes the first symbol whose sum exceeds its share of all weights', () => {
    for (let trial = 0; trial < 500; trial++) {
      const logits = Array.from({ length: 1 + generator.below(8) }, () => generator.below(7) / 3)
      const choice = { ...FREE, temperature: 0.5 + generator.uniform() }
      const weights = logits.map((logit) => Math.exp((logit - Math.max(...logits)) / choice.temperature))
      const total = weights.reduce((a, b) => a + b)
      const sums = weights.map((_, k) => weights.slice(0, k + 1).reduce((a, b) => a + b))
      const u = new Generator(trial).uniform()
      expect(draw(logits, choice, new Generator(trial))).toBe(sums.findIndex((sum) => sum > u * total))
    }
  })

  it('takes the last symbol that is left, where the share rounds up to the sum', () => {
    const largest = Object.assign(new Generator(0), { uniform: () => 1 - 2 ** -53 })
    expect(draw([0, 0, 0, -900], FREE, largest)).toBe(2)
    expect(draw([0, 0, 0, -900], { ...FREE, topK: 2 }, largest)).toBe(1)
  })

  it('takes no symbol that is left out, where the share is 0', () => {
    const least = Object.assign(new Generator(0), { uniform: () => 0 })
    expect(draw([0, 1, 2], { ...FREE, topK: 1 }, least)).toBe(2)
    expect(draw([-Infinity, 0, 0], FREE, least)).toBe(1)
  })

  it('keeps the most probable symbols only, ties by the lowest id', () => {
    const drawn = (choice: Partial<Choice>): number[] => {
      const own = new Generator(1)
      const ids = Array.from({ length: 200 }, () => draw([0, 1, 0, 1, 1], { ...FREE, ...choice }, own))
      return [...new Set(ids)].sort()
    }
    expect(drawn({ topK: 1 })).toEqual([1])
    expect(drawn({ topK: 2 })).toEqual([1, 3])
    expect(drawn({ topK: 4 })).toEqual([0, 1, 3, 4])
    expect(drawn({ topP: 1e-9 })).toEqual([1])
    expect(drawn({ topP: 1 })).toEqual([0, 1, 2, 3, 4])
    expect(drawn({ greedy: true })).toEqual([1])
    expect(drawn({ temperature: 1e-300 })).toEqual([1, 3, 4])
  })

  it('adds no symbol where top-p is reached exactly', () => {
    for (const [topP, count] of [
      [0.25, 1],
      [0.5, 2],
      [0.75, 3],
      [1, 4],
    ] as const) {
      // prettier-ignore
      const own = new Generator(2)
      const drawn = new Set(Array.from({ length: 200 }, () => draw([0, 0, 0, 0], { ...FREE, topP }, own)))
      expect([...drawn].sort()).toEqual([0, 1, 2, 3].slice(0, count))
    }
  })

  it('refuses logits without a largest finite number', () => {
    for (const logits of [
      [0, NaN],
      [Infinity, 0],
      [-Infinity, -Infinity],
    ])
      // prettier-ignore
      for (const greedy of [false, true])
        expect(() => draw(logits, { ...FREE, greedy }, new Generator(0))).toThrow('SAMPLING_LOGITS')
    expect(draw([-Infinity, 0], FREE, new Generator(0))).toBe(1)
  })
})

describe('a request', () => {
  const { name, network: json } = DRAWS.texts[0]!
  const network = Network.open(json, weightsOf(name))

  it.each([
    [{ temperature: 0 }, 'SAMPLING_TEMPERATURE_RANGE'],
    [{ temperature: NaN }, 'SAMPLING_TEMPERATURE_RANGE'],
    [{ temperature: Infinity }, 'SAMPLING_TEMPERATURE_RANGE'],
    [{ top_k: 0 }, 'SAMPLING_TOP_K_RANGE'],
    [{ top_k: 1.5 }, 'SAMPLING_TOP_K_RANGE'],
    [{ top_p: 0 }, 'SAMPLING_TOP_P_RANGE'],
    [{ top_p: 1.1 }, 'SAMPLING_TOP_P_RANGE'],
    [{ length: -1 }, 'SAMPLING_LENGTH_RANGE'],
    [{ length: 1e9 }, 'SAMPLING_LENGTH_RANGE'],
    [{ length: 2.5 }, 'SAMPLING_LENGTH_RANGE'],
    [{ seed: -1 }, 'GENERATOR_SEED'],
    [{ prime: 3 as unknown as string }, 'SAMPLING_PRIME_TYPE'],
  ])('with %o is refused before the first piece', (fields, code) => {
    expect(() => sample(network, { prime: 'a', ...fields })).toThrow(code)
  })

  it('of a network that cannot write is refused', () => {
    const open = (change: object): Network => {
      const copy = { ...(json as object), ...change }
      return Network.open(copy, weightsOf(name))
    }
    const readout = { kind: 'symbols', names: [], quantiles: [], reads: 'last step' }
    expect(() => sample(open({ readout }), { prime: 'a' })).toThrow('SAMPLING_READOUT')
  })

  it('is answered by the worker', async () => {
    const engine = new Engine()
    await answer(engine, { id: 0, call: 'open', run: 'r', network: json, weights: weightsOf(name) })
    const request = { prime: 'ab', length: 9, seed: 4 }
    const reply = await answer(engine, { id: 1, call: 'sample', run: 'r', request })
    expect(reply).toEqual({ id: 1, ok: true, value: [...sample(network, request)].join('') })
    const refused = await answer(engine, { id: 2, call: 'sample', run: 'r', request: { ...request, top_k: 0 } })
    expect(refused).toEqual({ id: 2, ok: false, code: 'SAMPLING_TOP_K_RANGE', values: { top_k: 0 } })
  })
})
