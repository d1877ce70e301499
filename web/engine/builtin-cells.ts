// The built-in cells, which the kernels have as C++: descriptions that Python generates from the same equations.
import generated from './generated/cells.json'

/**
 * A cell of the kernels. A layer of N neurons and I inputs has four arrays: input weights (G, N, I) and biases (G, N) in
 * the order of `inputDrives`, recurrent weights (R, N, N) in that of `recurrentDrives`, and neuron weights (P, N).
 */
export interface BuiltinCell {
  /** Identifies the equations in the kernels. */
  readonly key: string
  readonly name: string
  /** The named quantities of a neuron, in the order of computation. */
  readonly signals: readonly string[]
  /** The signals that the next step reads. */
  readonly states: readonly string[]
  readonly inputDrives: readonly string[]
  readonly recurrentDrives: readonly string[]
  readonly parameters: readonly string[]
  /** For each drive of the C++ struct, the index of its matrices; -1 for none. */
  readonly inputIndices: readonly number[]
  readonly recurrentIndices: readonly number[]
  /** The drives that the backward pass reads: "x.k", "u.k", or "k" for their sum. */
  readonly residuals: readonly string[]
  /** The canonical JSON of the equations, by which a cell is recognised. */
  readonly tape: string
}

export const BUILTIN_CELLS: readonly BuiltinCell[] = generated
