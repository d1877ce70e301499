// The assignment against every permutation, and pairs of neurons that were mixed up.
import { describe, expect, it } from 'vitest'
import { assign } from '../../engine/assignment'
import { matchNeurons } from '../../engine/matching'

const numbers = (seed: number, count: number): Float64Array =>
  Float64Array.from({ length: count }, (_, k) => Math.sin((k + 1) ** 2 * (seed + 1.37)))

/** Return the least cost of all assignments of the rows from `row` on. */
function least(cost: Float64Array, rows: number, columns: number, row = 0, used = new Set<number>()): number {
  if (row === rows) return 0
  // With more rows than columns, some rows have no column.
  let best = rows > columns ? least(cost, rows, columns, row + 1, used) : Infinity
  if (rows > columns && rows - row - 1 < columns - used.size) best = Infinity
  for (let c = 0; c < columns; c++)
    if (!used.has(c))
      best = Math.min(best, cost[row * columns + c]! + least(cost, rows, columns, row + 1, new Set(used).add(c)))
  return best
}

describe('the assignment', () => {
  it.each([
    [1, 1],
    [4, 4],
    [3, 6],
    [6, 3],
    [0, 2],
    [2, 0],
  ])('of %i rows to %i columns costs least', (rows, columns) => {
    for (let seed = 0; seed < 5; seed++) {
      const cost = numbers(seed, rows * columns)
      const chosen = assign(cost, rows, columns)
      const taken = Array.from(chosen).filter((c) => c >= 0)
      expect(new Set(taken).size).toBe(Math.min(rows, columns))
      const total = Array.from(chosen).reduce((sum, c, r) => (c < 0 ? sum : sum + cost[r * columns + c]!), 0)
      expect(total).toBeCloseTo(least(cost, rows, columns), 10)
    }
  })
})

describe('the neurons of two networks', () => {
  const steps = 12
  const rows = Array.from({ length: 4 }, (_, n) => Float32Array.from(numbers(n + 1, steps)))
  const joined = (parts: ArrayLike<number>[]): Float32Array =>
    Float32Array.from(parts.flatMap((one) => Array.from(one)))

  it('find their partners, whatever their order, scale and sign', () => {
    const order = [2, 0, 3, 1]
    const scaled = order.map((n, k) => rows[n]!.map((value) => (k % 2 ? -3 : 0.5) * value + k))
    const { pairs, unpaired } = matchNeurons({ first: joined(rows), second: joined(scaled), steps })
    expect(pairs.map(({ first, second }) => [first, second])).toEqual([0, 1, 2, 3].map((n) => [n, order.indexOf(n)]))
    pairs.forEach(({ second, r }) => expect(r).toBeCloseTo(second % 2 ? -1 : 1, 6))
    expect(unpaired).toEqual([])
  })

  it('have no partner if they are constant, no numbers, or too many', () => {
    const still = new Float32Array(steps).fill(0.7)
    const broken = rows[1]!.map((value, t) => (t === 5 ? NaN : value))
    const second = joined([rows[0]!, rows[1]!, rows[2]!])
    const { pairs, unpaired } = matchNeurons({ first: joined([still, rows[0]!, broken]), second, steps })
    expect(pairs.map(({ first, second }) => [first, second])).toEqual([[1, 0]])
    expect(unpaired).toEqual([
      { side: 'first', neuron: 0, reason: 'constant' },
      { side: 'first', neuron: 2, reason: 'not finite' },
      { side: 'second', neuron: 1, reason: 'left over' },
      { side: 'second', neuron: 2, reason: 'left over' },
    ])
  })

  it('are refused if there are too many for the page', () => {
    const many = Float32Array.from(numbers(3, 800 * 2))
    expect(() => matchNeurons({ first: many, second: many, steps: 2 })).toThrow('MATCH_TOO_LARGE')
  })

  it('have no pairs in an empty text', () =>
    expect(matchNeurons({ first: new Float32Array(), second: new Float32Array(), steps: 0 }).pairs).toEqual([]))
})
