import { describe, expect, it } from 'vitest'
import { lossAxis, thinnedPoints } from '../src/model/loss-curve'

describe('the points of a loss curve', () => {
  const history = Array.from({ length: 10 }, (_, k) => ({ step: k, loss: k + 1 }))

  it('are means of neighbours where there are too many', () => {
    expect(thinnedPoints(history, 'loss', 10)).toEqual(history)
    expect(thinnedPoints(history, 'loss', 4)).toEqual([
      { step: 1, loss: 2 },
      { step: 4, loss: 5 },
      { step: 7, loss: 8 },
      { step: 9, loss: 10 },
    ])
  })

  it('are those with a place on a logarithmic axis', () => {
    const records = [{ step: 0, loss: 0 }, { step: 1, loss: Infinity }, { step: 2 }, { step: 3, loss: 2 }]
    expect(thinnedPoints(records, 'loss', 9)).toEqual([{ step: 3, loss: 2 }])
    expect(thinnedPoints(records, 'validation_loss', 9)).toEqual([])
  })
})

describe('the axis of losses', () => {
  it('holds every loss between its ends, with round ticks', () => {
    for (const losses of [
      [0.01, 3],
      [1.2, 1.4],
      [1e-6, 10],
    ]) {
      const { bottom, top, ticks } = lossAxis(losses)
      for (const loss of losses) expect(Math.log(loss)).toSatisfy((log: number) => bottom < log && log < top)
      expect(ticks.length).toBeGreaterThan(0)
      for (const tick of ticks) expect(Math.log(tick)).toSatisfy((log: number) => bottom <= log && log <= top)
    }
    expect(lossAxis([0.01, 3]).ticks).toEqual([0.01, 0.1, 1])
  })
})
