// The paths of one weight to one prediction, as the server lists them.

export interface WeightPaths {
  columns: {
    step: number[]
    kind: ('at once' | 'straight on' | 'through' | 'start')[]
    /** The place of the equations that a path passes, and the neuron of the last step if it is a single one. */
    place: string[]
    neuron: (number | null)[]
    formula: string[]
    names: string[][]
    derived: string[][]
    factors: number[][]
    value: number[]
  }
  about: { weight: string; loss: number; total: number }
  /** The characters that were read, the next one, and the step of the text where the sequence begins. */
  read: string[]
  next: string
  first: number
  by_step: number[]
  /** The derivative of another method: torch's autograd on the server, finite differences in the browser. */
  autograd?: number
  differences?: number
  digits: number
}
