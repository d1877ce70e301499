// The factors that carry the gradient of one neuron's state from a step back to an earlier one, as JSON values.
//
// The schema is that of src/gatescope/explorer/chains.py.
import { EngineError, shown } from './errors'
import type { ExactRecording } from './exact-recording'
import { forwardOf, isDirect } from './forward-derivatives'
import { isOperation, type Nested } from './formulas'
import { carry } from './growth'
import type { Jacobians } from './jacobians'

export interface ChainRequest {
  layer: string
  state: string
  neuron: number
  after: number
  before: number
}

export type Column = (number | null)[]

export interface Chain {
  /** "step", "direct", "product", "whole", and the name of every drive, such as "u.f". */
  columns: Record<string, Column>
  direct: { formula: string; expression: Nested }[]
  /** Leaf of the expressions, such as "signal f" -> its value at every step. */
  values: Record<string, number[]>
  /** Name of a drive -> the formula of its factor. */
  through: Record<string, string>
  about: ChainRequest
}

/** Return a number that JSON can write: null instead of one that is not finite. */
export const finiteOrNull = (value: number): number | null => (Number.isFinite(value) ? value : null)

/** Return the factors of one neuron between two steps. Throws an EngineError if there is no such path. */
export function chainOf(recording: ExactRecording, { layer: name, state, neuron, after, before }: ChainRequest): Chain {
  const layer = recording.layer(name)
  const [last, first] = [recording.check(after), recording.check(before)]
  const number = recording.sequenceOf(last)
  if (number !== recording.sequenceOf(first)) throw new EngineError('CHAIN_SPANS_SEQUENCES', { before, after })
  const jacobians = recording.jacobians(layer)[number]!
  const { states, neurons, terms } = jacobians
  if (first > last) throw new EngineError('CHAIN_REVERSED', { before, after })
  if (!states.includes(state) || !Number.isInteger(neuron) || neuron < 0 || neuron >= neurons)
    throw new EngineError('CHAIN_NEURON_UNKNOWN', {
      states: states.join(', '),
      last: neurons - 1,
      state: shown(state),
      neuron: shown(neuron),
    })
  const start = recording.firsts[number]!
  const steps = Array.from({ length: last - first }, (_, k) => first - start + 1 + k)
  const forward = forwardOf(recording.network.configuration.layers[layer]!.cell)
  const direct = [...forward.slopes.get(state)!.keys()]
    .filter((place) => isDirect(place) && place.label === state)
    .map((place) => ({ formula: forward.formula(state, place), expression: forward.expression(state, place) }))
  const leaves = new Map(direct.flatMap(({ expression }) => leavesOf(expression)).map((leaf) => [leaf.join(' '), leaf]))
  const through = terms.filter((term) => term.to === state && term.drive !== null)
  return {
    columns: columnsOf(jacobians, state, neuron, steps, start),
    direct,
    values: Object.fromEntries(
      [...leaves]
        .sort()
        .map(([key, [kind, label]]) => [
          key,
          steps.map((step) => leafValue(recording, layer, number, kind, label, step, neuron)),
        ]),
    ),
    through: Object.fromEntries(through.map((term) => [term.name, term.formula])),
    about: { layer: name, state, neuron, after, before },
  }
}

function columnsOf(
  jacobians: Jacobians,
  state: string,
  neuron: number,
  steps: readonly number[],
  start: number,
): Record<string, Column> {
  const { neurons, states, bypass, terms, weights } = jacobians
  const row = states.indexOf(state)
  const own = bypass.find(({ to, source }) => to === row && source === row)?.factors
  const at = (factors: Float64Array | undefined, step: number): number => factors?.[step * neurons + neuron] ?? 0
  const columns: Record<string, Column> = { step: steps.map((step) => step + start), direct: [], product: [] }
  let product = 1
  for (const step of steps) {
    product *= at(own, step)
    columns['direct']!.push(finiteOrNull(at(own, step)))
    columns['product']!.push(finiteOrNull(product))
  }
  for (const { to, name, drive, factors } of terms) {
    if (to !== state || drive === null) continue
    const weightsOfRow = weights.get(drive)!.subarray(neuron * neurons, (neuron + 1) * neurons)
    const norm = Math.sqrt(weightsOfRow.reduce((sum, weight) => sum + weight * weight, 0))
    columns[name] = steps.map((step) => finiteOrNull(at(factors, step) * norm))
  }
  let tangent: Float64Array = new Float64Array(states.length * neurons)
  tangent[row * neurons + neuron] = 1
  columns['whole'] = steps.map((step) => {
    tangent = carry(jacobians, step, tangent)
    return finiteOrNull(tangent[row * neurons + neuron]!)
  })
  return columns
}

/** Return the kind and label of every leaf of an expression, such as ["signal", "f"]; constants are left out. */
function leavesOf(nested: Nested): [string, string][] {
  if (isOperation(nested)) return nested.arguments.flatMap(leavesOf)
  return Object.entries(nested)
    .filter(([kind]) => kind !== 'constant')
    .map(([kind, label]) => [kind, String(label)])
}

/** Return the value of a leaf for one neuron at one step of a sequence. */
function leafValue(
  { network, sequences }: ExactRecording,
  layer: number,
  sequence: number,
  kind: string,
  label: string,
  step: number,
  neuron: number,
): number {
  const { cell, neurons } = network.configuration.layers[layer]!
  if (kind === 'parameter') {
    const place = cell.parameters.indexOf(label.slice('p.'.length))
    return network.parameters[layer]!.neuronWeights[place * neurons + neuron]!
  }
  const values = sequences[sequence]!.layers[layer]!.get(label)!
  if (kind !== 'state') return values[step * neurons + neuron]!
  return step ? values[(step - 1) * neurons + neuron]! : (network.initial[layer]!.get(label)?.[neuron] ?? 0)
}
