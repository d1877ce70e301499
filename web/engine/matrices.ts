// Products of matrices in float64 whose rows lie one after the other, four sums at a time.

/** Write out[r, k] = a[r] · b[k] for rows of `size` numbers: a (rows, size) times the transpose of b (size, size). */
export function multiplyRows(a: Float64Array, rows: number, b: Float64Array, size: number, out: Float64Array): void {
  const [evenRows, evenColumns] = [rows - (rows % 2), size - (size % 2)]
  for (let r = 0; r < evenRows; r += 2) {
    const [a0, a1] = [r * size, (r + 1) * size]
    for (let k = 0; k < evenColumns; k += 2) {
      fourDots(a, a0, b, k * size, size)
      out[a0 + k] = sums[0]!
      out[a0 + k + 1] = sums[1]!
      out[a1 + k] = sums[2]!
      out[a1 + k + 1] = sums[3]!
    }
  }
  for (let r = 0; r < rows; r++)
    for (let k = r < evenRows ? evenColumns : 0; k < size; k++) out[r * size + k] = dot(a, r * size, b, k * size, size)
}

/** Add the lower half of a · aᵀ for a matrix a (rows, size) to `out` (rows, rows). */
export function addGram(a: Float64Array, rows: number, size: number, out: Float64Array): void {
  const even = rows - (rows % 2)
  for (let r = 0; r < even; r += 2) {
    for (let k = 0; k <= r; k += 2) {
      fourDots(a, r * size, a, k * size, size)
      out[r * rows + k]! += sums[0]!
      out[r * rows + k + 1]! += sums[1]!
      out[(r + 1) * rows + k]! += sums[2]!
      out[(r + 1) * rows + k + 1]! += sums[3]!
    }
  }
  for (let r = even; r < rows; r++)
    for (let k = 0; k <= r; k++) out[r * rows + k]! += dot(a, r * size, a, k * size, size)
}

const sums = new Float64Array(4)

/** Write the products of two rows of `a`, from a0 on, with two rows of `b`, from b0 on, to `sums`. */
function fourDots(a: Float64Array, a0: number, b: Float64Array, b0: number, size: number): void {
  const [a1, b1] = [a0 + size, b0 + size]
  let s00 = 0
  let s01 = 0
  let s10 = 0
  let s11 = 0
  for (let j = 0; j < size; j++) {
    const x0 = a[a0 + j]!
    const x1 = a[a1 + j]!
    const y0 = b[b0 + j]!
    const y1 = b[b1 + j]!
    s00 += x0 * y0
    s01 += x0 * y1
    s10 += x1 * y0
    s11 += x1 * y1
  }
  sums[0] = s00
  sums[1] = s01
  sums[2] = s10
  sums[3] = s11
}

function dot(a: Float64Array, a0: number, b: Float64Array, b0: number, size: number): number {
  let sum = 0
  for (let j = 0; j < size; j++) sum += a[a0 + j]! * b[b0 + j]!
  return sum
}
