// Principal components of neurons over steps, in float64: the directions in which their values vary most.

/** Vectors that are iterated together; the leading ones converge by the ratio of distant eigenvalues. */
const BLOCK = 16
const MAX_ITERATIONS = 1000
/** Residual of an eigenvector as a share of the largest eigenvalue. */
const TOLERANCE = 1e-13

export interface Components {
  /** The directions, [count, N], each of norm 1. Its entry of the largest size is positive. */
  directions: Float64Array[]
  /** The share of the variance along each direction. */
  shares: number[]
  /** The mean of each neuron, (N,). */
  means: Float64Array
}

/** Return the values [N, T] of every `stride`-th step without their means, as [T', N]. */
function centred(values: ArrayLike<number>, neurons: number, steps: number, stride: number, means: Float64Array) {
  const used = Math.ceil(steps / stride)
  const rows = new Float64Array(used * neurons)
  for (let n = 0; n < neurons; n++) {
    let sum = 0
    for (let k = 0; k < used; k++) sum += values[n * steps + k * stride]!
    means[n] = sum / used
    for (let k = 0; k < used; k++) rows[k * neurons + n] = values[n * steps + k * stride]! - means[n]!
  }
  return { rows, used }
}

/** Return the products of all pairs of rows of a matrix (R, C), as (R, R). */
function gram(matrix: Float64Array, rows: number, columns: number): Float64Array {
  const products = new Float64Array(rows * rows)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0
      for (let a = i * columns, b = j * columns; a < (i + 1) * columns; a++, b++) sum += matrix[a]! * matrix[b]!
      products[i * rows + j] = products[j * rows + i] = sum
    }
  return products
}

function transposed(matrix: Float64Array, rows: number, columns: number): Float64Array {
  const result = new Float64Array(matrix.length)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = matrix[i * columns + j]!
  return result
}

const dot = (a: Float64Array, b: Float64Array): number => {
  let sum = 0
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!
  return sum
}

/** Make vectors orthonormal in place, each orthogonalised twice; one that depends on the former ones becomes 0. */
function orthonormalize(vectors: Float64Array[]): void {
  vectors.forEach((vector, k) => {
    const before = Math.sqrt(dot(vector, vector))
    for (let pass = 0; pass < 2; pass++)
      for (const former of vectors.slice(0, k)) {
        const share = dot(vector, former)
        for (let i = 0; i < vector.length; i++) vector[i]! -= share * former[i]!
      }
    const norm = Math.sqrt(dot(vector, vector))
    const scale = norm > 1e-14 * before ? 1 / norm : 0
    for (let i = 0; i < vector.length; i++) vector[i]! *= scale
  })
}

/** Return the eigenvectors of a small symmetric matrix (n, n), the largest eigenvalue first: cyclic Jacobi rotations. */
function jacobi(matrix: Float64Array, n: number): { values: number[]; vectors: Float64Array[] } {
  const a = matrix.slice()
  const v = new Float64Array(n * n)
  for (let i = 0; i < n; i++) v[i * n + i] = 1
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0
    let all = 0
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        all += a[i * n + j]! ** 2
        if (i !== j) off += a[i * n + j]! ** 2
      }
    if (off <= 1e-32 * all) break
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        const apq = a[p * n + q]!
        if (apq === 0) continue
        const theta = (a[q * n + q]! - a[p * n + p]!) / (2 * apq)
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1))
        const c = 1 / Math.hypot(t, 1)
        rotate(a, v, n, p, q, c, t * c)
      }
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => a[j * n + j]! - a[i * n + i]!)
  return {
    values: order.map((i) => a[i * n + i]!),
    vectors: order.map((i) => Float64Array.from({ length: n }, (_, row) => v[row * n + i]!)),
  }
}

/** Rotate rows and columns p and q of a symmetric matrix, and the columns of the rotations so far. */
function rotate(a: Float64Array, v: Float64Array, n: number, p: number, q: number, c: number, s: number): void {
  for (const [matrix, byColumn] of [
    [a, true],
    [a, false],
    [v, true],
  ] as const)
    for (let k = 0; k < n; k++) {
      const i = byColumn ? k * n + p : p * n + k
      const j = byColumn ? k * n + q : q * n + k
      const [x, y] = [matrix[i]!, matrix[j]!]
      matrix[i] = c * x - s * y
      matrix[j] = s * x + c * y
    }
}

