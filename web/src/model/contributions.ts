// The parts of a drive, which is a weighted sum: the input or the hidden states of the step before, each times its weight.
import type { LayerMatrices } from '../data/matrices'
import type { Layer, Run } from '../data/run'
import type { Trace } from '../data/trace'
import { previousStep } from './evaluation'
import { inputAxis } from './weight-maps'
import { text } from '../messages/text'

/** One product of a drive. */
export interface Part {
  /** What it comes from, in words. */
  name: string
  weight: number
  /** What is multiplied by the weight; null for a symbol, whose weight counts once. */
  value: number | null
  amount: number
  /** Where it can be looked at; null for symbols, numbers and states before the first step. */
  place: { layer: string; neuron: number; step: number } | null
}

export interface Contributions {
  /** The parts with the largest amounts, the largest one first. */
  largest: Part[]
  /** The sum of all other parts. */
  rest: { count: number; amount: number }
  bias: number | null
  total: number
}

/** The names of the layers whose hidden states a drive reads, in the order of its weights; none for symbols and numbers. */
export function layersRead(run: Run, layer: Layer, drive: string): string[] {
  if (drive.startsWith('u.')) return [layer.name]
  const level = Number(/\d+/.exec(layer.name)?.[0] ?? 0)
  return run.layers.filter(({ name }) => new RegExp(`^layer${level - 1}(_|$)`).test(name)).map(({ name }) => name)
}

/** What a drive of one neuron is computed from. */
export interface DriveOrigin {
  layer: Layer
  drive: string
  neuron: number
  step: number
  trace: Trace
  weights: LayerMatrices
  /** For each of `layersRead`, a trace with the hidden states of all neurons. */
  hidden: readonly Trace[]
  layers: readonly string[]
}

/** Return the parts of a drive. */
export function contributions(origin: DriveOrigin, most: number): Contributions | null {
  const [kind, gate] = [origin.drive.startsWith('u.') ? 'recurrent' : 'input', origin.drive.slice(2)]
  const matrix = origin.weights.matrices.find((one) => one.kind === kind && one.gate === gate)
  if (!matrix) return null
  const row = matrix.values.subarray(origin.neuron * matrix.columns, (origin.neuron + 1) * matrix.columns)
  const parts = kind === 'input' && !origin.layers.length ? inputParts(origin, row) : hiddenParts(origin, row)
  const bias = kind === 'input' ? (origin.weights.biases.get(gate)?.[origin.neuron] ?? 0) : null
  parts.sort((a, b) => Math.abs(b.amount) - Math.abs(a.amount))
  // A single remaining part needs no line that sums it.
  const shown = parts.length === most + 1 ? parts.length : most
  const others = parts.slice(shown)
  const sum = (some: readonly Part[]): number => some.reduce((total, { amount }) => total + amount, 0)
  return {
    largest: parts.slice(0, shown),
    rest: { count: others.length, amount: sum(others) },
    bias,
    total: sum(parts) + (bias ?? 0),
  }
}

/** Return the parts of the inputs of the network: one symbol, or numbers. */
function inputParts({ trace, step, weights }: DriveOrigin, row: Float32Array): Part[] {
  const axis = inputAxis(weights)
  if (weights.reads === 'symbols') {
    const symbol = trace.token[step] ?? -1
    const weight = row[symbol]
    return weight === undefined ? [] : [{ name: axis.name(symbol), weight, value: null, amount: weight, place: null }]
  }
  const { width = 0, data = [] } = trace.input ?? {}
  return Array.from({ length: width }, (_, k) => {
    const [weight, value] = [row[k]!, data[step * width + k]!]
    return { name: axis.name(k), weight, value, amount: weight * value, place: null }
  })
}

/** Return the parts of the hidden states that a drive reads: of its own layer one step earlier, or of the layers below. */
function hiddenParts({ layer, drive, step, hidden, layers }: DriveOrigin, row: Float32Array): Part[] {
  const isRecurrent = drive.startsWith('u.')
  const parts: Part[] = []
  for (const [k, trace] of hidden.entries()) {
    const name = layers[k]!
    const at = isRecurrent ? previousStep(layer.reverse, trace, step) : step
    const values = trace.values(`${name}.h`)
    for (let neuron = 0; neuron < trace.rows(`${name}.h`); neuron++) {
      const weight = row[parts.length]!
      const value =
        at === null ? (trace.parameter(`${name}.initial.h`, neuron) ?? 0) : values![neuron * trace.steps + at]!
      const place = at === null ? null : { layer: name, neuron, step: at }
      const title = isRecurrent
        ? text('WEIGHTS_NEURON', { neuron })
        : text('CONTRIBUTIONS_BELOW', { layer: name, neuron })
      parts.push({ name: title, weight, value, amount: weight * value, place })
    }
  }
  return parts
}
