import { describe, expect, it } from 'vitest'
import type { Expression } from '../src/data/expression'
import { evaluate, withNumbers, leafName, leaves, symbolic } from '../src/model/formula'
import { number } from '../src/model/numbers'
import { one, op, s, u, x } from './expressions'

const CELL = op('add', op('multiply', s('f'), { state: 'c' }), op('multiply', s('i'), s('g')))
const HIDDEN = op('multiply', s('o'), op('tanh', s('c')))
const GRU = op('add', op('multiply', op('subtract', one, s('z')), s('n')), op('multiply', s('z'), { state: 'h' }))
const CANDIDATE = op('tanh', op('add', x('n'), op('multiply', s('r'), u('n'))))

const NUMBERS: Record<string, number> = {
  f: 0.831,
  'c₋₁': 4.562,
  i: 0.888,
  g: -0.88,
  o: 0.965,
  c: 4.572,
  z: 0.25,
  n: -0.5,
  'h₋₁': 0.75,
  r: 0.1,
  'x.n': 1.25,
  'u.n': -2.5,
}
const values = (leaf: Parameters<typeof leafName>[0]): number => NUMBERS[leafName(leaf)] ?? NaN

describe('a formula as text', () => {
  it('is written as in the books', () => {
    expect(symbolic(CELL)).toBe('f · c₋₁ + i · g')
    expect(symbolic(HIDDEN)).toBe('o · tanh(c)')
    expect(symbolic(GRU)).toBe('(1 − z) · n + z · h₋₁')
    expect(symbolic(CANDIDATE)).toBe('tanh(x.n + r · u.n)')
    expect(symbolic(op('maximum', op('add', op('log_sigmoid', x('f')), { state: 'm' }), x('i')))).toBe(
      'max(log σ(x.f) + m₋₁, x.i)',
    )
  })

  it('has brackets exactly where they change the value', () => {
    const [a, b, c] = [s('a'), s('b'), s('c')]
    expect(symbolic(op('subtract', a, op('add', b, c)))).toBe('a − (b + c)')
    expect(symbolic(op('subtract', op('subtract', a, b), c))).toBe('a − b − c')
    expect(symbolic(op('divide', a, op('multiply', b, c)))).toBe('a / (b · c)')
    expect(symbolic(op('multiply', op('add', a, b), c))).toBe('(a + b) · c')
    expect(symbolic(op('negate', op('multiply', a, b)))).toBe('−(a · b)')
    expect(symbolic(op('add', a, op('negate', b)))).toBe('a + (−b)')
    expect(symbolic(op('negate', op('negate', a)))).toBe('−(−a)')
  })

  it('contains the numbers, negative ones in brackets', () => {
    expect(withNumbers(CELL, values)).toBe('0.831 × 4.562 + 0.888 × (−0.880)')
    expect(withNumbers(GRU, values)).toBe('(1 − 0.250) × (−0.500) + 0.250 × 0.750')
    expect(withNumbers(CANDIDATE, values)).toBe('tanh(1.250 + 0.100 × (−2.500))')
  })

  it('has the value of its expression when JavaScript evaluates the text', () => {
    // The expressions are random trees. JavaScript is an evaluator that shares no code with `evaluate`.
    let seed = 7
    const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647
    const names = ['f', 'i', 'o', 'z', 'n', 'r', 'c']
    const tree = (depth: number): Expression => {
      const kinds = ['add', 'subtract', 'multiply', 'divide', 'negate', 'tanh', 'maximum']
      const kind = kinds[Math.floor(random() * kinds.length)]!
      if (depth === 0 || random() < 0.2) return s(names[Math.floor(random() * names.length)]!)
      if (kind === 'negate' || kind === 'tanh') return op(kind, tree(depth - 1))
      return op(kind, tree(depth - 1), tree(depth - 1))
    }
    for (let k = 0; k < 300; k++) {
      const expression = tree(4)
      const code = symbolic(expression).replaceAll('·', '*').replaceAll('−', '-').replaceAll('--', '- -')
      const read = new Function('tanh', 'max', ...names, `return ${code}`)
      const expected: number = read(Math.tanh, Math.max, ...names.map((name) => NUMBERS[name]))
      const value = evaluate(expression, values)
      if (Math.abs(expected) < 1e4) expect(Math.abs(value - expected), symbolic(expression)).toBeLessThan(1e-9)
    }
  })
})

describe('a formula computed', () => {
  it('agrees with the arithmetic written out', () => {
    expect(evaluate(CELL, values)).toBeCloseTo(0.831 * 4.562 + 0.888 * -0.88, 12)
    expect(evaluate(HIDDEN, values)).toBeCloseTo(0.965 * Math.tanh(4.572), 12)
    expect(evaluate(GRU, values)).toBeCloseTo(0.75 * -0.5 + 0.25 * 0.75, 12)
    for (const a of [-800, -3, -1e-9, 0, 2.5, 800]) {
      const at = (operation: string): number => evaluate(op(operation, { constant: a }), values)
      expect(at('sigmoid')).toBeCloseTo(0.5 * (1 + Math.tanh(a / 2)), 12)
      expect(at('relu')).toBe(a > 0 ? a : 0)
      expect(at('log_sigmoid')).toBeCloseTo(a < -700 ? a : -Math.log(1 + Math.exp(-a)), 9)
      expect(at('negate')).toBe(-a)
    }
    expect(evaluate(op('sigmoid', s('missing')), values)).toBeNaN()
    expect(() => evaluate(op('cosh', one), values)).toThrow('cosh')
  })

  it('lists each signal, state and drive that it reads once', () => {
    expect(leaves(GRU).map(leafName)).toEqual(['z', 'n', 'h₋₁'])
  })
})

describe('a number', () => {
  it('keeps three decimals, the sign, and its size when it is tiny', () => {
    expect([0.8312, -0.8312, 0, 3.1e-7, -2e-12, NaN, Infinity, 2.5e7].map((value) => number(value))).toEqual([
      '0.831',
      '−0.831',
      '0.000',
      '3.1e−7',
      '−2.0e−12',
      'no data',
      '∞',
      '2.5e7',
    ])
  })
})
