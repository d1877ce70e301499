// The paths of one weight to one prediction, as the server lists them.

export interface WeightPaths {
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
  /** The characters that were read, the next one, and the step of the text where the sequence begins. */
  read: string[]
  next: string
  first: number
  by_step: number[]
  autograd: number
  digits: number
}
