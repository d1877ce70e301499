// One recorded sequence: what each layer reads at a step, and the drives, which follow from it and from the weights.
//
// T step, S some steps in a row, I input, N neuron.
import { multiplySteps, type Values } from './arrays'
import type { Network, State } from './network'

/** One sequence as it was recorded. */
export interface Recorded {
  steps: number
  /** The ids, or the numbers (T, I). */
  inputs: Int32Array | Float32Array | Float64Array
  /** For each layer, signals, and drives if they are held, (T, N) or longer. */
  layers: ReadonlyMap<string, Values>[]
}

/** Return the states of every layer after the first steps of a sequence; null before the first one. */
export function stateAfter({ configuration }: Network, { layers }: Recorded, steps: number): State | null {
  if (!steps) return null
  return configuration.layers.map(({ cell, neurons }, k) => {
    const values = (name: string): Values => layers[k]!.get(name)!.subarray((steps - 1) * neurons, steps * neurons)
    return new Map(cell.states.map((name) => [name, values(name)]))
  })
}

/** Return a state at the step that was read before each of some steps, (S, N). */
export function stateBefore(
  network: Network,
  recorded: Recorded,
  k: number,
  state: string,
  first: number,
  steps: number,
): Float64Array {
  const { neurons, reverse } = network.configuration.layers[k]!
  const array = recorded.layers[k]!.get(state)!
  const values = new Float64Array(steps * neurons)
  for (let step = 0; step < steps; step++) {
    const before = reverse ? first + step + 1 : first + step - 1
    const own = network.initial[k]!.get(state)
    if (before >= 0 && before < recorded.steps)
      values.set(array.subarray(before * neurons, (before + 1) * neurons), step * neurons)
    else if (own) values.set(own, step * neurons)
  }
  return values
}

/** Return the vectors that a layer reads at some steps, (S, I); null for one-hot symbols. */
function vectorsOf(network: Network, recorded: Recorded, k: number, first: number, steps: number): Float64Array | null {
  const { configuration, embedding } = network
  const level = configuration.levels.findIndex((layers) => layers.includes(k))
  const width = configuration.inputs[k]!
  if (level > 0) {
    const vectors = new Float64Array(steps * width)
    let column = 0
    for (const lower of configuration.levels[level - 1]!) {
      const { neurons } = configuration.layers[lower]!
      const h = recorded.layers[lower]!.get('h')!
      for (let step = 0; step < steps; step++)
        vectors.set(h.subarray((first + step) * neurons, (first + step + 1) * neurons), step * width + column)
      column += neurons
    }
    return vectors
  }
  if (!(recorded.inputs instanceof Int32Array))
    return Float64Array.from(recorded.inputs.subarray(first * width, (first + steps) * width))
  if (embedding === null) return null
  const vectors = new Float64Array(steps * width)
  for (let step = 0; step < steps; step++) {
    const id = recorded.inputs[first + step]!
    if (id >= 0 && id < configuration.vocabulary.size)
      vectors.set(embedding.subarray(id * width, (id + 1) * width), step * width)
  }
  return vectors
}

/** The drives of one layer at some steps, computed from the weights with sums in float64. */
export class DrivesOfSteps {
  readonly #vectors: Float64Array | null
  readonly #hidden: Float64Array | null

  constructor(
    readonly network: Network,
    readonly recorded: Recorded,
    readonly layer: number,
    readonly first: number,
    readonly steps: number,
  ) {
    const { cell } = network.configuration.layers[layer]!
    this.#vectors = vectorsOf(network, recorded, layer, first, steps)
    this.#hidden = cell.recurrentDrives.length ? stateBefore(network, recorded, layer, 'h', first, steps) : null
  }

  /** Return a drive, such as "x.i", of all neurons, (S, N). */
  all(name: string): Float64Array {
    const { neurons } = this.network.configuration.layers[this.layer]!
    return this.#rows(name, 0, neurons)
  }

  /** Return a drive of one neuron, (S,). */
  ofNeuron(name: string, neuron: number): Float64Array {
    return this.#rows(name, neuron, 1)
  }

  #rows(name: string, neuron: number, rows: number): Float64Array {
    const { network, layer, steps } = this
    const { cell, neurons } = network.configuration.layers[layer]!
    const { inputs, inputWeights, biases, recurrentWeights } = network.parameters[layer]!
    const label = name.slice(2)
    const out = new Float64Array(steps * rows)
    if (name.startsWith('u.')) {
      const row = cell.recurrentDrives.indexOf(label) * neurons + neuron
      multiplySteps(recurrentWeights, row * neurons, rows, neurons, this.#hidden!, steps, out)
      return out
    }
    const row = cell.inputDrives.indexOf(label) * neurons + neuron
    if (this.#vectors) multiplySteps(inputWeights, row * inputs, rows, inputs, this.#vectors, steps, out)
    else this.#readSymbols(inputWeights, row, rows, inputs, out)
    for (let step = 0; step < steps; step++) for (let k = 0; k < rows; k++) out[step * rows + k]! += biases[row + k]!
    return out
  }

  /** Write the weights of the symbol of each step; one that is not known stands for the zero vector. */
  #readSymbols(weights: Values, row: number, rows: number, inputs: number, out: Float64Array): void {
    for (let step = 0; step < this.steps; step++) {
      const id = this.recorded.inputs[this.first + step]!
      if (id >= 0 && id < inputs)
        for (let k = 0; k < rows; k++) out[step * rows + k] = weights[(row + k) * inputs + id]!
    }
  }
}
