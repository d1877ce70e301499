// Short forms of expressions.
import type { Expression } from '../src/data/expression'

export const op = (operation: string, ...parts: Expression[]): Expression => ({ operation, arguments: parts })
export const s = (signal: string): Expression => ({ signal })
export const x = (name: string): Expression => ({ drive: `x.${name}` })
export const u = (name: string): Expression => ({ drive: `u.${name}` })
export const one: Expression = { constant: 1 }
