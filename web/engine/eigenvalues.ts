// The largest eigenvalue of a symmetric matrix: Householder's tridiagonal form, then bisection with Sturm's sequence; or,
// for a matrix of which one eigenvalue is larger than all others together, a few steps of Lanczos' method.
//
// Source: Golub and Van Loan, "Matrix Computations", 4th edition (2013), sections 8.3, 8.4 and 10.1.

const BISECTIONS = 64
const LANCZOS_STEPS = 4
const LANCZOS_ROUNDS = 3
/** The largest relative error of an eigenvalue by Lanczos' method. */
const LANCZOS_ERROR = 1e-13

/** Return the largest eigenvalue of a symmetric matrix (M, M), of which the lower half is read. It is overwritten. */
export function largestEigenvalue(matrix: Float64Array, size: number): number {
  return largestOfTridiagonal(...tridiagonal(matrix, size))
}

/** Return the largest eigenvalue of a tridiagonal matrix, from its diagonal and the squared numbers beside it. */
function largestOfTridiagonal(diagonal: Float64Array, squares: Float64Array): number {
  const size = diagonal.length
  let [low, high] = [-Infinity, -Infinity]
  for (let k = 0; k < size; k++) {
    const beside = Math.sqrt(squares[k] ?? 0) + (k ? Math.sqrt(squares[k - 1]!) : 0)
    low = Math.max(low, diagonal[k]!)
    high = Math.max(high, diagonal[k]! + beside)
  }
  // The largest eigenvalue lies between the largest number of the diagonal and Gershgorin's bound.
  for (let k = 0; k < BISECTIONS && high > low; k++) {
    const middle = (low + high) / 2
    if (middle <= low || middle >= high) break
    if (isAbove(middle, diagonal, squares)) high = middle
    else low = middle
  }
  return high
}

/** Whether a number is above all eigenvalues of a tridiagonal matrix. */
function isAbove(value: number, diagonal: Float64Array, squares: Float64Array): boolean {
  let pivot = diagonal[0]! - value
  for (let k = 1; pivot < 0 && k < diagonal.length; k++) pivot = diagonal[k]! - value - squares[k - 1]! / pivot
  return pivot < 0
}

/** Return the diagonal and the squared numbers beside it of a tridiagonal matrix with the same eigenvalues. */
function tridiagonal(a: Float64Array, size: number): [Float64Array, Float64Array] {
  const [diagonal, squares] = [new Float64Array(size), new Float64Array(Math.max(0, size - 1))]
  const [v, p] = [new Float64Array(size), new Float64Array(size)]
  for (let k = 0; k < size - 1; k++) {
    diagonal[k] = a[k * size + k]!
    let sum = 0
    for (let i = k + 1; i < size; i++) {
      v[i] = a[i * size + k]!
      sum += v[i]! * v[i]!
    }
    squares[k] = sum
    if (sum === 0 || k === size - 2) continue
    const head = v[k + 1]!
    v[k + 1] = head + (head < 0 ? -1 : 1) * Math.sqrt(sum)
    const scale = 2 / (sum - head * head + v[k + 1]! * v[k + 1]!)
    reflect(a, size, k + 1, v, p, scale)
  }
  diagonal[size - 1] = a[size * size - 1]!
  return [diagonal, squares]
}

/** Apply the reflection I - scale · v vᵀ to the rows and columns from `first` on of a symmetric matrix. */
function reflect(a: Float64Array, size: number, first: number, v: Float64Array, p: Float64Array, scale: number): void {
  p.fill(0)
  for (let i = first; i < size; i++) {
    const row = i * size
    const vi = v[i]!
    let sum = a[row + i]! * vi
    for (let j = first; j < i; j++) {
      const value = a[row + j]!
      sum += value * v[j]!
      p[j]! += value * vi
    }
    p[i]! += sum
  }
  let along = 0
  for (let i = first; i < size; i++) along += p[i]! * v[i]!
  const half = (scale * along) / 2
  for (let i = first; i < size; i++) p[i] = scale * (p[i]! - half * v[i]!)
  for (let i = first; i < size; i++) {
    const row = i * size
    const [vi, pi] = [v[i]!, p[i]!]
    for (let j = first; j <= i; j++) a[row + j]! -= vi * p[j]! + pi * v[j]!
  }
}

/**
 * Return the largest eigenvalue of a positive semidefinite matrix, if it is more than half of the sum of all; else null.
 *
 * A vector with Rayleigh quotient r and residual e proves an eigenvalue within e² / (r - s) of r, where s is a bound of
 * all others: what r leaves of the sum (Kato and Temple). So the result is the largest eigenvalue beyond doubt.
 *
 * `multiply` returns the product of the matrix and a vector; `vector` is where the search begins, and where it ended.
 */
export function dominantEigenvalue(
  multiply: (vector: Float64Array) => Float64Array,
  vector: Float64Array,
  sum: number,
): number | null {
  for (let round = 0; round < LANCZOS_ROUNDS; round++) {
    const { value, residual, direction } = lanczos(multiply, vector)
    vector.set(direction)
    const gap = 2 * value - sum
    if (gap > 0 && residual ** 2 <= LANCZOS_ERROR * value * gap) return value
    if (gap < -sum / 4) return null
  }
  return null
}

/** Return the largest Ritz value of a few steps of Lanczos' method, its vector, and the norm of the residual. */
function lanczos(
  multiply: (vector: Float64Array) => Float64Array,
  start: Float64Array,
): { value: number; residual: number; direction: Float64Array } {
  const [basis, diagonal, beside]: [Float64Array[], number[], number[]] = [[scaled(start, norm(start))], [], []]
  for (let step = 0; step < LANCZOS_STEPS; step++) {
    const product = multiply(basis[step]!)
    diagonal.push(dot(product, basis[step]!))
    // Twice, because rounding leaves a part of the earlier vectors.
    for (const earlier of [...basis, ...basis]) add(product, -dot(product, earlier), earlier)
    const size = norm(product)
    beside.push(size)
    if (size <= Number.EPSILON * diagonal[0]!) break
    basis.push(scaled(product, size))
  }
  const count = diagonal.length
  const value = largestOfTridiagonal(
    Float64Array.from(diagonal),
    Float64Array.from(beside.slice(0, -1), (size) => size ** 2),
  )
  const weights = [1]
  for (let k = 0; k + 1 < count; k++)
    weights.push(((value - diagonal[k]!) * weights[k]! - (k ? beside[k - 1]! * weights[k - 1]! : 0)) / beside[k]!)
  const size = Math.hypot(...weights)
  const direction = new Float64Array(start.length)
  for (const [k, weight] of weights.entries()) add(direction, weight / size, basis[k]!)
  return { value, residual: (beside[count - 1]! * Math.abs(weights[count - 1]!)) / size, direction }
}

const norm = (vector: Float64Array): number => Math.sqrt(dot(vector, vector))
const scaled = (vector: Float64Array, size: number): Float64Array => vector.map((value) => value / size)

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!
  return sum
}

/** Add a multiple of a vector to another one. */
function add(out: Float64Array, factor: number, vector: Float64Array): void {
  for (let k = 0; k < out.length; k++) out[k]! += factor * vector[k]!
}
