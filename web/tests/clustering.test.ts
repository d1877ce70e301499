import { describe, expect, it } from 'vitest'
import { averageLinkage, clusters, correlationDistances, leafOrder } from '../src/model/clustering'
import { listed, missingFor, sortNeurons } from '../src/model/neuron-order'
import { NEURONS, SIGNALS } from './looks'

describe('clusters of neurons', () => {
  for (const { title, values, steps, expected } of SIGNALS)
    it(`equal SciPy's: ${title}`, () => {
      if (!expected.clusters) return
      const { distances, merges, groups } = expected.clusters
      const own = correlationDistances(values, steps)
      distances.forEach((distance, k) => expect(own[k]).toBeCloseTo(distance, 10))
      averageLinkage(own, NEURONS).forEach(({ first, second, distance, size }, k) => {
        expect([first, second, size]).toEqual([merges[k]![0], merges[k]![1], merges[k]![3]])
        expect(distance).toBeCloseTo(merges[k]![2], 10)
      })
      const { order, gaps } = clusters(values, steps)
      expect(order.toSorted((a, b) => a - b)).toEqual([...new Array<number>(NEURONS).keys()])
      // Every group of SciPy's fcluster stands together, with a gap around it.
      const parts = [0, ...gaps, NEURONS].flatMap((gap, k, all) => (k ? [order.slice(all[k - 1], gap)] : []))
      expect(parts.map((part) => new Set(part.map((neuron) => groups[neuron])).size)).toEqual(parts.map(() => 1))
      expect(parts.length).toBe(new Set(groups).size)
    })

  it('turn where they touch', () => {
    // 0 and 1, 2 and 3 are near; 1 is nearest to 3.
    const distances = Float64Array.from([0.1, 0.9, 0.8, 0.7, 0.3, 0.1])
    expect(leafOrder(averageLinkage(distances, 4), distances, 4)).toEqual([0, 1, 3, 2])
  })

  it('keep every neuron, whatever its values are', () => {
    expect(clusters(new Float32Array(), 0)).toMatchObject({ order: [], gaps: [] })
    expect(clusters(Float32Array.of(1, 2, 3), 3)).toMatchObject({ order: [0], gaps: [] })
    const odd = Float32Array.of(1, 1, 1, NaN, 2, 3, 1, 2, 3, -1, -2, -3)
    expect(clusters(odd, 3).order.toSorted()).toEqual([0, 1, 2, 3])
    // A neuron and its reverse are alike; constant neurons and those without data are like no other.
    const { order } = clusters(odd, 3)
    expect(Math.abs(order.indexOf(2) - order.indexOf(3))).toBe(1)
    expect([...correlationDistances(odd, 3)].map((x) => Number(x.toFixed(6)))).toEqual([1, 1, 1, 1, 1, 0])
  })

  it('use every k-th step of a long text', () => {
    const steps = 20_000
    const values = Float32Array.from({ length: 128 * steps }, (_, k) => Math.sin((k % steps) * ((k / steps) | 0)))
    expect(clusters(values, steps).stride).toBe(3)
  })
})

describe('groups in the order', () => {
  it('begin where another label begins', () => {
    const scores = { score: Float64Array.of(1, 2, 3), effect: new Float64Array(3), label: ['b', 'a', 'b'] }
    const order = sortNeurons('label', new Float32Array(3), 1, 0, scores)
    expect(order).toMatchObject({ neurons: [1, 2, 0], gaps: [1] })
    expect(listed(order, (neuron) => neuron !== 1)).toMatchObject({ neurons: [2, 0], gaps: [] })
    expect(listed(order, (neuron) => neuron !== 2)).toMatchObject({ neurons: [1, 0], gaps: [1] })
  })

  it('need labels, effects, or few neurons', () => {
    expect(missingFor('alike', 2048, false, false)).toBe(false)
    expect(missingFor('alike', 2049, true, true)).toBe(true)
    expect(missingFor('label', 10, false, true)).toBe(true)
    expect(missingFor('effect', 10, true, false)).toBe(true)
  })
})
