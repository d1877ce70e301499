// Formulas in mathematical type: trees of MathML elements, and the places where a long one breaks.
//
// https://www.w3.org/TR/mathml-core/ has no line breaks inside of a formula, so a long one becomes several formulas.
import type { Expression } from '../data/expression'
import {
  constantText,
  evaluate,
  isLeaf,
  type Leaf,
  leafName,
  leafNumber,
  type Notation,
  type Values,
  write,
} from './formula'

/** An element of MathML, with the part of a formula that it prints. */
export interface MathNode {
  tag: 'mrow' | 'mi' | 'mn' | 'mo' | 'mtext' | 'mfrac' | 'msub' | 'msup'
  /** Of an element without children. */
  text: string
  children: MathNode[]
  of?: Expression
  /** Whether it is a sign between two parts, also where a line begins with it. */
  infix?: true
  /** Whether it is a bracket around parts of one line, which keeps its size. */
  fixed?: true
  /** Where a row may break: before the sign of a sum; in a product and a function only inside of their parts. */
  form?: 'sum' | 'product' | 'call'
}

const token =
  (tag: 'mi' | 'mn' | 'mo' | 'mtext') =>
  (text: string): MathNode => ({ tag, text, children: [] })

export const [mi, mn, mo, mtext] = [token('mi'), token('mn'), token('mo'), token('mtext')]

/** Return a sign between two parts. */
export const between = (sign: string): MathNode => ({ ...mo(sign), infix: true })

const element =
  (tag: 'mfrac' | 'msub' | 'msup') =>
  (first: MathNode, second: MathNode): MathNode => ({ tag, text: '', children: [first, second] })

export const [fraction, subscript, power] = [element('mfrac'), element('msub'), element('msup')]

export const row = (children: MathNode[], form?: MathNode['form']): MathNode => ({
  tag: 'mrow',
  text: '',
  children,
  ...(form ? { form } : {}),
})

/** The most characters of an exponent; a longer one would be too small to read. */
const MAX_EXPONENT = 14

/** Return a number that is printed as 0.831, −0.5 or 3.1e−7; the last one becomes a product with a power of ten. */
export function numberNode(printed: string): MathNode {
  const [, sign = '', digits = '', exponent = null] = /^(−?)([\d.]+|∞)(?:e(−?\d+))?$/.exec(printed) ?? []
  if (!digits) return mtext(printed)
  const size = exponent === null ? [mn(digits)] : [mn(digits), between('×'), power(mn('10'), mn(exponent))]
  const parts = sign ? [mo('−'), ...size] : size
  return parts.length === 1 ? parts[0]! : row(parts)
}

const isTall = ({ tag, children }: MathNode): boolean => tag === 'mfrac' || children.some(isTall)

/** Return parts in brackets, which grow only around fractions. */
export function inBrackets(before: MathNode[], open: string, parts: MathNode[], close: string): MathNode {
  const bracket = (text: string): MathNode => (parts.some(isTall) ? mo(text) : { ...mo(text), fixed: true })
  return row([...before, bracket(open), ...parts, bracket(close)], 'call')
}

/** Return a function of some parts. */
export const callNode = (name: string, parts: readonly MathNode[]): MathNode =>
  inBrackets(
    [mi(name)],
    '(',
    parts.flatMap((part, k) => (k ? [mo(','), part] : [part])),
    ')',
  )

/** Return a condition: 1 if the first part is larger, otherwise 0. */
export const conditionNode = (left: MathNode, right: MathNode): MathNode =>
  inBrackets([], '[', [left, between('>'), right], ']')

/** Return the name of a leaf: f, x.i, or a state with the step from which it is read. */
function nameNode(leaf: Leaf, reverse: boolean): MathNode {
  if ('state' in leaf) return subscript(mi(leaf.state), mn(reverse ? '+1' : '−1'))
  if ('constant' in leaf) return numberNode(constantText(leaf.constant))
  return mi(leafName(leaf))
}

const NOTATION: Omit<Notation<MathNode>, 'leaf' | 'times'> = {
  infix: (left, sign, right) => row([left, between(sign), right], sign === '+' || sign === '−' ? 'sum' : 'product'),
  negated: (part) => row([mo('−'), part], 'product'),
  bracketed: (part) => inBrackets([], '(', [part], ')'),
  call: callNode,
  condition: (left, right) => conditionNode(left, right ?? mn('0')),
  special: (operation, parts) => {
    const [a, b] = parts
    if (operation === 'divide' && a && b) return fraction(a, b)
    if (operation === 'exp' && a && widthOf(a) <= MAX_EXPONENT) return power(mi('e'), a)
    return null
  },
  made: (print, of) => ({ ...print, of }),
}

