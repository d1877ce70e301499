// The size of the derivative of the states after every step by those after every earlier one, for all pairs of steps.
//
// d state_t / d state_s is the product of the Jacobians of the steps s + 1 to t. Every column of the identity is carried
// from every step to all later ones, so the map is exact. Definitions as in studies/gradients/products.py.
//
// T step, N neuron, S state, M = S · N.
import { dominantEigenvalue, largestEigenvalue } from './eigenvalues'
import type { Jacobians } from './jacobians'
import { addGram, multiplyRows } from './matrices'
import { Generator } from './random'

const RESCALE_STEPS = 2
const MAX_EXPONENT = 12

/** Entry [t · T + s] is a natural logarithm; -Infinity if the derivative is 0, NaN if s > t. */
export interface ProductMap {
  /** The Frobenius norm, and for each state that of its rows. */
  norm: Float64Array
  byState: Float64Array[]
  /** The largest singular value. */
  largest: Float64Array
  /** The norm of the product of the direct terms alone, and of all other paths. */
  bypass: Float64Array
  rest: Float64Array
}

/** Return the map of a layer that carries a state. */
export function productMap(jacobians: Jacobians): ProductMap {
  const { steps, states } = jacobians
  const empty = (): Float64Array => new Float64Array(steps * steps).fill(NaN)
  const map: ProductMap = {
    norm: empty(),
    byState: states.map(empty),
    largest: empty(),
    bypass: empty(),
    rest: empty(),
  }
  const carried = new Carried(jacobians)
  for (let step = 0; step < steps; step++) {
    if (step) carried.advance(step)
    for (let start = 0; start <= step; start++) carried.measure(start, map, step * steps + start)
  }
  return map
}

/** The columns of the identity, carried from every step to the present one. */
class Carried {
  readonly #width: number
  /** For each state the columns of every start as rows, (T, M, N). */
  #now: Float64Array[]
  #spare: Float64Array[]
  /** The logarithm of the scale of each start. */
  readonly #logs: Float64Array
  /** [to · S + source] -> the diagonal of the product of the direct terms, (T, N); null if no direct path leads there. */
  #direct: (Float64Array | null)[]
  readonly #dense: Float64Array
  readonly #gram: Float64Array
  /** For each start the direction that grows most, (T, M). */
  readonly #directions: Float64Array

