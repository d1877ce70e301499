// The slider of a signal: the values on it, the part of them that the signal can have, and the step of a key.
import type { Scale } from './scale'

export interface SliderTrack {
  /** The ends of the slider. */
  low: number
  high: number
  /** The ends of what the signal can be. */
  from: number
  to: number
  /** The distance of two values of the slider. */
  step: number
}

/** The part of the values of a signal that a slider shows beyond each of its bounds. */
const BEYOND = 0.15
const MIN_STEPS = 100
/** The values of a slider for one press of a page key. */
export const PAGE_STEPS = 10

/** Return the largest of 1, 2 and 5 times a power of ten that is not larger than a size. */
function roundStep(size: number): number {
  const unit = 10 ** Math.floor(Math.log10(size))
  const factor = [5, 2, 1].find((factor) => factor * unit <= size * (1 + 1e-9)) ?? 1
  return Number((factor * unit).toPrecision(1))
}

/** Return the slider of a signal with a range, whose values are drawn on a scale; `value` is always on it. */
export function sliderTrack(
  range: readonly [number | null, number | null],
  scale: Pick<Scale, 'low' | 'high'>,
  value: number,
): SliderTrack {
  const from = range[0] ?? scale.low
  const to = range[1] ?? scale.high
  const step = roundStep((to - from) / MIN_STEPS)
  const beyond = Math.ceil(((to - from) * BEYOND) / step) * step
  const clean = (end: number): number => Number(end.toPrecision(12))
  const low = clean(range[0] === null ? from : from - beyond)
  const high = clean(range[1] === null ? to : to + beyond)
  const ends = Number.isFinite(value) ? [Math.min(low, value), Math.max(high, value)] : [low, high]
  return {
    low: ends[0]!,
    high: ends[1]!,
    from: range[0] ?? ends[0]!,
    to: range[1] ?? ends[1]!,
    step,
  }
}

/** Return the value of a slider that is nearest to a number. */
export function snapped({ low, high, step }: SliderTrack, value: number): number {
  const near = Number((Math.round(value / step) * step).toPrecision(12))
  return Math.max(low, Math.min(high, near === 0 ? 0 : near))
}

/** Return the place of a value on a slider, 0 to 1. */
export const shareOf = ({ low, high }: SliderTrack, value: number): number =>
  Math.max(0, Math.min(1, (value - low) / (high - low)))
