// How fast a small change of the state grows over a whole sequence: the largest Lyapunov exponent, in nats per step.
//
// A random vector is carried along the sequence and scaled at every step, as in studies/gradients/growth.py.
import type { Jacobians } from './jacobians'
import { Generator } from './random'

/** Multiply the Jacobian of a step by a vector, (S, N): carry a small change before the step to after it. */
export function carry(jacobians: Jacobians, step: number, vector: Float64Array): Float64Array {
  const { neurons, states, terms, weights } = jacobians
  const moved = new Float64Array(vector.length)
  const products = new Map<string, Float64Array>()
  const h = states.indexOf('h') * neurons
  for (const [drive, matrix] of weights) {
    const product = new Float64Array(neurons)
    for (let row = 0; row < neurons; row++)
      for (let n = 0; n < neurons; n++) product[row]! += matrix[row * neurons + n]! * vector[h + n]!
    products.set(drive, product)
  }
  for (const { to, source, drive, factors } of terms) {
    const [out, from] = [states.indexOf(to) * neurons, states.indexOf(source) * neurons]
    for (let n = 0; n < neurons; n++) {
      const change = drive === null ? vector[from + n]! : products.get(drive)![n]!
      moved[out + n]! += factors[step * neurons + n]! * change
    }
  }
  return moved
}

/** Return the largest exponent of a layer along a sequence. */
export function lyapunovExponent(jacobians: Jacobians): number {
  const { steps, states, neurons } = jacobians
  const generator = new Generator(0, 'directions')
  let [vector] = scaled(Float64Array.from({ length: states.length * neurons }, () => generator.normal()))
  let growth = 0
  for (let step = 0; step < steps; step++) {
    const [next, size] = scaled(carry(jacobians, step, vector))
    vector = next
    growth += Math.log(size)
  }
  return growth / steps
}

/** Return a vector divided by its norm, and the norm. */
function scaled(vector: Float64Array): [Float64Array, number] {
  const size = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
  return [size ? vector.map((value) => value / size) : vector, size]
}
