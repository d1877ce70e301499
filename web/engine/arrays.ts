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

/**
 * Write out[s, k] = weights[k] · x[s] for the rows k of a matrix (rows, columns) that begins at `at`, and vectors x
 * (steps, columns).
 *
 * Each sum has double precision, and the order of `multiply`.
 */
export function multiplySteps(
  weights: Values,
  at: number,
  rows: number,
  columns: number,
  x: Float64Array,
  steps: number,
  out: Float64Array,
): void {
  const pairs = steps - (steps % 2)
  let k = 0
  // Four rows and two steps at a time: eight sums of six numbers that are read.
  for (; k + 3 < rows; k += 4) {
    const row0 = at + k * columns
    const [row1, row2, row3] = [row0 + columns, row0 + 2 * columns, row0 + 3 * columns]
    for (let s = 0; s < pairs; s += 2) {
      const [x0, x1] = [s * columns, (s + 1) * columns]
      let [a0, b0, c0, d0, a1, b1, c1, d1] = [0, 0, 0, 0, 0, 0, 0, 0]
      for (let j = 0; j < columns; j++) {
        const [first, second] = [x[x0 + j]!, x[x1 + j]!]
        const [a, b, c, d] = [weights[row0 + j]!, weights[row1 + j]!, weights[row2 + j]!, weights[row3 + j]!]
        a0 += a * first
        b0 += b * first
        c0 += c * first
        d0 += d * first
        a1 += a * second
        b1 += b * second
        c1 += c * second
        d1 += d * second
      }
      const [o0, o1] = [s * rows + k, (s + 1) * rows + k]
      out[o0] = a0
      out[o0 + 1] = b0
      out[o0 + 2] = c0
      out[o0 + 3] = d0
      out[o1] = a1
      out[o1 + 1] = b1
      out[o1 + 2] = c1
      out[o1 + 3] = d1
    }
  }
  // The rows and the step that are left over.
  const whole = k
  for (let s = 0; s < steps; s++) {
    const from = s < pairs ? whole : 0
    multiply(weights, at + from * columns, rows - from, columns, x, s * columns, null, 0, out, s * rows + from)
  }
}
