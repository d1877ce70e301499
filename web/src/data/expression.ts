// The formula of a signal, as a tree.

export type Expression =
  | { operation: string; arguments: Expression[] }
  | { signal: string }
  | { state: string }
  | { drive: string }
  | { parameter: string }
  | { constant: number }
