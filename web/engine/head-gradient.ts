// The loss of a predicted symbol, and its gradient by the inputs of the readout.
import { multiply, type Values } from './arrays'
import { ACTIVATIONS, erf, type Linear, SELU_ALPHA, SELU_SCALE } from './head'
import { sigmoid } from './operations'

/** Activation -> its derivative, from its argument and its result; with torch's choices at 0. */
export const ACTIVATION_SLOPES: ReadonlyMap<string, (x: number, y: number) => number> = new Map([
  ['none', () => 1],
  ['relu', (x) => (x > 0 ? 1 : 0)],
  ['tanh', (_x, y) => 1 - y * y],
  ['sigmoid', (_x, y) => y * (1 - y)],
  ['gelu', (x) => 0.5 * (1 + erf(x / Math.SQRT2)) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI)],
  ['leaky_relu', (x) => (x > 0 ? 1 : 0.01)],
  ['elu', (x) => (x > 0 ? 1 : Math.exp(x))],
  ['selu', (x) => SELU_SCALE * (x > 0 ? 1 : SELU_ALPHA * Math.exp(x))],
  ['silu', (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x)))],
  ['softplus', (x) => (x > 20 ? 1 : sigmoid(x))],
] as [string, (x: number, y: number) => number][])

/** Return -log p(target) in nats, and its gradient by the inputs of a chain of linear layers. */
export function lossGradient(
  layers: readonly Linear[],
  inputs: Values,
  target: number,
): { loss: number; gradient: Float64Array } {
  const slopes: Float64Array[] = []
  let values = Float64Array.from(inputs)
  for (const { weights, biases, activation } of layers) {
    const drives = new Float64Array(biases.length)
    multiply(weights, 0, biases.length, values.length, values, 0, biases, 0, drives, 0)
    const [apply, slope] = [ACTIVATIONS.get(activation)!, ACTIVATION_SLOPES.get(activation)!]
    values = drives.map((x) => apply(x))
    slopes.push(drives.map((x, k) => slope(x, values[k]!)))
  }
  const largest = values.reduce((most, value) => Math.max(most, value), -Infinity)
  const sum = values.reduce((total, value) => total + Math.exp(value - largest), 0)
  const loss = largest + Math.log(sum) - values[target]!
  let gradient = values.map((value, id) => Math.exp(value - largest) / sum - (id === target ? 1 : 0))
  for (const [k, { weights }] of [...layers.entries()].reverse()) {
    const width = weights.length / gradient.length
    const below = new Float64Array(width)
    gradient.forEach((value, row) => addRow(below, 0, value * slopes[k]![row]!, weights, row * width, width))
    gradient = below
  }
  return { loss, gradient }
}

/** Add a multiple of a row of weights to numbers from `at` on. */
export function addRow(
  out: Float64Array,
  at: number,
  factor: number,
  weights: Values,
  from: number,
  count: number,
): void {
  if (factor === 0) return
  for (let k = 0; k < count; k++) out[at + k]! += factor * weights[from + k]!
}
