import { describe, expect, it } from 'vitest'
import type { Layer, Run } from '../src/data/run'
import type { Spot } from '../src/draw/geometry'
import { estimatesAt, flatShare, guessesAt, outcomeText, shortPrediction } from '../src/model/guesses'
import type { Picture } from '../src/model/picture'
import { headerTip } from '../src/parts/tips'
import { type Arrays, makeTrace } from './scenes'

function picture(labels: string[], readout: object, arrays: Arrays): Picture {
  const run = {
    unit: 'character',
    vocabulary: ['a', 'b', 'c'],
    readout: { kind: 'symbols', names: [], quantiles: [], reads: 'every step', ...readout },
  } as unknown as Run
  const trace = makeTrace(labels, arrays)
  return {
    run,
    layer: {} as Layer,
    text: labels.join(''),
    signal: 'c',
    trace,
    whole: true,
    generation: 0,
    checkpoint: null,
    holds: [],
    baseline: [],
    original: null,
    free: null,
    refusal: null,
  }
}

const SYMBOLS = picture(
  [...'abcz'],
  {},
  {
    start: [1, 0, 1, 0],
    topToken: [
      [1, 0],
      [2, 1],
      [0, 2],
      [0, 1],
    ],
    topProbability: [
      [0.75, 0.25],
      [0.5, 0.5],
      [1, 0],
      [0.9, 0.1],
    ],
    logProbability: [Math.log(0.75), Math.log(0.5), NaN, NaN],
  },
)
const lines = (part: Picture, spot: Spot): string[] | null => headerTip(part, spot, null)

describe('guesses of symbols', () => {
  it('are the likely ones, with the probability of what came', () => {
    const { guesses, outcome } = guessesAt(SYMBOLS, 0)
    expect(guesses.map(({ label }) => label)).toEqual(['b', 'a'])
    expect(outcome!.label).toBe('b')
    expect(outcome!.probability).toBeCloseTo(0.75, 6)
    expect(guessesAt(SYMBOLS, 2).guesses.map(({ label }) => label)).toEqual(['a']) // 0 % is no guess
  })

  it('are printed on one line, and called flat below a tenth', () => {
    expect(shortPrediction(SYMBOLS, 0)).toBe('“b” 75 %, “a” 25 %')
    expect(flatShare(guessesAt(SYMBOLS, 0).guesses)).toBeNull()
    expect(flatShare([{ label: 'a', probability: 0.1 }])).toBeNull()
    expect(flatShare([{ label: 'a', probability: 0.0213 }])).toBe(3)
    expect(flatShare([])).toBeNull()
  })

  it('have an outcome in words', () => {
    expect([0, 1, 2, 3].map((step) => outcomeText(SYMBOLS, step))).toEqual([
      'next came: “b”, 75 %',
      'the sequence ends here; the next one begins from the initial state',
      'next came: “z”, which it does not know',
      'the text ends here',
    ])
  })

  it('are listed in the tip, and so is the surprise in nats', () => {
    expect(lines(SYMBOLS, { part: 'predictions', step: 0 })).toEqual([
      'After “a” the network expects',
      '“b”  75 %',
      '“a”  25 %',
      'next came: “b”, 75 %',
    ])
    expect(lines(SYMBOLS, { part: 'surprise', step: 1 })![0]).toBe('Surprise 0.69 nats')
    expect(lines(SYMBOLS, { part: 'surprise', step: 3 })![0]).toBe('No surprise to measure')
  })
})

describe('guesses of classes', () => {
  const classes = picture(
    [...'ab'],
    { kind: 'classes', names: ['low', 'high'], reads: 'last step' },
    {
      topToken: [
        [0, 1],
        [1, 0],
      ],
      topProbability: [
        [0.6, 0.4],
        [0.8, 0.2],
      ],
      target: [-1, 0],
    },
  )

  it('have the target of their sequence', () => {
    expect(outcomeText(classes, 0)).toBe('target: low, 60 %')
    expect(outcomeText(classes, 1)).toBe('target: low, 20 %')
  })
})

describe('estimates', () => {
  const numbers = picture(
    ['', ''],
    { kind: 'numbers', names: ['sum'], quantiles: [0.1, 0.5, 0.9], reads: 'last step' },
    {
      input: [[0.1], [0.2]],
      value: [[NaN], [5]],
      estimate: [
        [1, 2, 3],
        [7, 6, 4],
      ],
    },
  )

  it('have their interval in order, and the target of the sequence', () => {
    expect(estimatesAt(numbers, 1)).toEqual([{ name: 'sum', middle: 6, interval: [4, 7], target: 5 }])
    expect(estimatesAt(numbers, 0)[0]!.target).toBe(5)
    expect(lines(numbers, { part: 'chart', chart: 0, step: 1 })!.at(-1)).toBe('sum: 6 (4 to 7), target: 5')
  })
})
