// The weights of one layer as they arrive: what its neurons read, and what reads them.
import { readTensors } from './safetensors'

export type MatrixKind = 'input' | 'recurrent' | 'readout' | 'above'

/** One matrix of weights. Entry [row * columns + column] leads from a column to a row. */
export interface Matrix {
  /** What it connects: its inputs, its neurons, the outputs, or the layer above. */
  kind: MatrixKind
  /** The drive; empty for the readout. */
  gate: string
  /** The layer whose drive it is, if that is the layer above. */
  above: string | null
  rows: number
  columns: number
  values: Float32Array
}

export interface LayerMatrices {
  matrices: Matrix[]
  /** The biases of the neurons by the drive. */
  biases: ReadonlyMap<string, Float32Array>
  /** What the columns of the input weights are, and their names. */
  reads: 'symbols' | 'numbers' | 'neurons'
  inputs: string[]
  /** Whether the weights of a symbol are those of its vector. */
  embedded: boolean
  /** The names of the rows of the readout, which may be hidden units. */
  outputs: string[]
  hidden: boolean
  /** The training step of the weights. */
  step: number
}

/** Read the weights of a layer. Throws a TraceError if the answer is damaged. */
export function readMatrices(bytes: ArrayBuffer): LayerMatrices {
  const { metadata, tensors } = readTensors(bytes)
  const matrices: Matrix[] = []
  const biases = new Map<string, Float32Array>()
  // The order of an answer is that of its names, not that of the drives.
  const names = metadata['arrays'] ? (JSON.parse(metadata['arrays']) as string[]) : [...tensors.keys()]
  for (const name of names) {
    const { shape = [], data } = tensors.get(name) ?? {}
    const [kind = '', ...rest] = name.split('.')
    if (kind === 'bias') biases.set(rest.join('.'), data as Float32Array)
    if (shape.length !== 2) continue
    const above = kind === 'above' ? rest.slice(0, -1).join('.') : null
    const gate = rest.at(-1) ?? ''
    const [rows = 0, columns = 0] = shape
    matrices.push({ kind: kind as MatrixKind, gate, above, rows, columns, values: data as Float32Array })
  }
  return {
    matrices,
    biases,
    reads: (metadata['reads'] ?? 'symbols') as LayerMatrices['reads'],
    inputs: JSON.parse(metadata['inputs'] ?? '[]') as string[],
    embedded: metadata['embedded'] === 'true',
    outputs: JSON.parse(metadata['outputs'] ?? '[]') as string[],
    hidden: metadata['hidden'] === 'true',
    step: Number(metadata['step'] ?? 0),
  }
}
