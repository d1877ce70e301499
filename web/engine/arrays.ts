// Arrays of numbers in either precision, and the products of matrices.

export type Precision = 'float32' | 'float64'
export type Values = Float32Array | Float64Array

/** Return zeros of a precision. */
export function zeros(precision: Precision, size: number): Values {
  return precision === 'float32' ? new Float32Array(size) : new Float64Array(size)
}

/** Return numbers in a precision; the array itself if it has the precision already. */
export function cast(precision: Precision, values: ArrayLike<number>): Values {
  if (precision === 'float32') return values instanceof Float32Array ? values : Float32Array.from(values)
  return values instanceof Float64Array ? values : Float64Array.from(values)
}

/**
 * Write out[o + k] = start[k] + weights[k] · x for the rows k of a matrix (rows, columns); sums have double precision.
 *
 * `at`, `x0` and `o` are where the matrix, the vector and the result begin; without `start`, sums begin at 0.
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
  for (let k = 0; k < rows; k++) {
    const row = at + k * columns
    // Four sums at a time: one sum would wait for each addition.
    let [a, b, c, d] = [start === null ? 0 : start[s + k]!, 0, 0, 0]
    let j = 0
    for (; j + 3 < columns; j += 4) {
      a += weights[row + j]! * x[x0 + j]!
      b += weights[row + j + 1]! * x[x0 + j + 1]!
      c += weights[row + j + 2]! * x[x0 + j + 2]!
      d += weights[row + j + 3]! * x[x0 + j + 3]!
    }
    for (; j < columns; j++) a += weights[row + j]! * x[x0 + j]!
    out[o + k] = a + b + (c + d)
  }
}