  constructor(readonly jacobians: Jacobians) {
    const { steps, neurons, states } = jacobians
    const count = states.length
    this.#width = count * neurons
    this.#now = states.map((_, state) => identity(steps, this.#width, neurons, state))
    this.#spare = this.#now.map((values) => values.slice())
    this.#logs = new Float64Array(steps)
    this.#direct = Array.from({ length: count * count }, (_, place) =>
      place % (count + 1) === 0 ? new Float64Array(steps * neurons).fill(1) : null,
    )
    this.#dense = new Float64Array(count * neurons * neurons)
    this.#gram = new Float64Array(this.#width ** 2)
    const generator = new Generator(0, 'directions')
    this.#directions = Float64Array.from({ length: steps * this.#width }, () => generator.normal())
  }

  /** Multiply the vectors of all earlier starts by the Jacobian of a step. */
  advance(step: number): void {
    const { neurons, states, weights, diagonals } = this.jacobians
    const rows = step * this.#width
    if (weights.size) {
      this.jacobians.writeDense(step, this.#dense)
      const h = this.#now[states.indexOf('h')]!
      this.#spare.forEach((out, to) => multiplyRows(h, rows, this.#dense.subarray(to * neurons ** 2), neurons, out))
    } else for (const out of this.#spare) out.fill(0, 0, rows * neurons)
    for (const { to, source, factors } of diagonals) {
      const [out, from] = [this.#spare[to]!, this.#now[source]!]
      for (let row = 0; row < rows * neurons; row += neurons)
        for (let n = 0; n < neurons; n++) out[row + n]! += factors[step * neurons + n]! * from[row + n]!
    }
    ;[this.#now, this.#spare] = [this.#spare, this.#now]
    this.#advanceDirect(step)
    if (step % RESCALE_STEPS === 0) for (let start = 0; start < step; start++) this.#rescale(start)
  }

  #advanceDirect(step: number): void {
    const { neurons, states, bypass } = this.jacobians
    const count = states.length
    const sums = this.#direct.map((values) => values && values.slice().fill(0, 0, step * neurons))
    for (let source = 0; source < count; source++)
      for (const { to, source: middle, factors } of bypass) {
        const before = this.#direct[middle * count + source]
        if (!before) continue
        const out = (sums[to * count + source] ??= new Float64Array(before.length))
        for (let place = 0; place < step * neurons; place++)
          out[place]! += factors[step * neurons + (place % neurons)]! * before[place]!
      }
    this.#direct = sums
  }

  /** Divide the vectors of a start by a power of 2 near their largest number, which loses no digit. */
  #rescale(start: number): void {
    const { neurons } = this.jacobians
    const [from, end] = [start * this.#width * neurons, (start + 1) * this.#width * neurons]
    let largest = 0
    for (const values of this.#now)
      for (let place = from; place < end; place++) largest = Math.max(largest, Math.abs(values[place]!))
    const exponent = largest > 0 && largest < Infinity ? Math.floor(Math.log2(largest)) + 1 : 0
    if (Math.abs(exponent) <= MAX_EXPONENT) return
    const factor = 2 ** -exponent
    for (const values of this.#now) for (let place = from; place < end; place++) values[place]! *= factor
    for (const values of this.#direct)
      if (values) for (let n = start * neurons; n < (start + 1) * neurons; n++) values[n]! *= factor
    this.#logs[start]! += exponent * Math.LN2
  }

  /** Write the sizes of the product from a start to the present step to a place of the map. */
  measure(start: number, map: ProductMap, place: number): void {
    const { neurons, states } = this.jacobians
    const log = this.#logs[start]!
    const toLog = (squared: number): number => Math.log(squared) / 2 + log
    let [norm, rest, direct] = [0, 0, 0]
    for (const [to, values] of this.#now.entries()) {
      const base = start * this.#width * neurons
      let size = 0
      for (let column = 0; column < this.#width; column++) {
        const [row, neuron] = [base + column * neurons, column % neurons]
        const [value, end] = [values[row + neuron]!, row + neurons]
        let others = 0
        for (let k = row; k < row + neuron; k++) others += values[k]! * values[k]!
        for (let k = row + neuron + 1; k < end; k++) others += values[k]! * values[k]!
        const diagonal = this.#direct[to * states.length + (column - neuron) / neurons]?.[start * neurons + neuron] ?? 0
        size += others + value * value
        rest += others + (value - diagonal) ** 2
        direct += diagonal * diagonal
      }
      map.byState[to]![place] = toLog(size)
      norm += size
    }
    map.norm[place] = toLog(norm)
    map.rest[place] = toLog(rest)
    map.bypass[place] = toLog(direct)
    map.largest[place] = toLog(Math.max(0, this.#largestSquared(start, norm)))
  }

  /** Return the square of the largest singular value, given the sum of the squares of all. */
  #largestSquared(start: number, sum: number): number {
    if (!(sum > 0 && sum < Infinity)) return sum
    const { neurons } = this.jacobians
    const size = this.#width * neurons
    const parts = this.#now.map((values) => values.subarray(start * size, (start + 1) * size))
    // The vector of the step before is near that of this step.
    const direction = this.#directions.subarray(start * this.#width, (start + 1) * this.#width)
    const dominant = dominantEigenvalue((vector) => this.#gramTimes(parts, vector), direction, sum)
    if (dominant !== null) return dominant
    this.#gram.fill(0)
    for (const part of parts) addGram(part, this.#width, neurons, this.#gram)
    return largestEigenvalue(this.#gram, this.#width)
  }

  /** Return the Gram matrix of some vectors, (M, N) for each state, times a vector (M,). */
  #gramTimes(parts: readonly Float64Array[], vector: Float64Array): Float64Array {
    const { neurons } = this.jacobians
    const product = new Float64Array(this.#width)
    const sum = new Float64Array(neurons)
    for (const part of parts) {
      sum.fill(0)
      for (let k = 0; k < this.#width; k++) {
        const factor = vector[k]!
        for (let n = 0; n < neurons; n++) sum[n]! += factor * part[k * neurons + n]!
      }
      for (let k = 0; k < this.#width; k++) {
        let along = 0
        for (let n = 0; n < neurons; n++) along += part[k * neurons + n]! * sum[n]!
        product[k]! += along
      }
    }
    return product
  }
}

/** Return the identity of every start, (T, M, N): the part of one state. */
function identity(steps: number, width: number, neurons: number, state: number): Float64Array {
  const values = new Float64Array(steps * width * neurons)
  for (let start = 0; start < steps; start++)
    for (let n = 0; n < neurons; n++) values[(start * width + state * neurons + n) * neurons + n] = 1
  return values
}