/**
 * Return the leading eigenvectors of a symmetric matrix (n, n) without negative eigenvalues: iteration of a block of
 * vectors, each time turned into the eigenvectors of the matrix on their span.
 */
function leadingEigenvectors(matrix: Float64Array, n: number, count: number) {
  const size = Math.min(n, BLOCK)
  const times = (vector: Float64Array): Float64Array =>
    Float64Array.from({ length: n }, (_, i) => dot(matrix.subarray(i * n, (i + 1) * n), vector))
  // Any start that is not orthogonal to the result will do; this one is always the same.
  let block: Float64Array[] = Array.from({ length: size }, (_, k) =>
    Float64Array.from({ length: n }, (_, i) => (n === size ? Number(i === k) : Math.cos((i + 1) * (k + 1) * 1.7 + k))),
  )
  let values: number[] = []
  for (let iteration = 0; iteration < MAX_ITERATIONS; iteration++) {
    orthonormalize(block)
    const images = block.map(times)
    const small = Float64Array.from({ length: size * size }, (_, k) =>
      dot(block[Math.floor(k / size)]!, images[k % size]!),
    )
    const ritz = jacobi(small, size)
    const combine = (vectors: Float64Array[], by: Float64Array): Float64Array =>
      Float64Array.from({ length: n }, (_, i) => vectors.reduce((sum, vector, k) => sum + by[k]! * vector[i]!, 0))
    const turned = ritz.vectors.map((by) => combine(block, by))
    const turnedImages = ritz.vectors.map((by) => combine(images, by))
    values = ritz.values
    const isDone = turned
      .slice(0, count)
      .every((vector, k) =>
        turnedImages[k]!.every((y, i) => Math.abs(y - values[k]! * vector[i]!) <= TOLERANCE * values[0]!),
      )
    block = turned
    if (isDone) break
    block = turnedImages
  }
  orthonormalize(block)
  return { values: values.slice(0, count), vectors: block.slice(0, count) }
}

/**
 * Return the first principal components of the values [N, T] of neurons.
 *
 * They are the right singular vectors of the steps without their mean. Computed on every `stride`-th step; the smaller
 * one of the two matrices of products is used.
 *
 * @param count the number of components; fewer if there are fewer neurons or directions that vary
 */
export function principalComponents(values: ArrayLike<number>, steps: number, count = 2, stride = 1): Components {
  const neurons = steps ? values.length / steps : 0
  const means = new Float64Array(neurons)
  const { rows, used } = centred(values, neurons, steps, stride, means)
  let total = 0
  for (const value of rows) total += value * value
  const finish = (directions: Float64Array[], eigenvalues: number[]): Components => {
    const some = eigenvalues.flatMap((value, k) => (value > 1e-20 * total && total > 0 ? [k] : []))
    return {
      directions: some.map((k) => signed(directions[k]!)),
      shares: some.map((k) => eigenvalues[k]! / total),
      means,
    }
  }
  if (!total || !Number.isFinite(total)) return finish([], [])
  if (neurons <= used) {
    const matrix = gram(transposed(rows, used, neurons), neurons, used)
    const { values: eigenvalues, vectors } = leadingEigenvectors(matrix, neurons, Math.min(count, neurons))
    return finish(vectors, eigenvalues)
  }
  const { values: eigenvalues, vectors } = leadingEigenvectors(gram(rows, used, neurons), used, Math.min(count, used))
  const directions = vectors.map((vector) => {
    const direction = new Float64Array(neurons)
    for (let k = 0; k < used; k++)
      for (let n = 0; n < neurons; n++) direction[n]! += vector[k]! * rows[k * neurons + n]!
    const norm = Math.sqrt(dot(direction, direction)) || 1
    return direction.map((value) => value / norm)
  })
  return finish(directions, eigenvalues)
}

/** Turn a direction so that its entry of the largest size is positive; of equal ones the first. */
function signed(direction: Float64Array): Float64Array {
  let largest = 0
  direction.forEach((value, k) => {
    if (Math.abs(value) > Math.abs(direction[largest]!) * (1 + 1e-9)) largest = k
  })
  return direction[largest]! < 0 ? direction.map((value) => -value) : direction
}

/** Return the coordinates of every step along a direction, (T,). */
export function projections(values: ArrayLike<number>, steps: number, { means }: Components, direction: Float64Array) {
  const result = new Float64Array(steps)
  direction.forEach((weight, n) => {
    for (let t = 0; t < steps; t++) result[t]! += weight * (values[n * steps + t]! - means[n]!)
  })
  return result
}
