import { describe, expect, it } from 'vitest'
import type { Remembered } from '../src/data/playground'
import { area, bestFollower, heldOutR2, shuffledScore, spansOf } from '../src/model/remembered'

const STRINGS = Array.from({ length: 10 }, (_, k) => `${'a'.repeat(k + 1)}X${'b'.repeat(k + 1)}\n`)
/** The b's that are still to be written after each symbol: a rises, b falls, the end mark has none. */
const OWED = STRINGS.flatMap((string) => {
  let owed = 0
  return [...string].map((symbol) => (symbol === 'a' ? ++owed : symbol === 'b' ? --owed : owed))
})
const REMEMBERED: Remembered = {
  strings: STRINGS,
  quantities: [{ name: 'owed', title: "b's still to be written", count: true, values: OWED }],
}
const STEPS = OWED.length

/** Values of neurons, one after the other. */
const valuesOf = (...neurons: ((step: number) => number)[]): Float32Array =>
  Float32Array.from(neurons.flatMap((of) => Array.from({ length: STEPS }, (_, step) => of(step))))

describe('the area under the ROC curve', () => {
  it('is the share of pairs in the right order, of the better direction', () => {
    const x = [0.1, 0.5, 0.5, -2, 3, 0.2, 0.5]
    const y = [0, 1, 0, 0, 1, 1, 0]
    let right = 0
    let pairs = 0
    for (let i = 0; i < x.length; i++)
      for (let j = 0; j < x.length; j++)
        if (y[i] && !y[j]) {
          pairs++
          right += x[i]! > x[j]! ? 1 : x[i] === x[j] ? 0.5 : 0
        }
    expect(area(x, y)).toBeCloseTo(right / pairs, 12)
    const negated = x.map((value) => -value)
    expect(area(negated, y)).toBeCloseTo(right / pairs, 12)
  })
  it('is unknown without two classes, or with a value that is not finite', () => {
    expect(area([1, 2], [1, 1])).toBeNull()
    expect(area([1, NaN], [0, 1])).toBeNull()
  })
})

describe('R² on the steps held out', () => {
  it('is 1 of a line, and what a reader computes by hand otherwise', () => {
    expect(heldOutR2([1, 2, 3, 4], [3, 5, 7, 9], [true, true, false, false])).toBeCloseTo(1, 12)
    // The line through (0, 0) and (1, 1) is y = x; held out: errors 1 and -1, mean 3, total 2 · 2².
    expect(heldOutR2([0, 1, 0, 6], [0, 1, 1, 5], [true, true, false, false])).toBeCloseTo(1 - 2 / 8, 12)
  })
  it('is never below 0, and unknown for a neuron or a quantity that stands still', () => {
    expect(heldOutR2([0, 1, 0, 1], [0, 1, 9, -9], [true, true, false, false])).toBe(0)
    expect(heldOutR2([2, 2, 1, 3], [0, 1, 0, 1], [true, true, false, false])).toBeNull()
    expect(heldOutR2([0, 1, 2, 3], [0, 1, 4, 4], [true, true, false, false])).toBeNull()
  })
})

describe('the neuron that follows best', () => {
  const noise = (step: number): number => Math.sin(step * step)
  it('is the one that counts, whichever its direction and scale', () => {
    const found = bestFollower(
      valuesOf(noise, (step) => 3 - 0.2 * OWED[step]!, noise),
      REMEMBERED,
    )
    expect(found).toMatchObject({ neuron: 1, quantity: { name: 'owed' } })
    expect(found!.score).toBeCloseTo(1, 6)
  })
  it('is better than on shuffled strings, which noise is not', () => {
    const counts = valuesOf((step) => OWED[step]!)
    expect(shuffledScore(counts, REMEMBERED)!).toBeLessThan(0.9)
    const [of, chance] = [bestFollower(valuesOf(noise), REMEMBERED)!.score, shuffledScore(valuesOf(noise), REMEMBERED)!]
    expect(of).toBeLessThan(chance + 0.1)
  })
  it('ignores what a neuron does where the end mark is read', () => {
    const ends = new Set(spansOf(STRINGS).spans.map(([, end]) => end))
    const found = bestFollower(
      valuesOf((step) => (ends.has(step) ? 1e6 : OWED[step]!)),
      REMEMBERED,
    )
    expect(found!.score).toBeCloseTo(1, 6)
  })
  it('does not exist for neurons that stand still', () => {
    expect(
      bestFollower(
        valuesOf(() => 0.5),
        REMEMBERED,
      ),
    ).toBeNull()
  })
})
