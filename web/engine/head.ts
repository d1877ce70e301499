// The readout: hidden layers, logits, and log-probabilities.
import { multiply, type Values, zeros } from './arrays'
import { sigmoid } from './operations'

export const SELU_SCALE = 1.0507009873554804934193349852946
export const SELU_ALPHA = 1.6732632423543772848170429916717

/** The error function, accurate to the last digits of a double: a series near 0, a continued fraction beyond. */
export function erf(x: number): number {
  const size = Math.abs(x)
  if (Number.isNaN(x)) return NaN
  if (size > 6) return Math.sign(x)
  if (size < 2.5) {
    // erf x = 2/sqrt(pi) · exp(-x²) · sum of 2ⁿ x^(2n+1) / (2n+1)!!: all terms have one sign.
    let [term, sum] = [x, x]
    for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (2 * x * x) / (2 * n + 1)
      sum += term
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
  }
  let fraction = 0
  for (let n = 60; n > 0; n--) fraction = n / 2 / (size + fraction)
  return Math.sign(x) * (1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / (size + fraction))
}

/** Name of an activation -> the function, with the default arguments of torch.nn; as in src/gatescope/head.py. */
export const ACTIVATIONS: ReadonlyMap<string, (x: number) => number> = new Map([
  ['none', (x) => x],
  ['relu', (x) => Math.max(x, 0)],
  ['tanh', Math.tanh],
  ['sigmoid', sigmoid],
  ['gelu', (x) => 0.5 * x * (1 + erf(x / Math.SQRT2))],
  ['leaky_relu', (x) => (x > 0 ? x : 0.01 * x)],
  ['elu', (x) => (x > 0 ? x : Math.expm1(x))],
  ['selu', (x) => SELU_SCALE * (x > 0 ? x : SELU_ALPHA * Math.expm1(x))],
  ['silu', (x) => x * sigmoid(x)],
  ['softplus', (x) => (x > 20 ? x : Math.log1p(Math.exp(x)))],
] as [string, (x: number) => number][])

export interface Linear {
  /** (outputs, inputs) and (outputs,). */
  weights: Values
  biases: Values
  activation: string
}

/** Return the values of a chain of linear layers with activations, (rows, outputs), from values (rows, inputs). */
export function readOut(layers: readonly Linear[], values: Values, rows: number): Values {
  let current = values
  for (const { weights, biases, activation } of layers) {
    const [outputs, inputs] = [biases.length, weights.length / biases.length]
    const precision = weights instanceof Float32Array ? 'float32' : 'float64'
    const next = zeros(precision, rows * outputs)
    for (let row = 0; row < rows; row++)
      multiply(weights, 0, outputs, inputs, current, row * inputs, biases, 0, next, row * outputs)
    const apply = ACTIVATIONS.get(activation)!
    current = activation === 'none' ? next : next.map((value) => apply(value))
  }
  return current
}

/** Replace logits (rows, V) by log-probabilities in nats, in place. */
export function toLogProbabilities(logits: Values, rows: number): void {
  const count = logits.length / Math.max(1, rows)
  for (let row = 0; row < rows; row++) {
    const from = row * count
    let largest = -Infinity
    for (let k = 0; k < count; k++) largest = Math.max(largest, logits[from + k]!)
    let sum = 0
    for (let k = 0; k < count; k++) sum += Math.exp(logits[from + k]! - largest)
    const total = largest + Math.log(sum)
    for (let k = 0; k < count; k++) logits[from + k]! -= total
  }
}
