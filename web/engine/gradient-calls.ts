// The calls of the page of gradients: the map of all pairs of steps, connections of predictions to inputs, and chains.
//
// Requests and answers are those of src/gatescope/explorer/gradients.py. An answer that would take long is refused with a
// code, by its multiplications and never by a clock: the local server computes it.
import { saliencyOf } from './backpropagation'
import { type Chain, chainOf, type ChainRequest, finiteOrNull } from './chain'
import { EngineError, shown } from './errors'
import { ExactRecording } from './exact-recording'
import { checkWork, lossWork, mapWork, MAX_MAP_WORK, MAX_WORK, stepWork } from './gradient-limits'
import { lyapunovExponent } from './growth'
import { influenceOf } from './influence'
import type { Jacobians } from './jacobians'
import type { Network } from './network'
import { productMap } from './products'
import { type Tensor, writeTensors } from './tensors'
import { type WeightPaths, weightPathsOf, type WeightPathsRequest } from './weight-paths'

const MIN_PREDICTIONS = 4
const MIN_DISTANCE_STEPS = 8

const FIELDS = {
  gradients: { text: 'string', layer: 'string' },
  connections: { text: 'string', by: 'string', step: 'number' },
  chain: { text: 'string', layer: 'string', state: 'string', neuron: 'number', after: 'number', before: 'number' },
  weightPaths: { text: 'string', layer: 'string', drive: 'string', to: 'number', source: 'number', step: 'number' },
} as const

type What = keyof typeof FIELDS

/** Answer a request for the map of a layer. */
export function gradientMap(network: Network, request: unknown): ArrayBuffer {
  const { text, layer } = checked(network, 'gradients', request)
  return encodeMap(recordingOf(network, text as string), layer as string)
}

/** Answer a request for the inputs that predictions depend on. */
export function connections(network: Network, request: unknown): ArrayBuffer {
  const { text, by, step } = checked(network, 'connections', request)
  return encodeConnections(recordingOf(network, text as string), by as string, step as number)
}

/** Answer a request for the factors of one neuron between two steps. */
export function chain(network: Network, request: unknown): Chain {
  const { text, ...path } = checked(network, 'chain', request)
  return chainOf(recordingOf(network, text as string), path as unknown as ChainRequest)
}

/** Answer a request for all paths of one weight to one prediction. */
export function weightPaths(network: Network, request: unknown): WeightPaths {
  const { text, ...weight } = checked(network, 'weightPaths', request)
  return weightPathsOf(recordingOf(network, text as string), weight as unknown as WeightPathsRequest)
}

/** Return the fields of a request. Throws an EngineError if a field is missing, unknown or of another type. */
function checked(network: Network, what: What, request: unknown): Record<string, unknown> {
  const fields: Record<string, string> = FIELDS[what]
  const { checkpoint = null, ...values } = (request ?? {}) as Record<string, unknown>
  const names = Object.keys(values)
  const valid =
    typeof request === 'object' &&
    names.length === Object.keys(fields).length &&
    names.every((name) => Object.hasOwn(fields, name) && typeof values[name] === fields[name])
  if (!valid) throw new EngineError('GRADIENTS_REQUEST_INVALID', { call: what, request: shown(request) })
  // The weights were chosen when the network was opened.
  if (checkpoint !== null && checkpoint !== network.step)
    throw new EngineError('CHECKPOINT_NOT_OPEN', { step: shown(checkpoint) })
  return values
}

const recordings = new WeakMap<Network, ExactRecording>()

/** Return the float64 recording of a text; that of the last text is kept. */
function recordingOf(network: Network, text: string): ExactRecording {
  const known = recordings.get(network)
  if (known?.text === text) return known
  const recording = new ExactRecording(known?.network ?? network.toFloat64(), text)
  recordings.set(network, recording)
  return recording
}

/** Return metadata beside the arrays, as JSON texts. */
function metadata({ labels, network }: ExactRecording, values: object): Record<string, string> {
  const about = Object.entries({ labels, step: network.step, ...values })
  return Object.fromEntries(about.map(([name, value]) => [name, JSON.stringify(value)]))
}

/** Return the map of a layer. Throws an EngineError if it carries no state, or is not small. */
export function encodeMap(recording: ExactRecording, name: string): ArrayBuffer {
  const layer = recording.layer(name)
  const { steps, sequences } = recording
  if (!steps) {
    const tensors = new Map([['norm', { shape: [0, 0], data: new Float32Array() }]])
    return writeTensors({ metadata: metadata(recording, { layer: name, states: [], terms: [] }), tensors })
  }
  const { cell, neurons } = recording.network.configuration.layers[layer]!
  const work = sequences.reduce((sum, sequence) => sum + mapWork(cell.states.length, neurons, sequence.steps), 0)
  checkWork(work, MAX_MAP_WORK)
  const jacobians = recording.jacobians(layer)
  const tensors = mapTensors(recording, jacobians)
  const longest = jacobians.reduce((most, other) => (other.steps > most.steps ? other : most))
  const about = {
    layer: name,
    states: cell.states,
    neurons,
    exact: true,
    vectors: null,
    furthest: null,
    exponent: longest.steps > 1 ? finiteOrNull(lyapunovExponent(longest)) : null,
    terms: [...longest.shares().keys()].map(({ to, source, name: term, direct, drive, formula }) => ({
      to,
      source,
      name: term,
      direct,
      formula: `diag(${formula || '…'})${drive === null ? '' : ` · U.${drive}`}`,
    })),
  }
  return writeTensors({ metadata: metadata(recording, about), tensors })
}

