// Predictions of many sequences, each read from the initial state.
import type { Values } from '../arrays'
import { toLogProbabilities } from '../head'
import type { TrainedNetwork } from './network-pass'

/** From sequences of ids, (T,) each, to log-probabilities in nats after every step, (T, V) each. */
export type Predict = (sequences: readonly Int32Array[]) => Values[]

const GROUP_SEQUENCES = 64
const MAX_PREDICTIONS = 1 << 22 // of one group, for all its steps and symbols

/** Return the predictions of a network; sequences of similar length run side by side. */
export function predictor(network: TrainedNetwork): Predict {
  return (sequences) => {
    const order = [...sequences.keys()].sort((a, b) => sequences[a]!.length - sequences[b]!.length)
    const results: Values[] = []
    for (const group of groups(order, sequences, network.configuration.predicted))
      predictGroup(network, group, sequences, results)
    return results
  }
}

/** Cut an order by length into groups that fit into memory. */
function groups(order: readonly number[], sequences: readonly Int32Array[], values: number): number[][] {
  const cut: number[][] = []
  for (const k of order) {
    const group = cut.at(-1)
    const fits = group && (group.length + 1) * sequences[k]!.length * values <= MAX_PREDICTIONS
    if (fits && group.length < GROUP_SEQUENCES) group.push(k)
    else cut.push([k])
  }
  return cut
}

function predictGroup(
  network: TrainedNetwork,
  group: readonly number[],
  sequences: readonly Int32Array[],
  results: Values[],
): void {
  const rows = group.length
  const lengths = Int32Array.from(group, (k) => sequences[k]!.length)
  const steps = lengths.at(-1) ?? 0
  const ids = new Int32Array(steps * rows).fill(-1)
  const places: number[] = []
  // Row by row, so that the predictions of a sequence stand together.
  for (const [row, k] of group.entries())
    sequences[k]!.forEach((id, t) => {
      ids[t * rows + row] = id
      places.push(t * rows + row)
    })
  const pass = network.run({ steps, rows, ids, lengths, places: Int32Array.from(places) }, null, false)
  try {
    toLogProbabilities(pass.logits, places.length)
    let from = 0
    for (const [row, k] of group.entries()) {
      const to = from + lengths[row]! * network.configuration.predicted
      results[k] = pass.logits.slice(from, to)
      from = to
    }
  } finally {
    pass.free()
  }
}
