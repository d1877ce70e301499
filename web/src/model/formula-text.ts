// Formulas that arrive as text, as Python prints derivatives and the factors of paths, in mathematical type.
import {
  between,
  callNode,
  conditionNode,
  fraction,
  inBrackets,
  lineOf,
  type MathNode,
  mi,
  mo,
  mtext,
  power,
  numberNode,
  row,
  subscript,
  mn,
} from './mathml'
import { minus } from './numbers'

/** A number, a quotient of two names such as ∂h₂[0]/∂c₂[0], a name with places such as U.f[3,0], or a sign. */
const TOKEN = /∂[^\s()/]+\/∂[^\s()]+|\d[\d.]*(?:e[+−]?\d+)?|[^\s()[\],·+−/>]+(?:\[[^\]]*\])?|[()[\],·+−/>]/gu

/** Read a formula on one line: sums, products, quotients, functions and conditions. What cannot be read stays text. */
export function formulaNodes(formula: string): MathNode {
  const text = minus(formula)
  const reader = new Reader(text.match(TOKEN) ?? [])
  try {
    const node = reader.sum()
    return reader.isAtEnd ? node : mtext(text)
  } catch {
    return mtext(text)
  }
}

class Reader {
  #place = 0

  constructor(private readonly tokens: readonly string[]) {}

  get isAtEnd(): boolean {
    return this.#place >= this.tokens.length
  }

  sum(): MathNode {
    let left = this.#product()
    for (let sign = this.#take('+', '−'); sign; sign = this.#take('+', '−'))
      left = row([left, between(sign), this.#product()], 'sum')
    return left
  }

  #product(): MathNode {
    let left = this.#factor()
    for (let sign = this.#take('·', '/'); sign; sign = this.#take('·', '/')) {
      const right = this.#factor()
      if (sign === '/') left = fraction(inside(left), inside(right))
      else if (lineOf(left) === lineOf(right)) left = power(left, mn('2'))
      else left = row([left, between(sign), right], 'product')
    }
    return left
  }

  #factor(): MathNode {
    if (this.#take('−')) return row([mo('−'), this.#factor()], 'product')
    if (this.#take('(')) return inBrackets([], '(', [this.#until(')')], ')')
    if (this.#take('[')) {
      const left = this.sum()
      this.#expect('>')
      return conditionNode(left, this.#until(']'))
    }
    const name = this.tokens[this.#place++]
    if (name === undefined || /^[)\],·+/>]$/.test(name)) throw new SyntaxError(name)
    // Two words are one function: log σ.
    const second = name === 'log' ? this.#take('σ') : null
    const whole = second ? `${name} ${second}` : name
    if (this.#take('(')) {
      const parts = [this.sum()]
      while (this.#take(',')) parts.push(this.sum())
      this.#expect(')')
      return callNode(whole, parts)
    }
    const node = nameNode(whole)
    return this.#take('through') ? row([node, mtext(` through ${this.tokens[this.#place++] ?? ''}`)]) : node
  }

  #until(close: string): MathNode {
    const node = this.sum()
    this.#expect(close)
    return node
  }

  /** Return the next token if it is one of these, and go on. */
  #take(...wanted: string[]): string | null {
    const token = this.tokens[this.#place]
    if (token === undefined || !wanted.includes(token)) return null
    this.#place++
    return token
  }

  #expect(token: string): void {
    if (!this.#take(token)) throw new SyntaxError(token)
  }
}

/** Return what stands in brackets: a fraction needs none. */
const inside = (node: MathNode): MathNode =>
  node.children.length === 3 && node.children[0]!.text === '(' ? node.children[1]! : node

function nameNode(name: string): MathNode {
  const [, upper, lower] = /^(∂[^/]+)\/(∂.+)$/.exec(name) ?? []
  if (upper && lower) return fraction(mi(upper), mi(lower))
  if (/^[\d.]+(e−?\d+)?$/.test(name)) return numberNode(name)
  return name.endsWith('₋₁') ? subscript(mi(name.slice(0, -2)), mn('−1')) : mi(name)
}
