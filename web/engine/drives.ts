// The request for one layer over the steps of a batch, and the products of its drives.
//
// T step, B row of the batch, I input, N neuron, G input drive, R recurrent drive, P parameter.
import { multiply, type Precision, type Values, zeros } from './arrays'
import type { Cell } from './cell'
import { EngineError } from './errors'

/** The weights of one layer, in the order of the cell's drives and parameters. */
export interface Parameters {
  precision: Precision
  neurons: number
  inputs: number
  /** (G, N, I), (G, N), (R, N, N) with [to, from], and (P, N). */
  inputWeights: Values
  biases: Values
  recurrentWeights: Values
  neuronWeights: Values
}

/** What a layer reads: ids (T, B) of one-hot vectors, or vectors (T, B, I). */
export interface Inputs {
  steps: number
  rows: number
  ids: Int32Array | null
  vectors: Values | null
  /** The number of steps of each row; null: all T. */
  lengths: Int32Array | null
}

export interface LayerRequest {
  cell: Cell
  parameters: Parameters
  inputs: Inputs
  /** The states before the first step, (B, N) each; null: 0. */
  state: ReadonlyMap<string, Values> | null
  /** Whether each row is read from its end. */
  reverse: boolean
  /** The signals and drives to return. */
  keep: readonly string[]
  /** The number of the first step, as changes count. */
  first: number
}

export interface LayerResult {
  /** (T, B, N) each, 0 after the end of a row. */
  values: Map<string, Values>
  /** The states after the last step of each row, (B, N) each. */
  state: Map<string, Values>
}

/** The most numbers of one array, so that a request cannot exhaust the memory. */
export const MAX_ARRAY_VALUES = 1 << 28

/** Return a result with arrays of zeros. */
export function emptyResult({ keep, inputs, parameters }: LayerRequest, state: Map<string, Values>): LayerResult {
  const size = inputs.steps * inputs.rows * parameters.neurons
  if (size * Math.max(1, keep.length) > MAX_ARRAY_VALUES)
    throw new EngineError('ENGINE_STEPS_TOO_MANY', { steps: inputs.steps, neurons: parameters.neurons })
  return { values: new Map(keep.map((name) => [name, zeros(parameters.precision, size)])), state }
}

/** Write x.k = W.k · input + b.k of one step, (B, N), for the input drive number `drive`. */
export function writeInputDrive(
  { parameters, inputs }: LayerRequest,
  drive: number,
  t: number,
  out: Values,
  at: number,
): void {
  const { neurons, inputs: count, inputWeights, biases } = parameters
  const matrix = drive * neurons * count
  for (let row = 0; row < inputs.rows; row++) {
    const place = at + row * neurons
    if (inputs.ids === null) {
      const x = (t * inputs.rows + row) * count
      multiply(inputWeights, matrix, neurons, count, inputs.vectors!, x, biases, drive * neurons, out, place)
      continue
    }
    // An id that is not a symbol stands for the zero vector.
    const id = inputs.ids[t * inputs.rows + row]!
    const known = id >= 0 && id < count
    for (let n = 0; n < neurons; n++)
      out[place + n] = biases[drive * neurons + n]! + (known ? inputWeights[matrix + n * count + id]! : 0)
  }
}

/** Write u.k = U.k · h of one step, (B, N), for the recurrent drive number `drive`. */
export function multiplyDrives(
  { neurons, recurrentWeights }: Parameters,
  drive: number,
  rows: number,
  h: Values,
  from: number,
  out: Values,
  at: number,
): void {
  for (let row = 0; row < rows; row++)
    multiply(
      recurrentWeights,
      drive * neurons * neurons,
      neurons,
      neurons,
      h,
      from + row * neurons,
      null,
      0,
      out,
      at + row * neurons,
    )
}
