// A network in training: predictions of a batch, and the gradients of all weights by back-propagation through time.
//
// T step, B row, P place (a step of a row that has a target), H inputs of the readout, V predicted value.
import { multiply, type Values, zeros } from '../arrays'
import type { BuiltinCell } from '../builtin-cells'
import type { Configuration } from '../configuration'
import type { Inputs } from '../drives'
import { EngineError } from '../errors'
import type { Kernels } from '../kernels'
import { embedded, sideBySide } from '../network'
import type { EngineName } from '../layer'
import type { LayerPass, LayerStates, TrainedLayer } from './layer-pass'
import { NativePass } from './native-pass'
import { PlainPass } from './plain-pass'
import type { Weights } from './weights'

/** For each layer, its states, (B, N) each. */
export type States = LayerStates[]

/** The sequences of a pass, and the places at which it predicts. */
export interface Steps {
  steps: number
  rows: number
  ids: Int32Array
  lengths: Int32Array | null
  /** t · B + b of each place, (P,). */
  places: Int32Array
}

/** A network whose weights are trained. */
export class TrainedNetwork {
  readonly layers: readonly (TrainedLayer & { builtin: BuiltinCell | null })[]

  /** Throws an EngineError for a network that cannot be trained here. */
  constructor(
    readonly configuration: Configuration,
    readonly weights: Weights,
    readonly kernels: Kernels | null,
    /** `auto` takes the native engine for the cells that the kernels have. */
    readonly engine: 'auto' | EngineName = 'auto',
  ) {
    const { layers, inputs, readout, hidden } = configuration
    if (readout.kind === 'numbers' || readout.reads !== 'every step')
      throw new EngineError('TRAINING_READOUT_UNSUPPORTED', { kind: readout.kind, reads: readout.reads })
    if (hidden.length) throw new EngineError('TRAINING_HIDDEN_UNSUPPORTED')
    this.layers = layers.map(({ cell, neurons, reverse }, number) => {
      const own = { cell, neurons, inputs: inputs[number]!, reverse, number }
      const builtin = engine === 'plain' ? null : (kernels?.cell(cell.key) ?? null)
      if (engine === 'native' && builtin === null) throw new EngineError('ENGINE_NATIVE_MISSING', { cell: cell.name })
      return { ...own, builtin }
    })
  }

  /** Return the states before the first step of each row. */
  initialStates(rows: number): States {
    return this.layers.map(({ cell, neurons, number }) => {
      const states = new Map<string, Values>()
      for (const name of cell.states) {
        const own = this.weights.initialState(number, name)
        const values = zeros(this.weights.precision, rows * neurons)
        for (let row = 0; own !== null && row < rows; row++) values.set(own, row * neurons)
        states.set(name, values)
      }
      return states
    })
  }

  /** The engine of each layer. */
  get engines(): EngineName[] {
    return this.layers.map(({ builtin }) => (builtin ? 'native' : 'plain'))
  }

  /** Run a layer. */
  runLayer(k: number, inputs: Inputs, before: LayerStates, store: boolean): LayerPass {
    const { weights, kernels } = this
    const layer = this.layers[k]!
    if (kernels && layer.builtin) return new NativePass(kernels, layer.builtin, layer, weights, inputs, before, store)
    return new PlainPass(layer, weights, inputs, before, store)
  }

  /** Run the network over a batch; call `free` of the pass when it is no longer needed. */
  run(steps: Steps, states: States | null, store: boolean): NetworkPass {
    return new NetworkPass(this, steps, states ?? this.initialStates(steps.rows), store)
  }
}

export class NetworkPass {
  readonly #passes: LayerPass[] = []
  /** The inputs of the readout at each place, (P, H). */
  readonly #top: Values
  /** (P, V). */
  readonly logits: Values
  /** The states after the last step of each row. */
  readonly final: States

