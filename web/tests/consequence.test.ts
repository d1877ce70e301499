import { describe, expect, it } from 'vitest'
import type { Run } from '../src/data/run'
import { predictedSentence, promptOf, writtenSentence } from '../src/model/consequence'
import type { Picture } from '../src/model/picture'
import { type Arrays, makeTrace } from './scenes'

const SYMBOLS = { kind: 'symbols', names: [], quantiles: [], reads: 'every step' }
const COUNTER = { end: '\n', unit: 'character', vocabulary: ['a', 'b', 'X', '\n'], readout: SYMBOLS } as unknown as Run
const CLASSES = { kind: 'classes', names: ['good', 'bad'], quantiles: [], reads: 'last step' }

/** A trace of a text whose predictions are these symbols. */
function predicted(read: string, predictions: string, arrays: Arrays = {}) {
  const id = (symbol: string): number => COUNTER.vocabulary.indexOf(symbol)
  const start = [...read].map((_, t) => Number(t === 0 || read[t - 1] === '\n'))
  const trace = makeTrace([...read], { start, topToken: [...predictions].map((symbol) => [id(symbol)]), ...arrays })
  trace.token.set([...read].map(id))
  return trace
}

describe('the text that the network continues', () => {
  it('ends where the network itself predicts the rest', () => {
    expect(promptOf(COUNTER, 'aaXbb', predicted('aaXbb', 'aabb\n'))).toEqual({ text: 'aaX', steps: 3, length: 40 })
    expect(promptOf(COUNTER, 'aaXbb\n', predicted('aaXbb\n', 'aabb\na'))).toMatchObject({ text: 'aaX' })
    expect(promptOf(COUNTER, 'aX', predicted('aX', 'ab'))).toMatchObject({ text: 'aX' })
    expect(promptOf(COUNTER, 'aXb\naaXb', predicted('aXb\naaXb', 'ab\naaabb'))).toMatchObject({ text: 'aXb\naaX' })
    expect(promptOf(COUNTER, 'aaXb', predicted('aaXb', 'aa\n\n'))).toMatchObject({ text: 'aaXb' })
  })

  it('is the whole text without an end mark, and for words', () => {
    const trace = predicted('aaXbb', 'aabb\n')
    expect(promptOf({ ...COUNTER, end: null }, 'aaXbb', trace).text).toBe('aaXbb')
    expect(promptOf({ ...COUNTER, unit: 'word' }, 'aaXbb', trace).text).toBe('aaXbb')
  })
})

describe('the sentence about what it writes', () => {
  const say = (before: string, after: string, prompt = 'aaX', end: string | null = '\n'): string =>
    writtenSentence({ end }, { prompt: { text: prompt, steps: null, length: 40 }, before, after })

  it('counts one symbol', () => {
    expect(say('bbbbbbb\n', 'bbb\n')).toBe("Now it writes 3 b's instead of 7 after “aaX”.")
    expect(say('bb\n', '\n')).toBe("Now it writes 0 b's instead of 2 after “aaX”.")
    expect(say('bb\n', 'bb\n')).toBe("It still writes 2 b's after “aaX”.")
    expect(say('b\n', 'bb\n', 'aX\naaX')).toContain('after “aaX”')
  })

  it('quotes other texts, from where they differ', () => {
    expect(say('abc\n', 'acb\n')).toBe('Now it writes “acb⏎” instead of “abc⏎” after “aaX”.')
    expect(say('abc', 'abc')).toBe('It still writes “abc” after “aaX”.')
    expect(say(`${'x'.repeat(20)}a`, `${'x'.repeat(20)}b`, 'aa', null)).toBe(
      'After “aa”, the first 20 symbols are the same; then it writes “b” instead of “a”.',
    )
    expect(say('a', 'b', 'y'.repeat(50), null)).toContain('after “…yyyyyyyyyyyyyyyyyyyyyyyy”')
  })
})

describe('the sentence about what it predicts', () => {
  const picture = (run: object, trace: ReturnType<typeof makeTrace>): Picture =>
    ({ run: { ...COUNTER, ...run }, trace }) as unknown as Picture

  it('names the first changed symbol', () => {
    const [before, after] = [predicted('aXb', 'ab\n'), predicted('aXb', 'a\nb')]
    expect(predictedSentence(picture({}, after), before)).toBe(
      'Now it predicts “⏎” instead of “b” after “X” (step 1), and something else at 1 other step.',
    )
    expect(predictedSentence(picture({}, before), before)).toBe('No prediction changes its first choice.')
  })

  it('names the class at the end', () => {
    const classes = (top: number[][], shares: number[][]) =>
      makeTrace(['so', 'bad'], { topToken: top, topProbability: shares })
    const before = classes([[0], [0]], [[0.6], [0.9]])
    const after = classes([[0], [1]], [[0.6], [0.7]])
    expect(predictedSentence(picture({ readout: CLASSES }, after), before)).toBe('Now it predicts bad instead of good.')
    const still = classes([[0], [0]], [[0.6], [0.7]])
    expect(predictedSentence(picture({ readout: CLASSES }, still), before)).toBe(
      'It still predicts good, with 70 % instead of 90 %.',
    )
  })

  it('gives the estimate that changes most', () => {
    const numbers = { kind: 'numbers', names: ['sum'], quantiles: [], reads: 'every step' }
    const estimates = (estimate: number[][]) => makeTrace(['1', '2'], { estimate })
    const [before, after] = [estimates([[1], [2]]), estimates([[1.5], [4]])]
    const run = { readout: numbers, unit: 'number', vocabulary: ['x'] }
    expect(predictedSentence(picture(run, after), before)).toBe('Now it estimates 4 instead of 2 at step 1.')
    expect(predictedSentence(picture(run, before), before)).toBe('No estimate changes.')
    const once = { ...run, readout: { ...numbers, reads: 'last step' } }
    expect(predictedSentence(picture(once, after), before)).toBe('Now it estimates 4 instead of 2.')
  })
})
