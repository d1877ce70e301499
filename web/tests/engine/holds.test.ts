// Holds: steps of a text become steps of its sequences.
import { describe, expect, it } from 'vitest'
import { type Hold, interventionsOf, changesOfText } from '../../engine/holds'
import { type Intervention, unchangedSteps } from '../../engine/interventions'
import { Recorder } from '../../engine/recording'
import { hold, madeNetwork } from './made'

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

  it('that moves gives what a new recording gives, though the steps before it are not computed again', () => {
    const network = madeNetwork('lstm', 3)
    const recorder = new Recorder(network)
    const moves: [string, Hold[]][] = [
      ['abab', []],
      ['abab', [hold({ first: 2 })]],
      ['abab', [hold({ first: 2, value: 0.5 })]],
      ['abab', [hold({ first: 2, value: 0.5 }), hold({ signal: 'h', first: 3 })]],
      ['abab', [hold({ signal: 'h', first: 1, last: 1 })]],
      ['ababb', [hold({ signal: 'h', first: 1, last: 1 })]],
      ['abb', [hold({ first: 1 })]],
      ['a\nabab', [hold({ first: 3 })]],
      ['a\nabab', [hold({ first: 3, value: 2 })]],
      ['abab', []],
    ]
    const signals = (by: Recorder, text: string, holds: Hold[]): unknown[] =>
      by
        .record(text, changesOfText(network, text, holds))
        .sequences.map(({ steps, layers, logProbabilities }) => [
          ...[...layers[0]!].map(([name, values]) => [name, [...values.subarray(0, steps * 3)]]),
          [...logProbabilities.subarray(0, steps)],
        ])
    for (const [text, holds] of moves)
      expect(signals(recorder, text, holds)).toEqual(signals(new Recorder(network), text, holds))
    // A hold that begins later than a step shares the step; one that reads rows shares nothing.
    const changes = (holds: Hold[]): Intervention[] => interventionsOf(holds, [9])
    expect(unchangedSteps(changes([hold({ first: 4 })]), changes([hold({ first: 4, value: 1 })]))).toBe(4)
    expect(unchangedSteps(changes([hold({ first: 4 })]), changes([hold({ first: 4 })]))).toBe(Infinity)
    expect(unchangedSteps(changes([hold({})]), changes([]))).toBe(0)
    expect(unchangedSteps(interventionsOf([hold({ first: 4 })], [3, 9]), [])).toBe(0)
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
