// Formulas as nested JSON and as text, in the words of src/gatescope/equations/formulas.py.
import { ATOM, NEGATED, RULES } from './derivatives'
import { pythonFloat, pythonGeneral } from './python-format'

/** `{ operation, arguments }`, or a leaf such as `{ signal: 'f' }` or `{ constant: 1 }`. */
export type Nested = { operation: string; arguments: Nested[] } | { [leaf: string]: string | number }

export const isOperation = (nested: Nested): nested is { operation: string; arguments: Nested[] } =>
  'operation' in nested

/** Return a formula on one line, as in `f · c₋₁ + i · g`. */
export function formulaText(nested: Nested): string {
  return printed(nested)[0]
}

/** Return the printed form and how tightly it binds. */
function printed(nested: Nested): [string, number] {
  if (!isOperation(nested)) {
    const [kind, label] = Object.entries(nested)[0]!
    if (typeof label === 'number') return [constantText(label), label < 0 ? NEGATED : ATOM]
    return [kind === 'state' ? `${label}₋₁` : String(label), ATOM]
  }
  const { print, binding, needs } = RULES.get(nested.operation)!
  const operands = nested.arguments.map((argument, place) => {
    const [inner, tightness] = printed(argument)
    return needs.length && tightness < needs[place]! ? `(${inner})` : inner
  })
  return [print(...operands), binding]
}

/** Return a number with six digits if these identify it, and otherwise with all. */
function constantText(value: number): string {
  const short = pythonGeneral(value, 6)
  return Number(short) === value ? short : pythonFloat(value)
}
