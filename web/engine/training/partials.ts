// The derivatives of every operation as functions of numbers, from the one table of derivatives.
import { RULES } from '../derivatives'
import { OPERATIONS } from '../operations'
import { type Expression, Pool } from '../symbolic'

/** From the result of an operation and its arguments to the derivative by one argument. */
type PartialFunction = (y: number, a: number, b: number) => number

const OPERAND = 'operand'
const ARGUMENTS: Record<string, PartialFunction> = { y: (y) => y, a: (_y, a) => a, b: (_y, _a, b) => b }

/** Operation -> the derivative by each of its arguments. */
export const PARTIALS: ReadonlyMap<string, readonly PartialFunction[]> = new Map(
  [...OPERATIONS].map(([kind, { arity }]) => {
    const pool = new Pool()
    const [y, a, b] = ['y', 'a', 'b'].map((label) => pool.leaf(OPERAND, label)) as [Expression, Expression, Expression]
    const rule = RULES.get(kind)!
    return [kind, rule.partials.slice(0, arity).map((partial) => compiled(pool.expression(partial(pool, y, a, b))))]
  }),
)

function compiled({ kind, label, arguments: operands }: Expression): PartialFunction {
  if (kind === 'constant') return () => label as number
  if (kind === OPERAND) return ARGUMENTS[label]!
  const { apply } = RULES.get(kind)!
  const [first, second] = operands.map(compiled) as [PartialFunction, PartialFunction?]
  if (!second) return (y, a, b) => apply(first(y, a, b), 0)
  return (y, a, b) => apply(first(y, a, b), second(y, a, b))
}
