// How the predictions change when the network reads another symbol at one step: the intervention of which the gradient is
// the approximation.
//
// Replacements and measure are those of src/gatescope/studies/gradients/influence.py. T step, V predicted value.
import type { Values } from './arrays'
import { EngineError } from './errors'
import { toLogProbabilities } from './head'
import type { Network, State } from './network'
import { Generator } from './random'
import type { Sequence } from './recording'

const PIECE_VALUES = 1 << 21 // numbers of one array that are held at a time

/**
 * Return the change of the prediction after step t by another symbol at step s, [t · T + s] in nats.
 *
 * NaN if t < s, and where t is more than `furthest` steps later.
 */
export function influenceOf(network: Network, sequence: Sequence, furthest = sequence.steps): Float64Array {
  const { inputs, layers, predicted, readout } = network.configuration
  const { steps } = sequence
  const changes = new Float64Array(steps * steps).fill(NaN)
  const ids = sequence.inputs as Int32Array
  const replacements = drawOthers(ids, network.configuration.vocabulary.size)
  const before = predictionsOf(network, network.run(network.inputs(ids)).top, steps)
  const widest = Math.max(predicted, inputs.at(-1)!, ...layers.map(({ neurons }) => neurons))
  const piece = Math.max(1, Math.floor(PIECE_VALUES / (steps * widest)))
  for (let first = 0; first < steps; first += piece) {
    const rows = Math.min(piece, steps - first)
    const length = Math.min(steps - first, furthest + 1) // of the row that begins first
    const read = new Int32Array(length * rows)
    for (let k = 0; k < length; k++)
      for (let row = 0; row < rows; row++)
        read[k * rows + row] = k ? (ids[first + row + k] ?? -1) : replacements[first + row]!
    const lengths = Int32Array.from({ length: rows }, (_, row) => Math.min(length, steps - first - row))
    const state = statesBefore(network, sequence, first, rows)
    const { top } = network.run(network.inputs(read, rows, lengths), { state })
    const after = predictionsOf(network, top, length * rows)
    for (let k = 0; k < length; k++)
      for (let row = 0; row < rows && k < lengths[row]!; row++) {
        const step = first + row + k
        // A network that predicts once is compared after the last step.
        if (readout.reads === 'last step' && step !== steps - 1) continue
        const changed = after.subarray((k * rows + row) * predicted, (k * rows + row + 1) * predicted)
        changes[step * steps + first + row] = divergence(before, step * predicted, changed)
      }
  }
  return changes
}

/** Return log-probabilities, (rows, V), from the inputs of the readout. */
function predictionsOf(network: Network, top: Values, rows: number): Values {
  const values = network.readOut(top, rows)
  toLogProbabilities(values, rows)
  return values
}

/** Return the recorded states before some steps, as the states of one row for each. */
function statesBefore(network: Network, sequence: Sequence, first: number, rows: number): State {
  const initial = network.initialState(1)
  return network.configuration.layers.map(({ cell, neurons }, k) => {
    const recorded = sequence.layers[k]!
    return new Map(
      cell.states.map((name) => {
        const values = new Float64Array(rows * neurons)
        const from = Math.max(0, first - 1) * neurons
        const start = first ? 0 : neurons
        if (!first) values.set(initial[k]!.get(name)!)
        values.set(recorded.get(name)!.subarray(from, from + values.length - start), start)
        return [name, values]
      }),
    )
  })
}

/** Return the sum of p log(p / q) in nats, from log-probabilities. */
function divergence(before: Values, from: number, after: Values): number {
  let sum = 0
  for (let id = 0; id < after.length; id++) {
    const p = before[from + id]!
    sum += Math.exp(p) * (p - after[id]!)
  }
  return Math.max(0, sum)
}

/** Draw another symbol for each step: one of the sequence by its frequency, or of the vocabulary if there is no other. */
function drawOthers(ids: Int32Array, size: number): Int32Array {
  const counts = new Map<number, number>()
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
  let candidates = [...counts].sort(([a], [b]) => a - b)
  if (candidates.length === 1)
    candidates = Array.from({ length: size }, (_, id): [number, number] => [id, 1]).filter(([id]) => !counts.has(id))
  if (!candidates.length) throw new EngineError('REPLACEMENTS_MISSING')
  const generator = new Generator(0, 'replacements')
  return ids.map((id) => {
    const others = candidates.filter(([other]) => other !== id)
    let place = generator.uniform() * others.reduce((sum, [, count]) => sum + count, 0)
    // The number of the first symbol whose cumulative count is above the drawn one.
    return others.find(([, count]) => (place -= count) < 0)![0]
  })
}
