import { describe, expect, it } from 'vitest'
import type { Expression } from '../src/data/expression'
import { symbolic } from '../src/model/formula'
import {
  broken,
  lastOperation,
  lineOf,
  type MathNode,
  numberNode,
  numberNodes,
  symbolNodes,
  widthOf,
} from '../src/model/mathml'
import { one, op, s, u, x } from './expressions'

const CELL = op('add', op('multiply', s('f'), { state: 'c' }), op('multiply', s('i'), s('g')))
const GRU = op('add', op('multiply', op('subtract', one, s('z')), s('n')), op('multiply', s('z'), { state: 'h' }))
const STABILISER = op(
  'maximum',
  op('add', op('log_sigmoid', op('add', x('f'), u('f'))), { state: 'm' }),
  op('add', x('i'), u('i')),
)

/** Write the tags and texts of a formula. */
const markup = ({ tag, text, children }: MathNode): string => `<${tag}>${text}${children.map(markup).join('')}</${tag}>`

describe('a formula in mathematical type', () => {
  it('reads as the formula on one line', () => {
    for (const expression of [
      CELL,
      GRU,
      STABILISER,
      op('negate', s('a')),
      op('subtract', s('a'), op('add', x('i'), s('b'))),
    ])
      expect(lineOf(symbolNodes(expression))).toBe(symbolic(expression))
    expect(lineOf(symbolNodes(CELL, true))).toBe('f · c₊₁ + i · g')
  })

  it('has fractions, subscripts and powers', () => {
    expect(markup(symbolNodes(op('divide', s('c'), op('add', s('n'), one))))).toBe(
      '<mfrac><mi>c</mi><mrow><mi>n</mi><mo>+</mo><mn>1</mn></mrow></mfrac>',
    )
    expect(markup(symbolNodes({ state: 'c' }))).toBe('<msub><mi>c</mi><mn>−1</mn></msub>')
    expect(markup(symbolNodes(op('exp', op('subtract', x('i'), s('m')))))).toBe(
      '<msup><mi>e</mi><mrow><mi>x.i</mi><mo>−</mo><mi>m</mi></mrow></msup>',
    )
    expect(markup(numberNode('3.1e−7'))).toBe('<mrow><mn>3.1</mn><mo>×</mo><msup><mn>10</mn><mn>−7</mn></msup></mrow>')
    expect(markup(numberNode('−0.500'))).toBe('<mrow><mo>−</mo><mn>0.500</mn></mrow>')
    expect(markup(numberNode('no data'))).toBe('<mtext>no data</mtext>')
    // A long exponent would be too small to read.
    expect(lineOf(symbolNodes(op('exp', STABILISER)))).toBe(`exp(${symbolic(STABILISER)})`)
  })

  it('has the numbers, negative ones in brackets', () => {
    const numbers: Record<string, number> = { f: 0.831, c: -4.562, i: 3.1e-7, g: -0.88 }
    const values = (leaf: object): number => numbers[Object.values(leaf)[0] as string]!
    expect(lineOf(numberNodes(CELL, values))).toBe('0.831 × (−4.562) + 3.1 × 10^−7 × (−0.880)')
  })

  it('computes the arguments of its last operation', () => {
    const numbers: Record<string, number> = {
      f: 0.5,
      c: 3,
      i: 0.25,
      g: -1,
      z: 0.25,
      n: 2,
      h: 1,
      'x.i': 1.5,
      'u.i': -2.5,
    }
    const values = (leaf: object): number => numbers[Object.values(leaf)[0] as string]!
    const last = (expression: Expression): string => lineOf(lastOperation(expression, values)!)
    expect(last(CELL)).toBe('1.500 + (−0.250)')
    expect(last(op('sigmoid', op('add', x('i'), u('i'))))).toBe('σ(−1.000)')
    expect(last(op('divide', CELL, s('n')))).toBe('1.250 / 2.000')
    expect(lastOperation(op('tanh', s('c')), values)).toBeNull()
    expect(lastOperation(x('i'), values)).toBeNull()
  })

  it('names the part of the formula that an element prints', () => {
    const parts: (Expression | undefined)[] = []
    const walk = (node: MathNode): void => {
      parts.push(node.of)
      node.children.forEach(walk)
    }
    walk(symbolNodes(CELL))
    const { arguments: sums } = CELL as { arguments: Expression[] }
    const product = sums[0] as { arguments: Expression[] }
    for (const part of [CELL, ...sums, ...product.arguments]) expect(parts).toContain(part)
  })

  it('breaks before the signs of its sums, the outermost ones first, and never inside of a product', () => {
    const lines = (expression: Expression, most: number): string[] =>
      broken(symbolNodes(expression), most).map((piece) => lineOf(piece).trim())
    expect(lines(CELL, 40)).toEqual(['f · c₋₁ + i · g'])
    expect(lines(CELL, 12)).toEqual(['f · c₋₁', '+ i · g'])
    expect(lines(CELL, 1)).toEqual(['f · c₋₁', '+ i · g'])
    expect(lines(STABILISER, 25)).toEqual(['max(log σ(x.f + u.f) + m₋₁,', 'x.i + u.i)'])
    expect(lines(GRU, 12)).toEqual(['(1 − z) · n', '+ z · h₋₁'])
    for (const most of [1, 8, 20])
      expect(lines(STABILISER, most).join(' ').replaceAll('( ', '(')).toBe(symbolic(STABILISER))
    expect(widthOf(symbolNodes(CELL))).toBeGreaterThan(10)
  })
})
