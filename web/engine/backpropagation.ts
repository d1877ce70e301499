// How strongly each prediction depends on each input: the norm of the derivative of its loss, carried back through layers
// and steps by the forward derivatives of the equations.
//
// T step, R loss that is carried back as a row of its own, N neuron, I input.
import { addRow, lossGradient } from './head-gradient'
import { type Slopes, slopesOf } from './jacobians'
import type { Network } from './network'
import type { Sequence } from './recording'
import type { Place } from './forward-derivatives'

export interface Saliency {
  /** -log p(target) of each loss, in nats, (R,). */
  losses: Float64Array
  /** The norm of the derivative of each loss by the input vector of each step, (R, T). */
  norms: Float64Array
}

/** Return the dependence of the losses after some steps of a sequence on its inputs. The steps ascend. */
export function saliencyOf(network: Network, sequence: Sequence, places: readonly number[]): Saliency {
  const { levels, layers, inputs } = network.configuration
  const { steps } = sequence
  const losses = new Float64Array(places.length)
  const norms = new Float64Array(places.length * steps)
  let above = new Float64Array(steps * places.length * inputs.at(-1)!)
  for (const [row, step] of places.entries()) {
    const { loss, gradient } = lossGradient(network.readout, hiddenOf(network, sequence, step), sequence.targets[step]!)
    losses[row] = loss
    above.set(gradient, (step * places.length + row) * gradient.length)
  }
  for (const level of levels.toReversed()) {
    const width = inputs[level[0]!]!
    const below = level === levels[0] ? null : new Float64Array(steps * places.length * width)
    const column = (k: number): number =>
      level.slice(0, level.indexOf(k)).reduce((sum, other) => sum + layers[other]!.neurons, 0)
    const deltas = level.map((k) => new LayerBack(network, sequence, k, places).run(above, column(k)))
    for (let step = 0; step < steps; step++)
      for (let row = 0; row < places.length; row++) {
        const place = step * places.length + row
        const vector = below ? below.subarray(place * width, (place + 1) * width) : new Float64Array(width)
        for (const [j, k] of level.entries()) {
          const { inputWeights } = network.parameters[k]!
          const size = layers[k]!.cell.inputDrives.length * layers[k]!.neurons
          // The drives of all neurons are the rows of the input weights.
          for (let n = 0; n < size; n++)
            addRow(vector, 0, deltas[j]![place * size + n]!, inputWeights, n * width, width)
        }
        if (!below) norms[row * steps + step] = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
      }
    if (below) above = below
  }
  return { losses, norms }
}

/** Return the hidden states of the highest level after a step, side by side. */
function hiddenOf({ configuration: { levels, layers } }: Network, sequence: Sequence, step: number): Float64Array {
  return Float64Array.from(
    levels.at(-1)!.flatMap((k) => {
      const { neurons } = layers[k]!
      return [...sequence.layers[k]!.get('h')!.subarray(step * neurons, (step + 1) * neurons)]
    }),
  )
}

/** Carries the gradients of all losses through the steps of one layer, against its reading order. */
class LayerBack {
  readonly #slopes: Slopes
  readonly #places: Place[]
  /** The number of losses. */
  readonly #rows: number
  #arrived: Map<string, Float64Array>
  #earlier: Map<string, Float64Array>
  readonly #delta: Float64Array

  constructor(
    readonly network: Network,
    readonly sequence: Sequence,
    readonly layer: number,
    readonly places: readonly number[],
  ) {
    const { neurons } = network.configuration.layers[layer]!
    this.#slopes = slopesOf(network, layer, sequence).slopes
    this.#places = [...new Set([...this.#slopes.values()].flatMap((row) => [...row.keys()]))]
    this.#rows = places.length
    const empty = (): Map<string, Float64Array> =>
      new Map([...this.#slopes.keys()].map((state) => [state, new Float64Array(places.length * neurons)]))
    this.#arrived = empty()
    this.#earlier = empty()
    this.#delta = new Float64Array(neurons)
  }

  /**
   * Return the gradients by the input drives, (T, R, G · N).
   *
   * `above` has the gradients by the outputs of the level, (T, R, width), of which this layer has the columns from
   * `column` on.
   */
  run(above: Float64Array, column: number): Float64Array {
    const { layers, bothWays } = this.network.configuration
    const { cell, neurons, reverse } = layers[this.layer]!
    const { steps } = this.sequence
    const width = above.length / (steps * this.#rows)
    const deltas = new Float64Array(steps * this.#rows * cell.inputDrives.length * neurons)
    for (let k = 0; k < steps; k++) {
      const step = reverse ? k : steps - 1 - k
      // A layer that reads forward acts on later losses only.
      const first = bothWays ? 0 : this.places.findIndex((place) => place >= step)
      for (let row = first < 0 ? this.#rows : first; row < this.#rows; row++) {
        const from = (step * this.#rows + row) * width + column
        const h = this.#arrived.get('h')!
        for (let n = 0; n < neurons; n++) h[row * neurons + n]! += above[from + n]!
        this.#back(step, row, deltas)
      }
      ;[this.#arrived, this.#earlier] = [this.#earlier, this.#arrived]
      for (const values of this.#earlier.values()) values.fill(0)
    }
    return deltas
  }

  /** Carry the gradients of one loss from the states after a step to its drives and to the states before it. */
  #back(step: number, row: number, deltas: Float64Array): void {
    const { cell, neurons } = this.network.configuration.layers[this.layer]!
    const { recurrentWeights } = this.network.parameters[this.layer]!
    const [at, drives] = [row * neurons, cell.inputDrives.length]
    for (const place of this.#places) {
      if (place.kind === 'signal' || place.kind === 'parameter') continue
      const delta = this.#delta.fill(0)
      for (const [state, slopes] of this.#slopes) {
        const slope = slopes.get(place)
        const arrived = this.#arrived.get(state)!
        if (slope) for (let n = 0; n < neurons; n++) delta[n]! += slope[step * neurons + n]! * arrived[at + n]!
      }
      const name = place.label.slice('x.'.length)
      if (place.kind === 'state') addRow(this.#earlier.get(place.label)!, at, 1, delta, 0, neurons)
      else if (place.label.startsWith('x.'))
        deltas.set(delta, ((step * this.#rows + row) * drives + cell.inputDrives.indexOf(name)) * neurons)
      else {
        const matrix = cell.recurrentDrives.indexOf(name) * neurons * neurons
        const h = this.#earlier.get('h')!
        for (let n = 0; n < neurons; n++) addRow(h, at, delta[n]!, recurrentWeights, matrix + n * neurons, neurons)
      }
    }
  }
}
