import { describe, expect, it } from 'vitest'
import type { Layer, Run } from '../src/data/run'
import type { Hold } from '../src/data/view'
import { actingHold, holdText, holdValue, holdWarning, meanOf, shortFloat, withHold } from '../src/model/holds'
import { consequence } from '../src/model/consequence'
import type { Picture } from '../src/model/picture'
import { writeLines } from '../src/model/python-figures'
import { recordLines, sequenceLengths } from '../src/model/python-lines'
import { makeTrace } from './scenes'

const hold: Hold = { layer: 'layer0', neuron: 4, signal: 'f', value: 0, first: 2, last: null }
const signals = [
  { name: 'f', range: [0, 1] },
  { name: 'c', range: [null, null] },
  { name: 'r', range: [0, null] },
]
const LAYERS = [{ name: 'layer0', reverse: false, neurons: 5, signals }] as unknown as Layer[]

describe('the words about a hold', () => {
  it('name its signal, neuron, value and steps', () => {
    expect(holdText(hold, LAYERS)).toBe('f of neuron 4 held at 0 from step 2 on')
    expect(holdText({ ...hold, last: 2, value: -0.25 }, LAYERS)).toBe('f of neuron 4 held at −0.25 at step 2')
    expect(holdText({ ...hold, last: 5 }, LAYERS)).toBe('f of neuron 4 held at 0 from step 2 to 5')
    expect(holdText({ ...hold, first: 0 }, LAYERS)).toBe('f of neuron 4 held at 0 over the whole text')
    const two = [...LAYERS, { ...LAYERS[0]!, name: 'layer1' }]
    expect(holdText(hold, two)).toBe('f of neuron 4 of layer 0 held at 0 from step 2 on')
  })

  it('warn of values that the signal cannot have, and of steps after the text', () => {
    expect(holdWarning({ ...hold, value: 1.5 }, LAYERS, 9)).toBe('outside of what f can be: 0 to 1')
    expect(holdWarning({ ...hold, signal: 'r', value: -1 }, LAYERS, 9)).toBe('outside of what r can be: 0 or more')
    for (const value of [0, 0.5, 1]) expect(holdWarning({ ...hold, value }, LAYERS, 9)).toBe('')
    expect(holdWarning({ ...hold, signal: 'c', value: 1e9 }, LAYERS, 9)).toBe('')
    expect(holdWarning(hold, LAYERS, 2)).toBe('after the end of the text')
  })

  it('have the shortest number that is the same float32', () => {
    for (const value of [0.1, -0.7, 1 / 3, 123456.789, 1e-20, 0]) {
      const short = shortFloat(Math.fround(value))
      expect(Math.fround(short)).toBe(Math.fround(value))
      expect(String(short).length).toBeLessThanOrEqual(15)
    }
    expect(shortFloat(Math.fround(0.1))).toBe(0.1)
    expect([holdValue(0), holdValue(1.5), holdValue(0.98765432)]).toEqual(['0', '1.5', '0.988'])
  })
})

describe('the list of holds', () => {
  it('has one hold of a signal over the same steps, the newest', () => {
    const other = { ...hold, last: 2 }
    expect(withHold([hold, other], { ...hold, value: 3 })).toEqual([other, { ...hold, value: 3 }])
  })

  it('says at which cells a signal is held', () => {
    const held = (cell: Partial<Hold>, step: number): boolean =>
      actingHold([{ ...hold, last: 3 }], { ...hold, ...cell }, step) !== null
    expect([1, 2, 3, 4].map((step) => held({}, step))).toEqual([false, true, true, false])
    for (const cell of [{ neuron: 3 }, { signal: 'c' }, { layer: 'layer1' }]) expect(held(cell, 2)).toBe(false)
    const later = { ...hold, value: 1, first: 3 }
    expect(actingHold([hold, later], hold, 3)).toBe(later)
  })

  it('knows the mean of the values that there are', () => {
    expect(meanOf([1, NaN, 2])).toBe(1.5)
    expect(meanOf([NaN])).toBeNaN()
  })
})

describe('the consequence of holds', () => {
  const labels = [...'abcd']
  const tokens = (first: number[]): number[][] => first.map((token) => [token, 9])

  it('counts changed first choices, and compares the mean losses where both have one', () => {
    const original = makeTrace(labels, { topToken: tokens([0, 1, 2, 3]), logProbability: [-1, -2, NaN, NaN] })
    const held = makeTrace(labels, { topToken: tokens([0, 5, 2, 6]), logProbability: [-1, -5, NaN, -9] })
    expect(consequence(original, held)).toEqual({
      predictions: 4,
      changed: 2,
      first: 1,
      most: null,
      loss: { before: 1.5, after: 3 },
    })
    expect(consequence(original, original)).toMatchObject({ changed: 0, first: null })
  })

  it('leaves out steps without a prediction', () => {
    const trace = makeTrace(labels, { topToken: tokens([-1, -1, -1, 2]) })
    expect(consequence(trace, trace)).toMatchObject({ predictions: 1, loss: null })
  })

  it('compares estimates beyond rounding', () => {
    const original = makeTrace(labels, { estimate: [[1], [2], [3], [4]] })
    const held = makeTrace(labels, { estimate: [[1], [2.0000002], [3.5], [3]] })
    expect(consequence(original, held)).toMatchObject({ predictions: 4, changed: 2, first: 2, most: 1 })
  })
})

describe('the lines of Python', () => {
  const picture = (text: string, start: number[], end: string | null): Picture =>
    ({
      run: { name: 'my "run"', end, vocabulary: ['b', ...(end ?? '')] } as unknown as Run,
      text,
      checkpoint: null,
      trace: makeTrace([...text], { start }),
    }) as Picture

  it('hold a signal of one sequence with clamp', () => {
    expect(recordLines(picture('aX\n', [1, 0, 0], '\n'), [{ ...hold, value: -0.5 }]).split('\n')).toEqual([
      'import gatescope',
      '',
      'network, _ = gatescope.Run("runs/my \\"run\\"").network()',
      'holds = [',
      '    gatescope.clamp("layer0", "f", 4, -0.5, steps=slice(2, None)),',
      ']',
      'trace = gatescope.record(network, "aX\\n", interventions=holds)',
    ])
  })

  it('name the row of several sequences, and count the steps of the last one for writing', () => {
    const two = picture('a\nbc', [1, 0, 1, 0], '\n')
    expect(recordLines(two, [{ ...hold, first: 3, last: 3 }])).toContain(
      'gatescope.Intervention("layer0", "f", 4, shift=0, steps=slice(1, None), row=1),',
    )
    const settings = { length: 9, temperature: 0.5, seed: 3 }
    const lines = writeLines(two, [{ ...hold, first: 3 }], settings)
    expect(lines).toContain('gatescope.clamp("layer0", "f", 4, 0, steps=slice(1, None)),')
    expect(lines).toContain(
      'vocabulary.split("a\\nbc")[-1], length=9, choice=gatescope.Choice(temperature=0.5), seed=3',
    )
    expect(writeLines(two, [], { ...settings, temperature: 0 })).toContain('Choice(greedy=True), stop="\\n"))')
  })

  it('count the steps of every sequence', () => {
    expect(sequenceLengths(Uint8Array.of(1, 0, 1, 1, 0, 0))).toEqual([2, 1, 3])
    expect(sequenceLengths(new Uint8Array())).toEqual([])
  })
})
