import { describe, expect, it } from 'vitest'
import { lossAxis, thinnedPoints } from '../src/model/loss-curve'
import { clusters } from '../src/model/clustering'
import { correlations, shownSort, sortNeurons, variances } from '../src/model/neuron-order'

const STEPS = 50
const wave = (k: number, scale: number, shift = 0): number[] =>
  Array.from({ length: STEPS }, (_, t) => Math.sin(t * 0.3 + shift) * scale + k)
// Neuron 0 small, 1 = 0 times -3, 2 still, 3 shifted, 4 = 0 times 2 on a large offset.
const values = Float32Array.from([
  ...wave(0, 0.1),
  ...wave(0, -0.3),
  ...wave(2, 0),
  ...wave(0, 0.5, 1.2),
  ...wave(1000, 0.2),
])

describe('the order of the neurons', () => {
  it('is by number, by variance, by correlation', () => {
    expect(sortNeurons('number', values, STEPS, 0).neurons).toEqual([0, 1, 2, 3, 4])
    expect(sortNeurons('activity', values, STEPS, 0).neurons).toEqual([3, 1, 4, 0, 2])
    expect(sortNeurons('similar', values, STEPS, 0).neurons).toEqual([0, 4, 3, 2, 1])
    expect(sortNeurons('similar', values, STEPS, 2).neurons[0]).toBe(2)
    expect(sortNeurons('similar', values, STEPS, 99).neurons.length).toBe(5)
  })

  it('has every neuron exactly once, with missing data too', () => {
    const holes = values.map((value, k) => (k % 7 === 0 || k < STEPS ? NaN : value))
    for (const sort of ['number', 'activity', 'similar'] as const)
      expect(sortNeurons(sort, holes, STEPS, 3).neurons.toSorted()).toEqual([0, 1, 2, 3, 4])
    expect(sortNeurons('activity', new Float32Array(), 0, 0).neurons).toEqual([])
  })

  it('is by number until the script that compares neurons is there', () => {
    expect(sortNeurons('alike', values, STEPS, 0)).toEqual({ neurons: [0, 1, 2, 3, 4], keys: null, gaps: [] })
    const alike = sortNeurons('alike', values, STEPS, 0, undefined, { clusters })
    expect(alike.neurons.toSorted()).toEqual([0, 1, 2, 3, 4])
    // Neuron 1 is the mirror image of 0, and 4 nearly equals it.
    const places = [0, 1, 4].map((neuron) => alike.neurons.indexOf(neuron))
    expect(Math.max(...places) - Math.min(...places)).toBe(2)
  })

  it('measures what it says', () => {
    const first = wave(0, 0.1)
    const mean = first.reduce((a, b) => a + b) / STEPS
    const variance = first.reduce((sum, value) => sum + (value - mean) ** 2, 0) / STEPS
    expect(variances(values, STEPS)[0]).toBeCloseTo(variance, 7)
    const r = correlations(values, STEPS, 0)
    expect(r[0]).toBeCloseTo(1, 6)
    expect(r[1]).toBeCloseTo(-1, 6)
    expect(r[2]).toBe(0)
    expect(r[4]).toBeCloseTo(1, 3)
  })
})

describe('the loss curve', () => {
  it('keeps the ends, thins the middle, leaves out what has no logarithm', () => {
    const history = Array.from({ length: 1000 }, (_, k) => ({ step: k, loss: k === 5 ? 0 : 1 / (k + 1) }))
    const thin = thinnedPoints(history, 'loss', 100)
    expect(thin.length).toBe(100)
    expect(thinnedPoints(history, 'validation_loss', 100)).toEqual([])
    expect(thinnedPoints(history.slice(0, 10), 'loss', 100).length).toBe(9)
  })

  it('prints ticks inside the axis', () => {
    for (const losses of [[2, 1.3], [4.5, 0.001], [0.7], [3, 2.9]]) {
      const { bottom, top, ticks } = lossAxis(losses)
      for (const loss of losses) expect(Math.log(loss)).toBeGreaterThanOrEqual(bottom)
      for (const value of ticks) {
        expect(Math.log(value)).toBeGreaterThanOrEqual(bottom)
        expect(Math.log(value)).toBeLessThanOrEqual(top)
      }
      if (Math.max(...losses) / Math.min(...losses) > 1.3) expect(ticks.length).toBeGreaterThan(1)
    }
  })
})

describe('the order that nobody chose', () => {
  it('is by label once there are labels, and by activity in a large layer before that', () => {
    expect(shownSort(null, 32, false, false)).toBe('number')
    expect(shownSort(null, 33, false, true)).toBe('activity')
    expect(shownSort(null, 5, true, false)).toBe('score')
    expect(shownSort(null, 500, true, true)).toBe('score')
  })

  it('gives way to a chosen one, which waits for what it needs', () => {
    expect(shownSort('number', 500, true, true)).toBe('number')
    expect(shownSort('effect', 500, true, false)).toBe('number')
    expect(shownSort('effect', 5, false, true)).toBe('effect')
    expect(shownSort('label', 5, false, false)).toBe('number')
    expect(shownSort('similar', 5, true, true)).toBe('similar')
  })
})
