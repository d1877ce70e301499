// Ties go to the lowest id, in every place that takes the largest of several numbers.
import { expect, it } from 'vitest'
import { Generator } from '../../engine/random'
import { largest, ranked } from '../../engine/ranking'

const generator = new Generator(0, 'ranking')
const rows = Array.from({ length: 200 }, () =>
  Float32Array.from({ length: 1 + generator.below(60) }, () => generator.below(5) - 2),
)

/** Sort pairs of value and id. */
function byPairs(values: Float32Array): number[] {
  const pairs = Array.from(values, (value, id) => ({ value, id }))
  return pairs.sort((a, b) => (a.value === b.value ? a.id - b.id : b.value - a.value)).map(({ id }) => id)
}

it('ranked sorts by value, then by id', () => {
  for (const values of rows)
    for (const count of [0, 1, 5, 32, 33, 99]) expect(ranked(values, count)).toEqual(byPairs(values).slice(0, count))
})

it('largest is the first of ranked', () => {
  for (const values of rows) expect(largest(values)).toBe(byPairs(values)[0])
})

it('NaN counts as larger than every number', () => {
  const values = [1, NaN, Infinity, NaN, -0, 0]
  for (const count of [6, 60]) expect(ranked(values, count)).toEqual([1, 3, 2, 0, 4, 5])
  expect(largest(values)).toBe(1)
})
