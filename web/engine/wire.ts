// The answer to a trace request: the arrays that src/gatescope/explorer/wire.py writes, with the same names and types.
import { type Values, zeros } from './arrays'
import { pythonGeneral } from './python-format'
import { TOLERANCES } from './checking'
import { EngineError, shown } from './errors'
import type { Hold } from './holds'
import type { Intervention } from './interventions'
import type { Network } from './network'
import { DrivesOfSteps } from './recorded'
import { largestResidual, MAX_PREDICTIONS, type Recording, type Sequence } from './recording'
import { type Data, type Tensor, writeTensors } from './tensors'

export interface TraceRequest {
  text: string
  layer?: string
  signals?: string[] | null
  neurons?: number[] | null
  drives?: boolean
  top?: number
  /** A neuron whose signals, drives and parameters are all sent besides, under names that begin with "detail.". */
  detail?: number | null
  interventions?: Intervention[]
  /** Signals that are held, by the steps of the text. */
  holds?: Hold[]
}

/** A request with its defaults, checked against the network. */
export interface CheckedRequest {
  text: string
  layer: number
  names: string[]
  neurons: number[]
  drives: boolean
  top: number
  detail: number | null
  interventions: Intervention[]
  holds: Hold[]
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((entry) => typeof entry === 'string')

/** Return a request with its defaults. Throws an EngineError if the network has no such layer, signal or neuron. */
export function checkRequest({ configuration }: Network, request: TraceRequest): CheckedRequest {
  if (typeof request !== 'object' || request === null)
    throw new EngineError('REQUEST_INVALID', { request: shown(request) })
  const {
    text,
    layer = 'layer0',
    signals = null,
    neurons = null,
    drives = false,
    top = 3,
    detail = null,
    interventions = [],
    holds = [],
  } = request
  const { names, layers } = configuration
  if (
    typeof text !== 'string' ||
    typeof drives !== 'boolean' ||
    !Number.isInteger(top) ||
    !Array.isArray(interventions) ||
    !Array.isArray(holds)
  )
    throw new EngineError('REQUEST_INVALID', { request: shown(request) })
  const number = names.indexOf(layer)
  if (number < 0) throw new EngineError('LAYER_UNKNOWN', { layer: shown(layer), layers: names.join(', ') })
  const { cell, neurons: count } = layers[number]!
  if (signals !== null && !(isTexts(signals) && signals.every((signal) => cell.signals.has(signal))))
    throw new EngineError('SIGNALS_UNKNOWN', { unknown: shown(signals), signals: [...cell.signals.keys()].join(', ') })
  const exists = (neuron: unknown): boolean =>
    Number.isInteger(neuron) && (neuron as number) >= 0 && (neuron as number) < count
  if (
    neurons !== null &&
    !(Array.isArray(neurons) && new Set(neurons).size === neurons.length && neurons.every(exists))
  )
    throw new EngineError('NEURONS_UNKNOWN', { layer, last: count - 1 })
  if (detail !== null && !exists(detail)) throw new EngineError('NEURONS_UNKNOWN', { layer, last: count - 1 })
  return {
    text,
    layer: number,
    names: [...new Set(signals ?? cell.signals.keys()), ...(drives ? cell.drives : [])],
    neurons: neurons ?? Array.from({ length: count }, (_, neuron) => neuron),
    drives,
    top,
    detail,
    interventions,
    holds,
  }
}

/** Return the requested arrays of a recording as bytes. `engine` is the code of what computed them. */
export function encode(network: Network, recording: Recording, request: CheckedRequest, engine: string): ArrayBuffer {
  const { sequences } = recording
  const { layer, names, neurons, drives, detail } = request
  const tensors = layerArrays(network, sequences, layer, names, neurons)
  if (drives) for (const [name, tensor] of neuronArrays(network, sequences, layer, neurons)) tensors.set(name, tensor)
  if (detail !== null) {
    const { cell } = network.configuration.layers[layer]!
    const all = [...cell.signals.keys(), ...cell.drives]
    for (const arrays of [
      layerArrays(network, sequences, layer, all, [detail]),
      neuronArrays(network, sequences, layer, [detail]),
    ])
      for (const [name, tensor] of arrays) tensors.set(`detail.${name}`, tensor)
  }
  for (const [name, tensor] of stepArrays(network, sequences, request.top)) tensors.set(name, tensor)
  return writeTensors({ metadata: metadataOf(network, recording, engine), tensors })
}

/** Return signals and drives of some neurons, (N, all steps of all sequences, one after the other). */
function layerArrays(
  network: Network,
  sequences: readonly Sequence[],
  layer: number,
  names: readonly string[],
  neurons: readonly number[],
): Map<string, Tensor> {
  const { cell, neurons: count } = network.configuration.layers[layer]!
  const steps = sequences.reduce((sum, sequence) => sum + sequence.steps, 0)
  const tensors = new Map<string, Tensor>()
  for (const name of names) {
    const data = zeros('float32', neurons.length * steps) as Float32Array
    tensors.set(`${network.configuration.names[layer]!}.${name}`, { shape: [neurons.length, steps], data })
  }
  let first = 0
  for (const sequence of sequences) {
    let drives: DrivesOfSteps | null = null
    for (const name of names) {
      const { data } = tensors.get(`${network.configuration.names[layer]!}.${name}`)! as { data: Float32Array }
      const held = cell.signals.has(name) ? sequence.layers[layer]!.get(name)! : null
      if (held) copyNeurons(held, sequence.steps, count, neurons, data, first, steps)
      else {
        drives ??= new DrivesOfSteps(network, sequence, layer, 0, sequence.steps)
        const isAll = neurons.length === count
        const all = isAll ? drives.all(name) : null
        for (const [row, neuron] of neurons.entries()) {
          const own = all ? null : drives.ofNeuron(name, neuron)
          for (let step = 0; step < sequence.steps; step++)
            data[row * steps + first + step] = own ? own[step]! : all![step * count + neuron]!
        }
      }
    }
    first += sequence.steps
  }
  return tensors
}

/** Copy the rows of some neurons from an array (T, N) to places in an array (rows, steps of the text). */
function copyNeurons(
  array: Values,
  steps: number,
  count: number,
  neurons: readonly number[],
  out: Float32Array,
  first: number,
  width: number,
): void {
  for (const [row, neuron] of neurons.entries()) {
    const at = row * width + first
    for (let step = 0; step < steps; step++) out[at + step] = array[step * count + neuron]!
  }
}

/** Return the parameters and the learned initial states of some neurons; nothing for an empty text. */
function neuronArrays(
  network: Network,
  sequences: readonly Sequence[],
  layer: number,
  neurons: readonly number[],
): Map<string, Tensor> {
  const { cell, neurons: count, initial } = network.configuration.layers[layer]!
  const name = network.configuration.names[layer]!
  const tensors = new Map<string, Tensor>()
  if (!sequences.length) return tensors
  const perNeuron = (values: Values): Tensor => ({
    shape: [neurons.length],
    data: Float32Array.from(neurons, (neuron) => values[neuron]!),
  })
  for (const [k, parameter] of cell.parameters.entries())
    tensors.set(`${name}.p.${parameter}`, perNeuron(network.parameters[layer]!.neuronWeights.subarray(k * count)))
  for (const [state, values] of initial ? network.initial[layer]! : [])
    tensors.set(`${name}.initial.${state}`, perNeuron(values))
  return tensors
}

function stepArrays({ configuration }: Network, sequences: readonly Sequence[], top: number): Map<string, Tensor> {
  const { vocabulary, readout, predicted } = configuration
  const numbers = vocabulary.unit === 'number'
  const arrays = new Map<string, Tensor>()
  const add = <A extends Data>(
    name: string,
    widths: number[],
    type: new (size: number) => A,
    row: (s: Sequence, step: number, out: A, at: number) => void,
  ): void => {
    const steps = sequences.reduce((sum, sequence) => sum + sequence.steps, 0)
    const width = widths[0] ?? 1
    const data = new type(steps * width)
    let place = 0
    for (const sequence of sequences)
      for (let step = 0; step < sequence.steps; step++, place += width) row(sequence, step, data, place)
    arrays.set(name, { shape: [steps, ...widths], data })
  }
  /** Add an array of `stride` numbers a step, of which the first `width` are sent. */
  const addFrom = (name: string, width: number, stride: number, of: (s: Sequence) => ArrayLike<number>): void =>
    add(name, [width], Float32Array, (sequence, step, out, at) => {
      for (let k = 0; k < width; k++) out[at + k] = of(sequence)[step * stride + k]!
    })
  add('start', [], Uint8Array, (_, step, out, at) => (out[at] = step === 0 ? 1 : 0))
  add('token', [], Int32Array, ({ inputs }, step, out, at) => (out[at] = numbers ? -1 : inputs[step]!))
  if (numbers) addFrom('input', vocabulary.size, vocabulary.size, ({ inputs }) => inputs)
  if (readout.kind === 'numbers') {
    addFrom('value', readout.names.length, readout.names.length, ({ values }) => values)
    addFrom('estimate', predicted, predicted, ({ estimates }) => estimates)
    return arrays
  }
  const recorded = Math.min(MAX_PREDICTIONS, predicted)
  const ranks = Math.max(1, Math.min(top, recorded))
  add('log_probability', [], Float32Array, (sequence, step, out, at) => (out[at] = sequence.logProbabilities[step]!))
  add('top_token', [ranks], Int32Array, ({ topTokens }, step, out, at) => {
    for (let rank = 0; rank < ranks; rank++) out[at + rank] = topTokens[step * recorded + rank]!
  })
  addFrom('top_probability', ranks, recorded, ({ topProbabilities }) => topProbabilities)
  // The target of a symbol is the next token, which is sent already.
  if (readout.kind === 'classes')
    add('target', [], Int32Array, ({ targets }, step, out, at) => (out[at] = targets[step]!))
  return arrays
}

function metadataOf(network: Network, { sequences, unknown }: Recording, engine: string): Record<string, string> {
  const tolerance = sequences.length ? TOLERANCES[network.precision] : TOLERANCES.float32
  const isChecked = sequences.every(({ steps, checked }) => checked === steps)
  const residual = largestResidual(sequences)
  return {
    labels: JSON.stringify(sequences.flatMap((sequence) => sequence.labels)),
    // The equations of a new text are checked after the trace is sent.
    residual: isChecked ? pythonGeneral(residual, 3) : 'null',
    tolerance: pythonGeneral(tolerance, 3),
    holds: isChecked ? JSON.stringify(residual <= tolerance) : 'null',
    step: String(network.step),
    unknown: JSON.stringify(unknown),
    engine,
  }
}
