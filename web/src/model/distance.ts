// How gradients fall with distance: quantiles over all pairs of steps, and the scale of their sizes.
import type { Scale } from './scale'

const SCALE_LOWS = [-1, -2, -3, -4, -6, -8, -12]

const COVERED_SHARE = 0.95

/** Powers of ten that hold most of the sizes of a map: what is smaller is as good as gone. */
export function decadeScale(values: ArrayLike<number>): Scale {
  const finite = Array.from(values, decades).filter(Number.isFinite)
  finite.sort((a, b) => a - b)
  const least = finite[Math.floor((1 - COVERED_SHARE) * finite.length)] ?? 0
  const high = Math.max(1, Math.ceil(finite.at(-1) ?? 0))
  return { kind: 'one', low: SCALE_LOWS.find((low) => low <= least) ?? SCALE_LOWS.at(-1)!, high, open: false }
}

/** Keeps one scale for all the weights of a network on one text; it only ever grows, so that they can be compared. */
export class StableScale {
  #about = ''
  #scale: Scale | null = null

  scale(about: string, values: ArrayLike<number>): Scale {
    const now = decadeScale(values)
    const former = about === this.#about ? this.#scale : null
    this.#about = about
    this.#scale = former ? { ...now, low: Math.min(now.low, former.low), high: Math.max(now.high, former.high) } : now
    return this.#scale
  }
}

/** A natural logarithm as a power of ten. */
export const decades = (log: number): number => log / Math.LN10

const SUPERSCRIPTS: Record<string, string> = {
  '-': '⁻',
  ...Object.fromEntries([...'⁰¹²³⁴⁵⁶⁷⁸⁹'].map((one, k) => [k, one])),
}

/** 10⁻⁵ */
export function powerOfTen(exponent: number): string {
  return exponent === 0
    ? '1'
    : exponent === 1
      ? '10'
      : `10${[...String(exponent)].map((one) => SUPERSCRIPTS[one]).join('')}`
}

/** A size from its natural logarithm, whatever its magnitude: 0.034, 2.1 · 10⁻⁹. */
export function magnitude(log: number): string {
  if (Number.isNaN(log)) return 'no data'
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
  const at = share * (sorted.length - 1)
  const below = sorted[Math.floor(at)]!
  const above = sorted[Math.ceil(at)]!
  return below === above ? below : below + (above - below) * (at - Math.floor(at))
}

/** Median and quartiles over all pairs of one distance, for every distance that has a pair. */
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

/** Where medians (logarithms) have first fallen to a share of the first one; ∞ where they never do. */
export function decayDistance(curve: Quartiles[], share: number): number {
  const start = curve[0]?.middle ?? NaN
  if (!Number.isFinite(start)) return NaN
  const level = start + Math.log(share)
  const first = curve.findIndex((one) => one.middle <= level)
  if (first < 0) return Infinity
  const [left, right] = [curve[first - 1]!.middle, curve[first]!.middle]
  return right === -Infinity ? first : first - 1 + (left - level) / (left - right)
}

/** The median of the known ones. */
export function median(values: ArrayLike<number>): number {
  const present = Array.from(values).filter((value) => !Number.isNaN(value))
  present.sort((a, b) => a - b)
  return present.length ? quantile(present, 0.5) : NaN
}