function mapTensors(recording: ExactRecording, jacobians: readonly Jacobians[]): Map<string, Tensor> {
  const { steps, firsts } = recording
  const { states } = jacobians[0]!
  const names = ['norm', 'largest', 'bypass', 'rest', ...states.map((state) => `norm.${state}`)]
  const arrays = new Map(names.map((name) => [name, new Float32Array(steps * steps).fill(NaN)]))
  const shares = new Float32Array(jacobians[0]!.terms.length * steps).fill(NaN)
  const start = new Uint8Array(steps)
  for (const [number, own] of jacobians.entries()) {
    const first = firsts[number]!
    start[first] = 1
    const { byState, ...sizes } = productMap(own)
    const maps = { ...sizes, ...Object.fromEntries(states.map((state, k) => [`norm.${state}`, byState[k]!])) }
    for (const [name, values] of Object.entries(maps))
      for (let step = 0; step < own.steps; step++) {
        const row = values.subarray(step * own.steps, (step + 1) * own.steps)
        arrays.get(name)!.set(row, (first + step) * steps + first)
      }
    for (const [row, share] of [...own.shares().values()].entries()) shares.set(share, row * steps + first)
  }
  const tensors = new Map<string, Tensor>([...arrays].map(([name, data]) => [name, { shape: [steps, steps], data }]))
  tensors.set('shares', { shape: [jacobians[0]!.terms.length, steps], data: shares })
  return tensors.set('start', { shape: [steps], data: start })
}

/** Return the inputs that some predictions depend on: those of all steps near `step`, or of all if measured by change. */
export function encodeConnections(recording: ExactRecording, by: string, step: number): ArrayBuffer {
  recording.check(step)
  const { readout, bothWays } = recording.network.configuration
  if (readout.kind === 'numbers') throw new EngineError('CONNECTIONS_OF_ESTIMATES')
  if (by === 'gradient') return encodeGradients(recording, step)
  if (by !== 'change') throw new EngineError('GRADIENTS_REQUEST_INVALID', { call: 'connections', request: shown(by) })
  if (bothWays) throw new EngineError('CONNECTIONS_BIDIRECTIONAL')
  return encodeChanges(recording)
}

function encodeGradients(recording: ExactRecording, step: number): ArrayBuffer {
  const { network, steps, sequences, firsts } = recording
  const longest = Math.max(...sequences.map((sequence) => sequence.steps))
  const work = lossWork(network, longest)
  checkWork(MIN_PREDICTIONS * work, MAX_WORK)
  const most = MAX_WORK / work
  const count = most >= steps ? steps : 2 ** Math.floor(Math.log2(most))
  const begin = Math.floor(step / count) * count
  const rows = Math.min(begin + count, steps) - begin
  const connections = new Float32Array(rows * steps).fill(NaN)
  const losses = new Float32Array(rows).fill(NaN)
  for (const [number, sequence] of sequences.entries()) {
    const first = firsts[number]!
    const places = [...Array(sequence.steps).keys()].filter(
      (t) => first + t >= begin && first + t < begin + rows && !Number.isNaN(sequence.logProbabilities[t]!),
    )
    const { bothWays } = network.configuration
    const result = places.length ? saliencyOf(network, sequence, places) : null
    for (const [k, t] of places.entries()) {
      const row = first + t - begin
      const reach = bothWays ? sequence.steps : t + 1
      connections.set(result!.norms.subarray(k * sequence.steps, k * sequence.steps + reach), row * steps + first)
      losses[row] = result!.losses[k]!
    }
  }
  return connectionsBytes(recording, 'gradient', begin, connections, losses)
}

function encodeChanges(recording: ExactRecording): ArrayBuffer {
  const { network, steps, sequences, firsts } = recording
  const work = stepWork(network) * steps
  checkWork(MIN_DISTANCE_STEPS * work, MAX_WORK)
  const furthest = Math.min(steps, Math.floor(MAX_WORK / work))
  const connections = new Float32Array(steps * steps).fill(NaN)
  const losses = new Float32Array(steps)
  for (const [number, sequence] of sequences.entries()) {
    const first = firsts[number]!
    const changes = influenceOf(network, sequence, furthest)
    for (let t = 0; t < sequence.steps; t++) {
      connections.set(changes.subarray(t * sequence.steps, (t + 1) * sequence.steps), (first + t) * steps + first)
      losses[first + t] = -sequence.logProbabilities[t]!
    }
  }
  return connectionsBytes(recording, 'change', 0, connections, losses, furthest)
}

function connectionsBytes(
  recording: ExactRecording,
  by: string,
  first: number,
  connections: Float32Array,
  loss: Float32Array,
  furthest = recording.steps,
): ArrayBuffer {
  const tensors = new Map([
    ['connections', { shape: [loss.length, recording.steps], data: connections }],
    ['loss', { shape: [loss.length], data: loss }],
  ])
  return writeTensors({ metadata: metadata(recording, { by, first, furthest }), tensors })
}