  constructor(
    readonly network: TrainedNetwork,
    readonly batch: Steps,
    states: States,
    store: boolean,
  ) {
    const { weights, configuration, layers } = network
    const { steps, rows, lengths } = batch
    try {
      let reads: Inputs = { steps, rows, lengths, ...this.#inputs() }
      for (const level of configuration.levels) {
        for (const k of level) this.#passes.push(network.runLayer(k, reads, states[k]!, store))
        const sizes = level.map((k) => layers[k]!.neurons)
        const hidden = level.map((k) => this.#passes[k]!.hidden)
        reads = { ...reads, ids: null, vectors: sideBySide(hidden, sizes, steps * rows, weights.precision) }
      }
      this.final = this.#passes.map((pass) => pass.final)
      this.#top = this.#gathered(reads.vectors!)
      this.logits = this.#readOut()
    } catch (error) {
      this.free()
      throw error
    }
  }

  /** Write the gradients of all weights, from the gradient of the logits (P, V). */
  backward(dLogits: Values): void {
    const { configuration, layers } = this.network
    let dReads = this.#readOutBackward(dLogits)
    for (const level of [...configuration.levels].reverse()) {
      const sizes = level.map((k) => layers[k]!.neurons)
      const width = sizes.reduce((sum, size) => sum + size, 0)
      let from = 0
      let dBelow: Values | null = null
      for (const [j, k] of level.entries()) {
        const dVectors = this.#passes[k]!.backward(columns(dReads, width, from, sizes[j]!))
        from += sizes[j]!
        if (dBelow === null) dBelow = dVectors
        else if (dVectors !== null) for (let n = 0; n < dBelow.length; n++) dBelow[n]! += dVectors[n]!
      }
      if (dBelow === null) return // ids have no gradient
      dReads = dBelow
    }
    this.#embeddingBackward(dReads)
  }

  free(): void {
    for (const pass of this.#passes) pass.free()
  }

  /** Return the inputs of the lowest layers: ids, or their embeddings. */
  #inputs(): { ids: Int32Array | null; vectors: Values | null } {
    const { configuration, weights } = this.network
    const { ids } = this.batch
    if (configuration.embedding === null) return { ids, vectors: null }
    return { ids: null, vectors: embedded(ids, weights.value('embedding'), configuration.embedding) }
  }

  #embeddingBackward(dVectors: Values): void {
    const { configuration, weights } = this.network
    const [width, size] = [configuration.embedding!, configuration.vocabulary.size]
    const gradient = weights.gradient('embedding').fill(0)
    this.batch.ids.forEach((id, place) => {
      if (id < 0 || id >= size) return
      for (let k = 0; k < width; k++) gradient[id * width + k]! += dVectors[place * width + k]!
    })
  }

  /** Return the rows of the places from (T · B, H). */
  #gathered(hidden: Values): Values {
    const { places } = this.batch
    const width = this.network.configuration.inputs.at(-1)!
    const rows = zeros(this.network.weights.precision, places.length * width)
    places.forEach((place, k) => rows.set(hidden.subarray(place * width, (place + 1) * width), k * width))
    return rows
  }

  #readOut(): Values {
    const { weights, configuration } = this.network
    const [matrix, biases] = [weights.value('readout_weights'), weights.value('readout_biases')]
    const [outputs, width, places] = [configuration.predicted, configuration.inputs.at(-1)!, this.batch.places.length]
    const logits = zeros(weights.precision, places * outputs)
    for (let place = 0; place < places; place++)
      multiply(matrix, 0, outputs, width, this.#top, place * width, biases, 0, logits, place * outputs)
    return logits
  }

  /** Write the gradients of the readout; return that of its inputs at all steps, (T · B, H). */
  #readOutBackward(dLogits: Values): Values {
    const { weights, configuration } = this.network
    const { places, steps, rows } = this.batch
    const [outputs, width, count] = [configuration.predicted, configuration.inputs.at(-1)!, places.length]
    const [dMatrix, dBiases] = [weights.gradient('readout_weights'), weights.gradient('readout_biases')]
    // Every product is one of rows, with sums in double precision.
    const [byOutput, byInput] = [transposed(dLogits, count, outputs), transposed(this.#top, count, width)]
    const matrix = transposed(weights.value('readout_weights'), outputs, width)
    for (let v = 0; v < outputs; v++) {
      multiply(byInput, 0, width, count, byOutput, v * count, null, 0, dMatrix, v * width)
      let sum = 0
      for (let place = v * count; place < (v + 1) * count; place++) sum += byOutput[place]!
      dBiases[v] = sum
    }
    const dReads = zeros(weights.precision, steps * rows * width)
    for (let p = 0; p < count; p++)
      multiply(matrix, 0, width, outputs, dLogits, p * outputs, null, 0, dReads, places[p]! * width)
    return dReads
  }
}

/** Return the transpose of a matrix (rows, columns). */
function transposed(values: Values, rows: number, columns: number): Values {
  const result = zeros(values instanceof Float32Array ? 'float32' : 'float64', values.length)
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) result[column * rows + row] = values[row * columns + column]!
  return result
}

/** Return some columns of an array (rows, width); the array itself if these are all. */
function columns(values: Values, width: number, from: number, size: number): Values {
  if (size === width) return values
  const rows = values.length / width
  const part = values instanceof Float32Array ? new Float32Array(rows * size) : new Float64Array(rows * size)
  for (let row = 0; row < rows; row++)
    part.set(values.subarray(row * width + from, row * width + from + size), row * size)
  return part
}
