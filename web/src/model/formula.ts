// A formula of a cell as text, with its numbers filled in, and computed again.
import type { Expression } from '../data/expression'
import { text } from '../messages/text'
import { minus, number } from './numbers'

export type Leaf = Exclude<Expression, { operation: string }>

export type Values = (leaf: Leaf) => number

const INFIX: Record<string, { sign: string; strength: number }> = {
  add: { sign: '+', strength: 1 },
  subtract: { sign: '−', strength: 1 },
  multiply: { sign: '·', strength: 2 },
  divide: { sign: '/', strength: 2 },
}

const NEGATE = 3

const ATOM = 4

const FUNCTIONS: Record<string, string> = {
  sigmoid: 'σ',
  tanh: 'tanh',
  relu: 'relu',
  exp: 'exp',
  log_sigmoid: 'log σ',
  maximum: 'max',
}

const sigmoid = (a: number): number => (a >= 0 ? 1 / (1 + Math.exp(-a)) : Math.exp(a) / (1 + Math.exp(a)))

const COMPUTE: Record<string, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  negate: (a) => -a,
  sigmoid,
  tanh: Math.tanh,
  relu: (a) => (a > 0 || Number.isNaN(a) ? a : 0),
  exp: Math.exp,
  log_sigmoid: (a) => Math.min(a, 0) - Math.log1p(Math.exp(-Math.abs(a))),
  maximum: (a, b) => Math.max(a, b),
}

export function isLeaf(expression: Expression): expression is Leaf {
  return !('operation' in expression)
}

export function evaluate(expression: Expression, values: Values): number {
  if (isLeaf(expression)) return 'constant' in expression ? expression.constant : values(expression)
  const compute = COMPUTE[expression.operation]
  if (!compute) throw new Error(text('FORMULA_OPERATION_UNKNOWN', { operation: expression.operation }))
  const [a = NaN, b = NaN] = expression.arguments.map((argument) => evaluate(argument, values))
  return compute(a, b)
}

interface Piece {
  text: string
  strength: number
}

const bracketed = (piece: Piece, least: number): string => (piece.strength < least ? `(${piece.text})` : piece.text)

function render(expression: Expression, leaf: (leaf: Leaf) => Piece, times: string): Piece {
  if (isLeaf(expression)) return leaf(expression)
  const { operation, arguments: parts } = expression
  const [a, b] = parts.map((part) => render(part, leaf, times))
  const infix = INFIX[operation]
  if (infix && a && b) {
    // a − (b + c), a / (b · c) and a − (b − c) need their brackets; a + b + c and a · b · c do not.
    const strict = operation === 'subtract' || operation === 'divide' ? 1 : 0
    const sign = operation === 'multiply' ? times : infix.sign
    const right = bracketed(b, infix.strength + strict)
    const safe = right.startsWith('−') ? `(${right})` : right
    return { text: `${bracketed(a, infix.strength)} ${sign} ${safe}`, strength: infix.strength }
  }
  if (operation === 'negate' && a) {
    const text = bracketed(a, NEGATE)
    return { text: `−${text.startsWith('−') ? `(${text})` : text}`, strength: NEGATE }
  }
  // Derivatives of functions with a kink are conditions: 1 if true, otherwise 0.
  if (operation === 'above' && a && b) return { text: `[${a.text} > ${b.text}]`, strength: ATOM }
  if (operation === 'positive' && a) return { text: `[${a.text} > 0]`, strength: ATOM }
  const name = FUNCTIONS[operation] ?? operation
  return { text: `${name}(${parts.map((part) => render(part, leaf, times).text).join(', ')})`, strength: ATOM }
}

const plain = (constant: number): string => minus(String(constant))

export function leafName(leaf: Leaf): string {
  if ('signal' in leaf) return leaf.signal
  if ('state' in leaf) return `${leaf.state}₋₁`
  if ('drive' in leaf) return leaf.drive
  if ('parameter' in leaf) return leaf.parameter
  return plain(leaf.constant)
}

/** Print a formula with its symbols: f · c₋₁ + i · g. */
export function symbolic(expression: Expression): string {
  return render(expression, (leaf) => ({ text: leafName(leaf), strength: ATOM }), '·').text
}

/** Print a formula with its numbers: 0.831 × 4.562 + 0.888 × 0.880. */
export function withNumbers(expression: Expression, values: Values): string {
  const leaf = (part: Leaf): Piece => {
    const text = 'constant' in part ? plain(part.constant) : number(values(part))
    return { text, strength: text.startsWith('−') ? NEGATE : ATOM }
  }
  return render(expression, leaf, '×').text
}

/** Return the leaves of a formula except constants, in the order of writing, each once. */
export function leaves(expression: Expression): Leaf[] {
  const leafOfName = new Map<string, Leaf>()
  const walk = (part: Expression): void => {
    if (!isLeaf(part)) part.arguments.forEach(walk)
    else if (!('constant' in part)) leafOfName.set(leafName(part), part)
  }
  walk(expression)
  return [...leafOfName.values()]
}

/** Print a function with its argument computed: σ(1.590). Null for other formulas. */
export function reduced(expression: Expression, values: Values): string | null {
  if (isLeaf(expression) || !(expression.operation in FUNCTIONS)) return null
  if (expression.arguments.every(isLeaf)) return null
  const parts = expression.arguments.map((part) => number(evaluate(part, values)))
  return `${FUNCTIONS[expression.operation]}(${parts.join(', ')})`
}
