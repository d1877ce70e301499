import { describe, expect, it } from 'vitest'
import { formulaNodes } from '../src/model/formula-text'
import { lineOf, type MathNode } from '../src/model/mathml'

const tags = ({ tag, children }: MathNode): string[] => [tag, ...children.flatMap(tags)]

describe('a formula that arrives as text', () => {
  it('is read with its functions, brackets and signs', () => {
    for (const formula of [
      'f · c₋₁ + i · g',
      '(1 − z) · n',
      'diag(f · (1 − f) · c₋₁) · U.f',
      'max(log σ(x.f + u.f) + m₋₁, x.i)',
      '−(a · b)',
      '[a > 0] · r',
      'f[5] · f[4] · … · f[2]',
      '0.5000 · (−1.250) · 3.1 × 10^−7',
    ])
      expect(lineOf(formulaNodes(formula.replace('3.1 × 10^−7', '3.1e-7')))).toBe(formula)
  })

  it('has fractions for quotients, also for derivatives', () => {
    expect(tags(formulaNodes('c / n'))).toContain('mfrac')
    expect(lineOf(formulaNodes('o · (1 − tanh(c) · tanh(c))'))).toBe('o · (1 − tanh(c)^2)')
    expect(lineOf(formulaNodes('a / (b · c)'))).toBe('a / (b · c)')
    const path = formulaNodes('∂L/∂h₂[0] · ∂h₂[0]/∂c₂[0] through f · U.f[3,0]')
    expect(tags(path).filter((tag) => tag === 'mfrac')).toHaveLength(2)
    expect(lineOf(path)).toBe('∂L / ∂h₂[0] · ∂h₂[0] / ∂c₂[0] through f · U.f[3,0]')
  })

  it('stays text if it cannot be read', () => {
    for (const formula of ['f ·', '(a', 'a b', '…']) expect(lineOf(formulaNodes(formula))).toBe(formula)
    expect(formulaNodes('a -').tag).toBe('mtext')
  })
})
