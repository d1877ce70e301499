// The derivative and the printed form of every operation, beside `OPERATIONS`; and the jumps that only derivatives have.
//
// The rules are those of src/gatescope/equations/operations.py, so that formulas read the same wherever they are made.
import { OPERATIONS } from './operations'
import type { Expression, Pool, Slope } from './symbolic'

/** How tightly a printed form binds. An argument that binds less tightly than required gets parentheses. */
export const [NEGATED, SUM, PRODUCT, ATOM] = [0, 1, 2, 3] as const

type Partial = (pool: Pool, result: Expression, a: Expression, b: Expression) => Slope

export interface Rule {
  apply: (a: number, b: number) => number
  /** For each argument, the derivative of the result by it. It uses the result if possible: a trace contains results. */
  partials: readonly Partial[]
  print: (...operands: string[]) => string
  binding: number
  /** How tightly each argument must bind; empty for functions, which have parentheses of their own. */
  needs: readonly number[]
}

type Derivation = Omit<Rule, 'apply'>

const infix = (sign: string, binding: number, needs: [number, number], partials: Partial[]): Derivation => ({
  partials,
  print: (a, b) => `${a} ${sign} ${b}`,
  binding,
  needs,
})

const call = (name: string, ...partials: Partial[]): Derivation => ({
  partials,
  print: (...operands) => `${name}(${operands.join(', ')})`,
  binding: ATOM,
  needs: [],
})

const reciprocal = (pool: Pool, x: Expression): Expression => pool.operation('divide', 1, x)

const DERIVATIONS: Record<string, Derivation> = {
  add: infix('+', SUM, [SUM, SUM], [() => 1, () => 1]),
  subtract: infix('-', SUM, [SUM, PRODUCT], [() => 1, () => -1]),
  multiply: infix('·', PRODUCT, [PRODUCT, PRODUCT], [(_pool, _y, _a, b) => b, (_pool, _y, a) => a]),
  // One reciprocal serves both derivatives.
  divide: infix(
    '/',
    PRODUCT,
    [PRODUCT, ATOM],
    [
      (pool, _y, _a, b) => reciprocal(pool, b),
      (pool, y, _a, b) => pool.operation('negate', pool.operation('multiply', y, reciprocal(pool, b))),
    ],
  ),
  negate: { partials: [() => -1], print: (a) => `-${a}`, binding: NEGATED, needs: [PRODUCT] },
  sigmoid: call('σ', (pool, y) => pool.operation('multiply', y, pool.operation('subtract', 1, y))),
  tanh: call('tanh', (pool, y) => pool.operation('subtract', 1, pool.operation('multiply', y, y))),
  relu: call('relu', (pool, y) => pool.operation('positive', y)), // y > 0 exactly where x > 0
  exp: call('exp', (_pool, y) => y),
  // 1 - exp(y) would lose its digits where y is near 0.
  log_sigmoid: call('log σ', (pool, _y, x) => pool.operation('sigmoid', pool.operation('negate', x))),
  maximum: call(
    'max',
    (pool, _y, a, b) => pool.operation('above', a, b),
    (pool, _y, a, b) => pool.operation('above', b, a),
  ),
}

/** Operations of derivatives only. A cell cannot use them: no gradient passes a jump. */
const JUMPS: Record<string, Rule> = {
  // 1 where x > 0, otherwise 0: the derivative of relu, at 0 too.
  positive: {
    apply: (x) => (x > 0 ? 1 : Number.isNaN(x) ? NaN : 0),
    partials: [() => 0],
    print: (a) => `[${a} > 0]`,
    binding: ATOM,
    needs: [],
  },
  // 1 where a > b, 1/2 where they are equal, otherwise 0: the derivatives of maximum.
  above: {
    apply: (a, b) => (a === b ? 0.5 : a > b ? 1 : 0),
    partials: [() => 0, () => 0],
    print: (a, b) => `[${a} > ${b}]`,
    binding: ATOM,
    needs: [],
  },
}

/** Operation or jump -> all that is known of it. */
export const RULES: ReadonlyMap<string, Rule> = new Map([
  ...[...OPERATIONS].map(([kind, { apply }]): [string, Rule] => [kind, { apply, ...DERIVATIONS[kind]! }]),
  ...Object.entries(JUMPS),
])
