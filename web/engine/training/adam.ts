// Adam, and the clipping of gradients, as torch.optim.Adam and torch.nn.utils.clip_grad_norm_ compute them.
//
// Source: D. P. Kingma and J. Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1.
import { type Values, zeros } from '../arrays'

const BETA1 = 0.9
const BETA2 = 0.999
const EPSILON = 1e-8
const CLIP_EPSILON = 1e-6 // added to the norm, so that a gradient of 0 is not divided by 0

/** The moments of the gradient of all weights. */
export class Adam {
  readonly mean: Values
  readonly square: Values
  /** The number of updates so far. */
  step = 0

  constructor(size: number, precision: 'float32' | 'float64') {
    this.mean = zeros(precision, size)
    this.square = zeros(precision, size)
  }

  /** Update the weights in place. */
  update(weights: Values, gradients: Values, learningRate: number): void {
    this.step++
    const size = learningRate / (1 - BETA1 ** this.step)
    const scale = Math.sqrt(1 - BETA2 ** this.step)
    const { mean, square } = this
    for (let k = 0; k < weights.length; k++) {
      const gradient = gradients[k]!
      mean[k]! += (1 - BETA1) * (gradient - mean[k]!)
      square[k] = BETA2 * square[k]! + (1 - BETA2) * gradient * gradient
      weights[k]! -= (size * mean[k]!) / (Math.sqrt(square[k]!) / scale + EPSILON)
    }
  }
}

/** Scale gradients down to a norm, in place; return the norm before. */
export function clipNorm(gradients: Values, most: number): number {
  let sum = 0
  for (const value of gradients) sum += value * value
  const norm = Math.sqrt(sum)
  const factor = most / (norm + CLIP_EPSILON)
  if (factor < 1) for (let k = 0; k < gradients.length; k++) gradients[k]! *= factor
  return norm
}
