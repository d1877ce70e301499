// Comparisons: what is refused, pairs of neurons, differences of losses, and the address of the other side.
import { describe, expect, it } from 'vitest'
import type { Run } from '../src/data/run'
import { difference, differenceText, neuronPairs, overSteps, refusal, vocabularies } from '../src/model/comparison'
import { filmSteps, placeOf } from '../src/model/film'
import { besideText, parseBeside } from '../src/state/beside-address'

const run = (name: string, symbols: string[], unit: Run['unit'] = 'character'): Run =>
  ({ name, unit, vocabulary: symbols, symbols: symbols.length }) as unknown as Run

describe('two networks', () => {
  it('are refused if their steps do not correspond', () => {
    const [a, b] = [run('a', ['x', 'y']), run('b', ['x', 'y'], 'word')]
    expect(refusal(a, a)).toBeNull()
    expect(refusal(a, b)).toBe('a reads characters, b reads words: their steps do not correspond.')
    expect(refusal(run('a', ['u'], 'number'), run('b', ['u', 'v'], 'number'))).toContain('1 number per step, b reads 2')
  })

  it('have their common symbols named', () => {
    const a = run('a', ['x', 'y', '\n'])
    expect(vocabularies(a, run('b', ['\n', 'y', 'x']))).toBeNull()
    expect(vocabularies(a, run('b', ['y', '\n', 'z']))).toEqual({
      sentence:
        'The two read different symbols. Both know 2 symbols: “y” “⏎”. A alone knows 1: “x”. B alone knows 1: “z”.',
      disjoint: false,
    })
    expect(vocabularies(a, run('b', ['q']))?.disjoint).toBe(true)
  })

  it('differ over the predictions that both have', () => {
    const [a, b] = [Float32Array.of(1, NaN, 2, 4), Float32Array.of(1, 5, NaN, 1)]
    expect(difference(a, b, true)).toEqual({ a: 2.5, b: 1, count: 2, step: 3 })
    expect(difference(a, b, false)).toMatchObject({ a: 7 / 3, b: 7 / 3, step: null })
    expect(difference(a, Float32Array.of(NaN, 1, NaN, NaN), true)).toBeNull()
    expect(differenceText({ a: 0.155, b: 0.143, count: 9, step: 0 }, 'symbols', true)).toBe(
      'B is 0.012 nats better on this text: 0.143 against 0.155 per prediction, over 9 predictions.',
    )
    expect(differenceText({ a: 1, b: 1.0004, count: 1, step: 0 }, 'classes', true)).toContain('equally good')
    expect(differenceText({ a: 1, b: 2, count: 1, step: 0 }, 'numbers', true)).toContain('further from what came')
  })

  it('have their neurons in pairs, and the rest of B last', () => {
    const matching = { pairs: [{ first: 0, second: 2, r: -0.9 }], unpaired: [] }
    expect(neuronPairs('matched', [1, 0], 2, 3, matching)).toEqual([
      { first: 1, second: null, r: null },
      { first: 0, second: 2, r: -0.9 },
      { first: null, second: 0, r: null },
      { first: null, second: 1, r: null },
    ])
    expect(neuronPairs('number', [0, 1], 2, 1, null).map(({ second }) => second)).toEqual([0, null])
  })

  it('of which one has fewer steps show no data behind its end', () => {
    expect([...overSteps(Float32Array.of(1, 2), 3)]).toEqual([1, 2, NaN])
    expect([...overSteps(Float32Array.of(1, 2), 1)]).toEqual([1])
  })
})

describe('the other side in the address', () => {
  it.each(['run:', 'checkpoint:', 'checkpoint:-1', 'text', 'holds:1', 'stored:nothing', 'x:y', ''])(
    'is not %s',
    (part) => expect(parseBeside(part)).toBeNull(),
  )

  it('has texts with any signs, and an empty one', () => {
    for (const words of ['', 'a:b\nc', 'text:holds'])
      expect(parseBeside(besideText({ kind: 'text', text: words }))).toEqual({ kind: 'text', text: words })
  })
})

describe('the frames of a film', () => {
  it('are the checkpoints, thinned evenly, and the best weights', () => {
    expect(filmSteps([])).toEqual([null])
    expect(filmSteps([5])).toEqual([5, null])
    const many = Array.from({ length: 100 }, (_, k) => 10 * k)
    const steps = filmSteps(many)
    expect(steps).toHaveLength(41)
    expect([steps[0], steps.at(-2), steps.at(-1)]).toEqual([0, 990, null])
  })

  it('have the place of the last weights before a step', () => {
    expect(placeOf([0, 100, 200, null], null)).toBe(3)
    expect(placeOf([0, 100, 200, null], 150)).toBe(1)
    expect(placeOf([50, null], 10)).toBe(0)
  })
})
