// Gradients as they arrive: the map of all pairs of steps, connections of predictions, and chains of factors.
import { text } from '../messages/text'
import type { Expression } from './expression'
import { readTensors, TraceError } from './safetensors'

export interface Term {
  to: string
  source: string
  name: string
  direct: boolean
  formula: string
}

/** The map of one layer over one text. Entry [t · T + s] is the natural logarithm of a norm, or NaN. */
export interface PairMap {
  labels: string[]
  steps: number
  start: Uint8Array
  step: number
  states: string[]
  neurons: number
  exact: boolean
  vectors: number | null
  /** Pairs further apart than this were not computed; null if all were. */
  furthest: number | null
  exponent: number | null
  terms: Term[]
  norm: (state: string | null) => Float32Array
  largest: Float32Array
  bypass: Float32Array
  rest: Float32Array
  /** One row of T values for each term. */
  shares: Float32Array
}

export function readPairMap(bytes: ArrayBuffer): PairMap {
  const { metadata, tensors } = readTensors(bytes)
  const fromMetadata = <T>(name: string, otherwise: T): T =>
    name in metadata ? JSON.parse(metadata[name]!) : otherwise
  const array = (name: string): Float32Array =>
    (tensors.get(name)?.data as Float32Array | undefined) ?? new Float32Array()
  const labels = fromMetadata<string[]>('labels', [])
  if (array('norm').length !== labels.length ** 2)
    throw new TraceError(
      text('MAP_SIZE_WRONG', { expected: labels.length ** 2, steps: labels.length, entries: array('norm').length }),
    )
  return {
    labels,
    steps: labels.length,
    start: (tensors.get('start')?.data as Uint8Array | undefined) ?? new Uint8Array(),
    step: fromMetadata('step', 0),
    states: fromMetadata('states', []),
    neurons: fromMetadata('neurons', 0),
    exact: fromMetadata('exact', true),
    vectors: fromMetadata('vectors', null),
    furthest: fromMetadata('furthest', null),
    exponent: fromMetadata('exponent', null),
    terms: fromMetadata('terms', []),
    norm: (state) => array(state === null ? 'norm' : `norm.${state}`),
    largest: array('largest'),
    bypass: array('bypass'),
    rest: array('rest'),
    shares: array('shares'),
  }
}

/** The inputs that predictions depend on: one row of `steps` values for each step from `first` on. */
export interface Connections {
  first: number
  rows: number
  steps: number
  furthest: number
  values: Float32Array
  loss: Float32Array
}

export function readConnections(bytes: ArrayBuffer): Connections {
  const { metadata, tensors } = readTensors(bytes)
  const connections = tensors.get('connections')
  const loss = tensors.get('loss')
  if (!connections || !loss) throw new TraceError(text('CONNECTIONS_MISSING'))
  return {
    first: Number(metadata['first']),
    rows: connections.shape[0] ?? 0,
    steps: connections.shape[1] ?? 0,
    furthest: Number(metadata['furthest']),
    values: connections.data as Float32Array,
    loss: loss.data as Float32Array,
  }
}

/** Return the row of one step; null if the answer does not cover it. */
export function connectionsOf(connections: Connections, step: number): Float32Array | null {
  const row = step - connections.first
  return row >= 0 && row < connections.rows
    ? connections.values.subarray(row * connections.steps, (row + 1) * connections.steps)
    : null
}

export interface Chain {
  columns: { step: number[]; direct: number[]; product: number[]; whole: (number | null)[] } & Record<
    string,
    (number | null)[]
  >
  direct: { formula: string; expression: Expression }[]
  values: Record<string, number[]>
  through: Record<string, string>
  about: { layer: string; state: string; neuron: number; after: number; before: number }
}
