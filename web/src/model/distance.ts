// How gradients fall with distance: quantiles over all pairs of steps, and the scale of their sizes.
import type { Scale } from './scale'

const LOWS = [-1, -2, -3, -4, -6, -8, -12]

const COVERED = 0.95

/** Powers of ten that hold most of the sizes of a map: what is smaller is as good as gone. */
export function decadeScale(values: ArrayLike<number>): Scale {
  const known = Array.from(values, decades).filter(Number.isFinite)
  known.sort((a, b) => a - b)
  const least = known[Math.floor((1 - COVERED) * known.length)] ?? 0
  const high = Math.max(1, Math.ceil(known.at(-1) ?? 0))
  return { kind: 'one', low: LOWS.find((low) => low <= least) ?? LOWS.at(-1)!, high, open: false }
}

/** Keeps one scale for all the weights of a network on one text; it only ever grows, so that they can be compared. */
export class HeldScale {
  #about = ''
  #scale: Scale | null = null

  scale(about: string, values: ArrayLike<number>): Scale {
    const now = decadeScale(values)
    const held = about === this.#about ? this.#scale : null
    this.#about = about
    this.#scale = held ? { ...now, low: Math.min(now.low, held.low), high: Math.max(now.high, held.high) } : now
    return this.#scale
  }
}

/** A natural logarithm as a power of ten. */
export const decades = (log: number): number => log / Math.LN10

const RAISED: Record<string, string> = { '-': '⁻', ...Object.fromEntries([...'⁰¹²³⁴⁵⁶⁷⁸⁹'].map((one, k) => [k, one])) }

/** 10⁻⁵ */
export function power(exponent: number): string {
  return exponent === 0 ? '1' : exponent === 1 ? '10' : `10${[...String(exponent)].map((one) => RAISED[one]).join('')}`
}

/** A size from its natural logarithm, whatever its magnitude: 0.034, 2.1 · 10⁻⁹. */
export function size(log: number): string {
  if (Number.isNaN(log)) return 'no data'
  if (log === -Infinity) return '0'
  const ten = decades(log)
  if (ten >= -3 && ten < 4) return String(Number(Math.exp(log).toPrecision(3)))
  const exponent = Math.floor(ten)
  return `${(10 ** (ten - exponent)).toPrecision(2)} · ${power(exponent)}`
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
export function byDistance(values: Float32Array, steps: number): Quartiles[] {
  const found: Quartiles[] = []
  for (let distance = 0; distance < steps; distance++) {
    const known: number[] = []
    for (let t = distance; t < steps; t++) {
      const value = values[t * steps + t - distance]!
      if (!Number.isNaN(value)) known.push(value)
    }
    if (!known.length) break
    known.sort((a, b) => a - b)
    const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(known, share))
    found.push({ distance, pairs: known.length, low: low!, middle: middle!, high: high! })
  }
  return found
}

/** Where medians (logarithms) have first fallen to a share of the first one; ∞ where they never do. */
export function crossing(curve: Quartiles[], share: number): number {
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
  const known = Array.from(values).filter((value) => !Number.isNaN(value))
  known.sort((a, b) => a - b)
  return known.length ? quantile(known, 0.5) : NaN
}
