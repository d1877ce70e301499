import { describe, expect, it } from 'vitest'
import { componentPath, firstPair, neuronPath, spaceLayout, stepNear, symbolGroups } from '../src/model/space'
import { SIGNALS } from './looks'

describe('the space of states', () => {
  it('has the components with their shares and largest weights', () => {
    for (const { values, steps, expected } of SIGNALS) {
      const path = componentPath(values, steps)!
      expect(path.x.share).toBeCloseTo(expected.components.shares[0]!, 9)
      expected.components.projections[1]!.forEach((y, t) => expect(path.y!.values[t]).toBeCloseTo(y, 7))
      const [first] = path.x.weights
      const largest = Math.max(...expected.components.directions[0]!.map(Math.abs))
      expect(first!.weight).toBeCloseTo(largest, 8)
    }
  })

  it('has two neurons, the second one that which varies most', () => {
    const values = Float32Array.of(0, 1, 0, 5, -5, 5, 1, 1, 1)
    expect(firstPair(values, 3, 2)).toEqual([2, 1])
    expect(firstPair(values, 3, 1)).toEqual([1, 0])
    expect(firstPair(values.subarray(0, 3), 3, 0)).toEqual([0, 0])
    expect([...neuronPath(values, 3, [1, 0]).x.values]).toEqual([5, -5, 5])
  })

  it('is not there if nothing varies', () => {
    expect(componentPath(Float32Array.of(1, 1, 1), 3)).toBeNull()
    expect(componentPath(Float32Array.of(1, 2, 4), 3)!.y).toBeNull()
  })

  it('has one unit for both components, and finds the dot under a point', () => {
    const { values, steps } = SIGNALS[0]!
    const path = componentPath(values, steps)!
    const layout = spaceLayout(path, 320, 260)
    expect(layout.x(1) - layout.x(0)).toBeCloseTo(layout.y(0) - layout.y(1), 9)
    const at = (t: number): [number, number] => [layout.x(path.x.values[t]!), layout.y(path.y!.values[t]!)]
    for (let t = 0; t < steps; t++) {
      const [x, y] = at(t)
      expect(x).toBeGreaterThan(0)
      expect(x).toBeLessThan(320)
      expect(y).toBeGreaterThan(0)
      expect(y).toBeLessThan(260)
      const found = stepNear(path, layout, x, y, 10)!
      expect(Math.hypot(at(found)[0] - x, at(found)[1] - y)).toBeLessThan(1e-9)
    }
    expect(stepNear(path, layout, -100, -100, 10)).toBeNull()
  })

  it('has a colour for each of the most frequent symbols', () => {
    const { groups, others } = symbolGroups([...'ab\nabcdefgab\n'])
    expect(groups.map(({ label }) => label)).toEqual(['a', 'b', '\n', 'c', 'd', 'e'])
    expect(groups[2]!.name).toBe('⏎')
    expect(others).toBe(2)
  })
})
