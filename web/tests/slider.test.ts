import { describe, expect, it } from 'vitest'
import { shareOf, sliderTrack, snapped } from '../src/model/slider'

const GATE = [0, 1] as const
const OPEN = [null, null] as const
const scale = { low: -8, high: 8 }

describe('the slider of a signal', () => {
  it('shows some of what the signal cannot be', () => {
    expect(sliderTrack(GATE, scale, 0.5)).toEqual({ low: -0.15, high: 1.15, from: 0, to: 1, step: 0.01 })
    expect(sliderTrack([-1, 1], scale, 0)).toEqual({ low: -1.3, high: 1.3, from: -1, to: 1, step: 0.02 })
    expect(sliderTrack([0, null], scale, 0)).toMatchObject({ low: -1.2, high: 8, from: 0, to: 8, step: 0.05 })
  })

  it('has the ends of the scale where the signal has none', () => {
    expect(sliderTrack(OPEN, scale, 3)).toEqual({ low: -8, high: 8, from: -8, to: 8, step: 0.1 })
  })

  it('always has its value', () => {
    expect(sliderTrack(GATE, scale, 4)).toMatchObject({ low: -0.15, high: 4, to: 1 })
    expect(sliderTrack(OPEN, scale, -20)).toMatchObject({ low: -20, from: -20 })
    expect(sliderTrack(GATE, scale, NaN)).toMatchObject({ low: -0.15, high: 1.15 })
  })

  it('has round values', () => {
    const track = sliderTrack(GATE, scale, 0.5)
    expect(snapped(track, 0.12345)).toBe(0.12)
    expect(snapped(track, -0.001)).toBe(0)
    expect(Object.is(snapped(track, -0.001), 0)).toBe(true)
    expect(snapped(track, 7)).toBe(1.15)
    expect(shareOf(track, 0.5)).toBeCloseTo(0.5)
    expect([shareOf(track, -9), shareOf(track, 9)]).toEqual([0, 1])
  })
})
