// The largest eigenvalue, against matrices whose eigenvalues are known.
import { expect, it } from 'vitest'
import { dominantEigenvalue, largestEigenvalue } from '../../engine/eigenvalues'
import { Generator } from '../../engine/random'

/** Return a symmetric matrix with given eigenvalues: a diagonal matrix, reflected at random vectors. */
function withEigenvalues(values: readonly number[], seed: number): Float64Array {
  const size = values.length
  const generator = new Generator(seed)
  let matrix = values.flatMap((value, k) => Array.from({ length: size }, (_, j) => (j === k ? value : 0)))
  for (let round = 0; round < 3; round++) {
    const v = Array.from({ length: size }, () => generator.normal())
    const square = v.reduce((sum, x) => sum + x * x, 0)
    const reflection = v.flatMap((a, k) => v.map((b, j) => (k === j ? 1 : 0) - (2 * a * b) / square))
    matrix = product(product(reflection, matrix, size), reflection, size)
  }
  return Float64Array.from(matrix)
}

function product(a: readonly number[], b: readonly number[], size: number): number[] {
  return Array.from({ length: size * size }, (_, place) => {
    const [row, column] = [Math.floor(place / size), place % size]
    let sum = 0
    for (let j = 0; j < size; j++) sum += a[row * size + j]! * b[j * size + column]!
    return sum
  })
}

const SPECTRA: [string, number[]][] = [
  ['one number', [2.5]],
  ['two numbers', [1, 3]],
  ['equal numbers', [4, 4, 4, 4]],
  ['two that are nearly equal', [1, 1 - 1e-12, 0.5, 0]],
  ['a single direction', [7, 0, 0, 0, 0]],
  ['many sizes', [1e-8, 1e-4, 1, 100, 1e4, 3, 2, 1]],
  ['nothing', [0, 0, 0]],
  ['more than half in one', [10, 3, 2, 1, 0.5]],
  ['half in one', [5, 3, 2]],
  ['less than half in one', Array.from({ length: 20 }, (_, k) => 1 + k / 20)],
]

it.each(SPECTRA)('%s: the largest of all eigenvalues', (_, values) => {
  const expected = Math.max(...values)
  for (let seed = 0; seed < 5; seed++) {
    const matrix = withEigenvalues(values, seed)
    expect(Math.abs(largestEigenvalue(matrix, values.length) - expected)).toBeLessThanOrEqual(1e-12 * expected)
  }
})

it.each(SPECTRA)('%s: a dominant eigenvalue is found or refused', (_, values) => {
  const size = values.length
  const [expected, sum] = [Math.max(...values), values.reduce((total, value) => total + value)]
  for (let seed = 0; seed < 5; seed++) {
    const matrix = withEigenvalues(values, seed)
    const multiply = (vector: Float64Array): Float64Array =>
      vector.map((_x, row) => vector.reduce((total, x, k) => total + matrix[row * size + k]! * x, 0))
    const generator = new Generator(seed, 'start')
    const start = Float64Array.from({ length: size }, () => generator.normal())
    const found = dominantEigenvalue(multiply, start, sum)
    if (found !== null) expect(Math.abs(found - expected)).toBeLessThanOrEqual(1e-11 * expected)
    if (expected > 0.55 * sum && size > 1) expect(found).not.toBeNull()
  }
})

it('a start beside the largest direction does not mislead', () => {
  const multiply = (vector: Float64Array): Float64Array => vector.map((x, k) => x * [10, 9.9, 1][k]!)
  expect(dominantEigenvalue(multiply, Float64Array.of(0, 1, 0), 20.9)).toBeNull()
  expect(dominantEigenvalue(multiply, Float64Array.of(0, 0, 1), 20.9)).toBeNull()
})
