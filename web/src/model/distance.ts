// The fall of gradients with distance: quantiles over all pairs of steps, and the scale of their sizes.
import { text } from '../messages/text'
import type { Scale } from './scale'

const SCALE_LOWS = [-1, -2, -3, -4, -6, -8, -12]

const COVERED_SHARE = 0.95

/** Return a scale in powers of ten that covers most sizes of a map; smaller ones are negligible. */
export function decadeScale(values: ArrayLike<number>): Scale {
  const finite = Array.from(values, decades).filter(Number.isFinite)
  finite.sort((a, b) => a - b)
  const lowEnd = finite[Math.floor((1 - COVERED_SHARE) * finite.length)] ?? 0
  const high = Math.max(1, Math.ceil(finite.at(-1) ?? 0))
  return { kind: 'one', low: SCALE_LOWS.find((low) => low <= lowEnd) ?? SCALE_LOWS.at(-1)!, high, open: false }
}

/** One scale for all weights of a network on one text; it only grows, so that the weights can be compared. */
export class StableScale {
  #subject = ''
  #scale: Scale | null = null

  scale(subject: string, values: ArrayLike<number>): Scale {
    const present = decadeScale(values)
    const former = subject === this.#subject ? this.#scale : null
    this.#subject = subject
    this.#scale = former
      ? { ...present, low: Math.min(present.low, former.low), high: Math.max(present.high, former.high) }
      : present
    return this.#scale
  }
}

/** Convert a natural logarithm to a power of ten. */
export const decades = (log: number): number => log / Math.LN10

const SUPERSCRIPTS: Record<string, string> = {
  '-': '⁻',
  ...Object.fromEntries([...'⁰¹²³⁴⁵⁶⁷⁸⁹'].map((sign, k) => [k, sign])),
}

/** Print a power of ten: 10⁻⁵. */
export function powerOfTen(exponent: number): string {
  return exponent === 0
    ? '1'
    : exponent === 1
      ? '10'
      : `10${[...String(exponent)].map((digit) => SUPERSCRIPTS[digit]).join('')}`
}

/** Print a size, given its natural logarithm: 0.034, 2.1 · 10⁻⁹. */
export function magnitude(log: number): string {
  if (Number.isNaN(log)) return text('NUMBER_NO_DATA')
  if (log === -Infinity) return '0'
  const ten = decades(log)
  if (ten >= -3 && ten < 4) return String(Number(Math.exp(log).toPrecision(3)))
  const exponent = Math.floor(ten)
  return `${(10 ** (ten - exponent)).toPrecision(2)} · ${powerOfTen(exponent)}`
}

export interface Quartiles {
  distance: number
  pairs: number
  low: number
  middle: number
  high: number
}

function quantile(sorted: number[], share: number): number {
  const position = share * (sorted.length - 1)
  const below = sorted[Math.floor(position)]!
  const above = sorted[Math.ceil(position)]!
  return below === above ? below : below + (above - below) * (position - Math.floor(position))
}

/** Return median and quartiles over all pairs of one distance, for every distance that has a pair. */
export function quartilesByDistance(values: Float32Array, steps: number): Quartiles[] {
  const quartiles: Quartiles[] = []
  for (let distance = 0; distance < steps; distance++) {
    const present: number[] = []
    for (let t = distance; t < steps; t++) {
      const value = values[t * steps + t - distance]!
      if (!Number.isNaN(value)) present.push(value)
    }
    if (!present.length) break
    present.sort((a, b) => a - b)
    const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(present, share))
    quartiles.push({ distance, pairs: present.length, low: low!, middle: middle!, high: high! })
  }
  return quartiles
}

/** Return the distance at which the medians (logarithms) have fallen to a share of the first one; ∞ if they never do. */
export function decayDistance(curve: Quartiles[], share: number): number {
  const start = curve[0]?.middle ?? NaN
  if (!Number.isFinite(start)) return NaN
  const level = start + Math.log(share)
  const first = curve.findIndex(({ middle }) => middle <= level)
  if (first < 0) return Infinity
  const [left, right] = [curve[first - 1]!.middle, curve[first]!.middle]
  return right === -Infinity ? first : first - 1 + (left - level) / (left - right)
}

/** Return the median of the values that are not NaN. */
export function median(values: ArrayLike<number>): number {
  const present = Array.from(values).filter((value) => !Number.isNaN(value))
  present.sort((a, b) => a - b)
  return present.length ? quantile(present, 0.5) : NaN
}
