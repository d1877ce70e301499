// The operations of equations, each defined once: its number of arguments, and its function on numbers.
// tests/engine/operations.test.ts compares the table with src/gatescope/equations/operations.py.

export interface Operation {
  arity: 1 | 2
  apply: (a: number, b: number) => number
}

/** Return the logistic function, computed without overflow: exp gets negative numbers only. */
export function sigmoid(x: number): number {
  const small = Math.exp(-Math.abs(x))
  return (x >= 0 ? 1 : small) / (1 + small)
}

const logSigmoid = (x: number): number => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)))

export const OPERATIONS: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ['add', { arity: 2, apply: (a, b) => a + b }],
  ['subtract', { arity: 2, apply: (a, b) => a - b }],
  ['multiply', { arity: 2, apply: (a, b) => a * b }],
  ['divide', { arity: 2, apply: (a, b) => a / b }],
  ['negate', { arity: 1, apply: (a) => -a }],
  ['sigmoid', { arity: 1, apply: sigmoid }],
  ['tanh', { arity: 1, apply: Math.tanh }],
  ['relu', { arity: 1, apply: (a) => Math.max(a, 0) }],
  ['exp', { arity: 1, apply: Math.exp }],
  ['log_sigmoid', { arity: 1, apply: logSigmoid }],
  ['maximum', { arity: 2, apply: Math.max }],
])
