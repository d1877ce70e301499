// Holds: steps of a text become steps of its sequences, and the held network writes on after the last one.
import { describe, expect, it } from 'vitest'
import { type Hold, interventionsOf, changesOfText, continuation, holdsAfter } from '../../engine/holds'
import { Recorder } from '../../engine/recording'
import { sample } from '../../engine/sampling'
import { madeNetwork } from './made'

const hold = (change: Partial<Hold>): Hold => ({
  layer: 'layer0',
  neuron: 1,
  signal: 'c',
  value: 0.75,
  first: 0,
  last: null,
  ...change,
})

/** The values of the held signal at every step of a text, and those of another neuron. */
function record(text: string, holds: Hold[]): { held: number[]; other: number[] } {
  const network = madeNetwork('lstm', 3)
  const { sequences } = new Recorder(network).record(text, changesOfText(network, text, holds))
  const neuron = (k: number): number[] =>
    sequences.flatMap(({ steps, layers }) => Array.from({ length: steps }, (_, t) => layers[0]!.get('c')![t * 3 + k]!))
  return { held: neuron(1), other: neuron(0) }
}

const TEXTS = ['abab', 'ab\nabba\na\nbb', 'a\nb\na\nb\n', '\n\n', 'a']

describe('a hold', () => {
  it('acts at its steps of the text and at no others, whatever the sequences', () => {
    for (const text of TEXTS) {
      const free = record(text, []).held
      const steps = text.length
      for (let first = 0; first < steps + 2; first++)
        for (const last of [null, first, first + 1, first + 3, steps + 5]) {
          const { held } = record(text, [hold({ first, last })])
          // Before the hold nothing changes; later sequences begin anew.
          for (let t = 0; t < steps; t++) {
            const isHeld = t >= first && t <= (last ?? Infinity)
            if (isHeld) expect(held[t]).toBe(0.75)
            else if (t < first) expect(held[t]).toBe(free[t])
            else expect(held[t]).not.toBe(0.75)
          }
        }
    }
  })

  it('moves the other neurons from the next step of its sequence on, and no other sequence', () => {
    const [text, first] = ['aab\nabb', 1]
    const [free, held] = [record(text, []).other, record(text, [hold({ first, last: first })]).other]
    const changed = held.map((value, t) => value !== free[t])
    expect(changed).toEqual([false, false, true, true, false, false, false])
  })

  it('needs no row in a text of one sequence, so that an appended letter costs one step', () => {
    expect(interventionsOf([hold({ first: 3 })], [9])).toEqual([
      { layer: 'layer0', neuron: 1, signal: 'c', scale: 0, shift: 0.75, steps: { start: 3, stop: null }, row: null },
    ])
    expect(interventionsOf([hold({})], [9])[0]!.steps).toBeNull()
    expect(interventionsOf([hold({ first: 1 })], Array<number>(5000).fill(2))).toHaveLength(2)
  })

  it('that cannot be made is refused', () => {
    const wrong: unknown[] = [
      null,
      [null],
      [hold({ first: -1 })],
      [hold({ first: 0.5 })],
      [hold({ first: 4, last: 3 })],
      [hold({ value: NaN })],
      [hold({ value: Infinity })],
      Array(101).fill(hold({})),
    ]
    for (const holds of wrong) expect(() => interventionsOf(holds as Hold[], [4])).toThrow(/INTERVENTION_INVALID/)
  })
})

describe('the continuation of a text', () => {
  const network = madeNetwork('lstm', 3)
  const settings = { length: 12, temperature: 1, seed: 3 }
  const write = (text: string, holds: Hold[] = [], change: Partial<typeof settings> = {}): string =>
    continuation(network, { text, holds, ...settings, ...change })

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
})
