// How much an answer about gradients may cost: multiplications, never a time, so that every machine answers the same.
//
// The local server computes what is refused here.
import { EngineError } from './errors'
import type { Network } from './network'

/** A map of 32 LSTM neurons and 60 steps, or about half a second. */
export const MAX_MAP_WORK = 1e9
/** Everything else: recordings, derivatives of losses, and replaced symbols. */
export const MAX_WORK = 4e8
/** Multiplications that take as long as one line of the equations, such as tanh. */
const LINE_WORK = 20
/** What else an eigenvalue takes, such as bisection, for each number of a state. */
const EIGENVALUE_WORK = 1500

/** Refuse work beyond a limit. */
export function checkWork(work: number, most: number): void {
  if (work > most) throw new EngineError('GRADIENTS_TOO_LARGE', { millions: Math.ceil(work / 1e6), most: most / 1e6 })
}

/** Return the multiplications of one step and its prediction. */
export function stepWork({ configuration }: Network): number {
  const { layers, inputs, predicted, embedding } = configuration
  const ofLayers = layers.reduce((sum, { cell, neurons }, k) => {
    const read = k === 0 && embedding === null ? 1 : inputs[k]! // a one-hot vector selects a column
    const rows = cell.recurrentDrives.length * neurons + cell.inputDrives.length * read
    return sum + neurons * (LINE_WORK * cell.nodes.length + rows)
  }, 0)
  return ofLayers + predicted * (inputs.at(-1)! + LINE_WORK)
}

/** Return the multiplications of carrying the loss of one place back through all steps of a sequence. */
export function lossWork({ configuration: { layers, inputs, predicted } }: Network, steps: number): number {
  const ofStep = layers.reduce((sum, { cell, neurons }, k) => {
    const rows = cell.recurrentDrives.length * neurons + cell.inputDrives.length * inputs[k]!
    return sum + neurons * (cell.nodes.length + rows)
  }, 0)
  return steps * ofStep + predicted * inputs.at(-1)!
}

/** Return the multiplications of a map at most: products, their Gram matrices, and the eigenvalues of these. */
export function mapWork(states: number, neurons: number, steps: number): number {
  const width = states * neurons
  const pair = states * neurons ** 2 * width + (width ** 3 * 7) / 6 + EIGENVALUE_WORK * width
  return (pair * steps * (steps + 1)) / 2
}
