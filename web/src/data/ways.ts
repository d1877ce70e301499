// The ways of one weight to one prediction, as the server lists them.

export interface Ways {
  columns: {
    step: number[]
    path: string[]
    formula: string[]
    names: string[][]
    derived: string[][]
    factors: number[][]
    value: number[]
  }
  about: { weight: string; loss: number; total: number }
  /** The characters that were read, the one that came next, and the step of the text at which reading began. */
  read: string[]
  next: string
  first: number
  by_step: number[]
  autograd: number
  digits: number
}
