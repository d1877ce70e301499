import { describe, expect, it } from 'vitest'
import type { Finding } from '../src/data/findings'
import type { Summary } from '../src/data/run'
import { inOrder, viewOf, visiblePart } from '../src/model/findings'

const place = { view: 'network', text: null, layer: null, signal: null, neuron: 1, step: 3, feature: null } as const
const evidence = { measure: 'AUROC', score: 1, chance: null, steps: 9 } as const

function finding(step: number, high: number, length = 30, first = 0): Finding {
  const labels = Array.from({ length }, (_, k) => String(first + k))
  const picture = { labels, first, strips: [{ neuron: 1, values: labels.map(Number) }], low: -1, high: 1 }
  const values = { neuron: 1, cell: 'LSTM', symbol: 'Y', high }
  return { kind: 'marks', code: 'FINDING_MARKS', values, evidence, place: { ...place, step }, picture } as Finding
}

describe('the picture on a card', () => {
  it('has the step of its finding, wherever that stands', () => {
    for (const step of [0, 3, 17, 18, 27, 29])
      expect(visiblePart(finding(step, 1), 18).labels, `step ${step}`).toContain(String(step))
    expect(visiblePart(finding(105, 1, 30, 100), 18).labels).toContain('105')
  })
  it('has the value of each label', () => {
    const { labels, values } = visiblePart(finding(27, 1), 18)
    expect(values).toEqual(labels.map(Number))
    expect(labels).toHaveLength(18)
    expect(visiblePart(finding(1, 1, 4), 18).labels).toHaveLength(4)
  })
})

describe('the picture of a failure', () => {
  it('marks the step that is wrong, and says where it is cut', () => {
    const fails = { ...finding(27, 1), kind: 'fails' }
    const { labels, marked, isCutBefore, isCutAfter } = visiblePart(fails, 18)
    expect([labels[marked], isCutBefore, isCutAfter]).toEqual(['27', true, false])
    expect(visiblePart({ ...fails, kind: 'marks' }, 18).marked).toBe(-1)
    expect(visiblePart(finding(3, 1, 4), 18)).toMatchObject({ isCutBefore: false, isCutAfter: false })
  })
})

describe('the order of findings', () => {
  it('puts a neuron that is high at a symbol before one that is low there', () => {
    const run = { name: 'r', task: { name: 't' } } as Summary
    const [low, high] = [finding(3, 0), finding(3, 1)]
    expect(inOrder([low, high].map((one) => ({ run, finding: one }))).map((item) => item.finding)).toEqual([high, low])
  })
})

describe('the view of a finding', () => {
  const run = { name: 'r' } as Summary
  const found = finding(3, 1)
  it('has a scale for each neuron where the signal has no bounds', () => {
    const unbounded = { ...found, picture: { ...found.picture!, low: null, high: null } }
    expect(viewOf({ run, finding: unbounded })).toMatchObject({ run: 'r', neuron: 1, step: 3, scale: 'neuron' })
    const ofNone = { ...unbounded, place: { ...unbounded.place, neuron: null } }
    expect(viewOf({ run, finding: ofNone }).scale).toBe('all')
  })
  it('has one scale for all neurons where the signal has bounds', () => {
    expect(viewOf({ run, finding: found }).scale).toBe('all')
    expect(viewOf({ run, finding: { ...found, picture: null } }).scale).toBe('all')
  })
})
