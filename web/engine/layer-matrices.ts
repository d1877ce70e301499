// The weights of one layer by name: what its neurons read, and what reads them.
//
// Requests and answers are those of src/gatescope/explorer/layer_matrices.py.
import type { Values } from './arrays'
import { EngineError, shown } from './errors'
import type { Network } from './network'
import { type Tensor, writeTensors } from './tensors'

export interface MatricesRequest {
  layer: string
}

/** Answer a request for the weights of a layer. Throws an EngineError if there is no such layer. */
export function layerMatrices(network: Network, { layer }: MatricesRequest): ArrayBuffer {
  const { names, layers, levels } = network.configuration
  const k = names.indexOf(layer)
  if (k < 0) throw new EngineError('LAYER_UNKNOWN', { layer: shown(layer), layers: names.join(', ') })
  const level = levels.findIndex((level) => level.includes(k))
  const { cell, neurons } = layers[k]!
  const { inputs: width, inputWeights, recurrentWeights, biases, neuronWeights } = network.parameters[k]!
  const tensors = new Map<string, Tensor>()
  const put = (name: string, shape: number[], values: Values): void =>
    void tensors.set(name, { shape, data: Float32Array.from(values) })
  const embedding = level === 0 ? network.embedding : null
  cell.inputDrives.forEach((gate, g) => {
    const weights = inputWeights.subarray(g * neurons * width, (g + 1) * neurons * width)
    const read = embedding ? throughEmbedding(weights, embedding, neurons, width) : weights
    put(`input.${gate}`, [neurons, read.length / neurons], read)
    put(`bias.${gate}`, [neurons], biases.subarray(g * neurons, (g + 1) * neurons))
  })
  cell.recurrentDrives.forEach((gate, g) => {
    put(`recurrent.${gate}`, [neurons, neurons], recurrentWeights.subarray(g * neurons ** 2, (g + 1) * neurons ** 2))
  })
  cell.parameters.forEach((name, g) => {
    put(`neuron.${name}`, [neurons], neuronWeights.subarray(g * neurons, (g + 1) * neurons))
  })
  const offset = offsetOf(network, level, k)
  if (level + 1 < levels.length) {
    for (const above of levels[level + 1]!) {
      const { inputWeights: weights, inputs, neurons: rows } = network.parameters[above]!
      layers[above]!.cell.inputDrives.forEach((gate, g) => {
        const matrix = weights.subarray(g * rows * inputs, (g + 1) * rows * inputs)
        put(`above.${names[above]}.${gate}`, [rows, neurons], columns(matrix, inputs, offset, neurons))
      })
    }
  } else {
    const { weights, biases: own } = network.readout[0]!
    put('readout', [own.length, neurons], columns(weights, weights.length / own.length, offset, neurons))
  }
  return writeTensors({ metadata: metadataOf(network, level), tensors })
}

/** Return the first input that a layer is to the level above it, which reads all directions side by side. */
const offsetOf = ({ configuration: { layers, levels } }: Network, level: number, k: number): number =>
  levels[level]!.slice(0, levels[level]!.indexOf(k)).reduce((sum, other) => sum + layers[other]!.neurons, 0)

/** Return some columns of a matrix with `width` columns. */
function columns(matrix: Values, width: number, first: number, count: number): Values {
  const rows = matrix.length / width
  return Float32Array.from({ length: rows * count }, (_, k) => {
    const row = Math.floor(k / count)
    return matrix[row * width + first + (k - row * count)]!
  })
}

/** Return the weights (N, V) of symbols whose vectors (V, E) are read by weights (N, E). */
function throughEmbedding(weights: Values, embedding: Values, neurons: number, width: number): Values {
  const symbols = embedding.length / width
  const result = new Float32Array(neurons * symbols)
  for (let n = 0; n < neurons; n++)
    for (let v = 0; v < symbols; v++) {
      let sum = 0
      for (let e = 0; e < width; e++) sum += weights[n * width + e]! * embedding[v * width + e]!
      result[n * symbols + v] = sum
    }
  return result
}

/** Return what the columns of the input weights are, and the rows of the readout. */
function metadataOf(network: Network, level: number): Record<string, string> {
  const { configuration } = network
  const { vocabulary, readout, hidden, layers, levels, names } = configuration
  const below = level > 0 ? levels[level - 1]! : []
  const neurons = below.flatMap((k) =>
    Array.from({ length: layers[k]!.neurons }, (_, n) => (below.length > 1 ? `${names[k]}.${n}` : String(n))),
  )
  const outputs =
    readout.kind !== 'symbols'
      ? readout.names.flatMap((name) =>
          readout.quantiles.length ? readout.quantiles.map((quantile) => `${name} q${quantile}`) : [name],
        )
      : vocabulary.symbols
  const units = hidden.length ? Array.from({ length: hidden[0]!.neurons }, (_, n) => `hidden0.${n}`) : outputs
  return {
    // Symbols, numbers, or neurons of the layer below.
    reads: level > 0 ? 'neurons' : vocabulary.unit === 'number' ? 'numbers' : 'symbols',
    embedded: String(level === 0 && network.embedding !== null),
    inputs: JSON.stringify(level > 0 ? neurons : vocabulary.symbols),
    outputs: JSON.stringify(level + 1 < levels.length ? [] : units),
    hidden: String(hidden.length > 0),
    step: String(network.step),
  }
}