/** Return a formula with its symbols; `reverse` for a layer that reads from the end. */
export function symbolNodes(expression: Expression, reverse = false): MathNode {
  const leaf = (part: Leaf): { print: MathNode; isNegative: boolean } => ({
    print: nameNode(part, reverse),
    isNegative: 'constant' in part && part.constant < 0,
  })
  return write(expression, { ...NOTATION, times: '·', leaf }).print
}

/** Return a formula with its numbers. */
export function numberNodes(expression: Expression, values: Values): MathNode {
  const leaf = (part: Leaf): { print: MathNode; isNegative: boolean } => {
    const printed = leafNumber(part, values)
    return { print: numberNode(printed), isNegative: printed.startsWith('−') }
  }
  return write(expression, { ...NOTATION, times: '×', leaf }).print
}

/** Return the last operation of a formula with its arguments computed, as in σ(1.590); null if none had to be computed. */
export function lastOperation(expression: Expression, values: Values): MathNode | null {
  if (isLeaf(expression) || expression.arguments.every(isLeaf)) return null
  const computed = expression.arguments.map((part) => evaluate(part, values))
  const places = computed.map((_, k) => ({ signal: String(k) }))
  const valueOf = (leaf: Leaf): number => ('signal' in leaf ? computed[Number(leaf.signal)]! : NaN)
  return numberNodes({ operation: expression.operation, arguments: places }, valueOf)
}

/** Return a formula on one line, for screen readers: c₋₁, a / b, e^(x), 10^−7. */
export function lineOf(node: MathNode): string {
  const [first, second] = node.children
  if (!first) return node.text
  if (!second || node.tag === 'mrow') return rowText(node.children)
  const [a, b] = [lineOf(first), lineOf(second)]
  if (node.tag === 'mfrac') return `${grouped(a)} / ${grouped(b)}`
  if (node.tag === 'msup') return `${a}^${grouped(b)}`
  return b === '−1' ? `${a}₋₁` : b === '+1' ? `${a}₊₁` : `${a}${subscriptText(b)}`
}

const grouped = (text: string): string => (/ /.test(text) ? `(${text})` : text)

const subscriptText = (text: string): string =>
  /^\d+$/.test(text) ? [...text].map((digit) => '₀₁₂₃₄₅₆₇₈₉'[Number(digit)]).join('') : `_${text}`

function rowText(children: readonly MathNode[]): string {
  return children
    .map((child, k) => {
      const text = lineOf(child)
      if (child.infix) return k ? ` ${text} ` : `${text} `
      return text === ',' ? ', ' : text
    })
    .join('')
}

/** Return about how many characters wide a formula is. */
export function widthOf(node: MathNode): number {
  const widths = node.children.map(widthOf)
  if (!widths.length) return node.text.length + (node.infix ? 2 : 0)
  if (node.tag === 'mfrac') return Math.max(...widths)
  if (node.tag === 'msup' || node.tag === 'msub') return widths[0]! + 0.7 * widths[1]!
  return widths.reduce((sum, width) => sum + width, 0)
}

/** Break a formula that is wider than some characters: before the signs of its sums, the outermost ones first. */
export function broken(node: MathNode, most: number): MathNode[] {
  if (widthOf(node) <= most || !node.form) return [node]
  const pieces: MathNode[] = []
  /** What stands before the next piece on its line. */
  let before: MathNode[] = []
  const close = (piece: MathNode): void => {
    pieces.push(before.length ? row([...before, piece]) : piece)
    before = []
  }
  for (const [k, child] of node.children.entries()) {
    const isSign = child.tag === 'mo'
    const endsPiece = isSign && /^[),\]]$/.test(child.text)
    if (endsPiece && pieces.length) pieces.push(row([pieces.pop()!, child]))
    else if (isSign || (child.tag === 'mi' && k === 0 && node.form === 'call')) before.push(child)
    else {
      const [first, ...rest] = broken(child, most)
      if (node.form === 'product' && pieces.length) {
        // A product stays together: its sign follows on the line of its first factor.
        before = [pieces.pop()!, ...before]
      }
      close(first!)
      pieces.push(...rest)
    }
  }
  return pieces
}
