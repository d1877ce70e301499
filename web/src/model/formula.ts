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

/** A part of a formula in print: how tightly it binds, and whether it begins with a minus. */
export interface Piece<T> {
  print: T
  strength: number
  isNegative: boolean
}

/** A way to print formulas. */
export interface Notation<T> {
  times: string
  leaf: (leaf: Leaf) => Pick<Piece<T>, 'print' | 'isNegative'>
  infix: (left: T, sign: string, right: T) => T
  negated: (part: T) => T
  bracketed: (part: T) => T
  call: (name: string, parts: T[]) => T
  /** A condition: 1 if true, otherwise 0. */
  condition: (left: T, right: T | null) => T
  /** A form of its own for an operation, which needs no brackets around it; null for the usual one. */
  special?: (operation: string, parts: T[], of: Expression) => T | null
  /** Called with the print of every part. */
  made?: (print: T, of: Expression) => T
}

/** Print a formula, with brackets exactly where they change its value. */
export function write<T>(expression: Expression, notation: Notation<T>): Piece<T> {
  const piece = writePart(expression, notation)
  return notation.made ? { ...piece, print: notation.made(piece.print, expression) } : piece
}

function writePart<T>(expression: Expression, notation: Notation<T>): Piece<T> {
  if (isLeaf(expression)) {
    const leaf = notation.leaf(expression)
    return { ...leaf, strength: leaf.isNegative ? NEGATE : ATOM }
  }
  const { operation, arguments: parts } = expression
  const pieces = parts.map((part) => write(part, notation))
  const prints = pieces.map(({ print }) => print)
  const atom = (print: T): Piece<T> => ({ print, strength: ATOM, isNegative: false })
  const special = notation.special?.(operation, prints, expression)
  if (special) return atom(special)
  const [a, b] = pieces
  const bracketed = (piece: Piece<T>, least: number, isRight = false): T =>
    piece.strength < least || (isRight && piece.isNegative) ? notation.bracketed(piece.print) : piece.print
  const infix = INFIX[operation]
  if (infix && a && b) {
    // a − (b + c), a / (b · c) and a − (b − c) need their brackets; a + b + c and a · b · c do not.
    const strict = operation === 'subtract' || operation === 'divide' ? 1 : 0
    const sign = operation === 'multiply' ? notation.times : infix.sign
    const left = bracketed(a, infix.strength)
    const print = notation.infix(left, sign, bracketed(b, infix.strength + strict, true))
    return { print, strength: infix.strength, isNegative: a.isNegative && left === a.print }
  }
  if (operation === 'negate' && a)
    return { print: notation.negated(bracketed(a, NEGATE, true)), strength: NEGATE, isNegative: true }
  // Derivatives of functions with a kink are conditions.
  if (operation === 'above' && a && b) return atom(notation.condition(a.print, b.print))
  if (operation === 'positive' && a) return atom(notation.condition(a.print, null))
  return atom(notation.call(FUNCTIONS[operation] ?? operation, prints))
}

/** Formulas on one line. */
const onOneLine = (times: string, leaf: (leaf: Leaf) => string): Notation<string> => ({
  times,
  leaf: (part) => ({ print: leaf(part), isNegative: leaf(part).startsWith('−') }),
  infix: (left, sign, right) => `${left} ${sign} ${right}`,
  negated: (part) => `−${part}`,
  bracketed: (part) => `(${part})`,
  call: (name, parts) => `${name}(${parts.join(', ')})`,
  condition: (left, right) => `[${left} > ${right ?? 0}]`,
})

export const constantText = (constant: number): string => minus(String(constant))

export function leafName(leaf: Leaf): string {
  if ('signal' in leaf) return leaf.signal
  if ('state' in leaf) return `${leaf.state}₋₁`
  if ('drive' in leaf) return leaf.drive
  if ('parameter' in leaf) return leaf.parameter
  return constantText(leaf.constant)
}

/** Print a formula with its symbols: f · c₋₁ + i · g. */
export function symbolic(expression: Expression): string {
  return write(expression, onOneLine('·', leafName)).print
}

/** Print a leaf as its number. */
export const leafNumber = (leaf: Leaf, values: Values): string =>
  'constant' in leaf ? constantText(leaf.constant) : number(values(leaf))

/** Print a formula with its numbers: 0.831 × 4.562 + 0.888 × 0.880. */
export function withNumbers(expression: Expression, values: Values): string {
  return write(
    expression,
    onOneLine('×', (leaf) => leafNumber(leaf, values)),
  ).print
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
