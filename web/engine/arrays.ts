// Arrays of numbers in either precision, and the products of matrices.

import { EngineError } from './errors'

export type Precision = 'float32' | 'float64'
export type Values = Float32Array | Float64Array

/** Return zeros of a precision. Throws an EngineError if there is no memory for them. */
export function zeros(precision: Precision, size: number): Values {
  try {
    return precision === 'float32' ? new Float32Array(size) : new Float64Array(size)
  } catch (error) {
    if (error instanceof RangeError) throw new EngineError('ENGINE_MEMORY_FULL', { numbers: size })
    throw error
  }
}

/** Return numbers in a precision; the array itself if it has the precision already. */
export function cast(precision: Precision, values: ArrayLike<number>): Values {
  if (precision === 'float32') return values instanceof Float32Array ? values : Float32Array.from(values)
  return values instanceof Float64Array ? values : Float64Array.from(values)
}

/**
 * Write out[o + k] = start[k] + weights[k] · x for the rows k of a matrix (rows, columns); sums have double precision.
 *
 * `at`, `x0`, `s` and `o` are where the matrix, the vector, the start and the result begin; without `start`, nothing is added.
 */
export function multiply(
  weights: Values,
  at: number,
  rows: number,
  columns: number,
  x: Values,
  x0: number,
  start: Values | null,
  s: number,
  out: Values,
  o: number,
): void {
  let k = 0
  // Four rows at a time: they share what is read of x, and no sum waits for the one before.
  for (; k + 3 < rows; k += 4) {
    const [row0, row1, row2, row3] = [
      at + k * columns,
      at + (k + 1) * columns,
      at + (k + 2) * columns,
      at + (k + 3) * columns,
    ]
    let [a, b, c, d] = [0, 0, 0, 0]
    for (let j = 0; j < columns; j++) {
      const value = x[x0 + j]!
      a += weights[row0 + j]! * value
      b += weights[row1 + j]! * value
      c += weights[row2 + j]! * value
      d += weights[row3 + j]! * value
    }
    out[o + k] = start === null ? a : a + start[s + k]!
    out[o + k + 1] = start === null ? b : b + start[s + k + 1]!
    out[o + k + 2] = start === null ? c : c + start[s + k + 2]!
    out[o + k + 3] = start === null ? d : d + start[s + k + 3]!
  }
  for (; k < rows; k++) {
    const row = at + k * columns
    let a = 0
    for (let j = 0; j < columns; j++) a += weights[row + j]! * x[x0 + j]!
    out[o + k] = start === null ? a : a + start[s + k]!
  }
}
