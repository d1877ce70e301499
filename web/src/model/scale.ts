// The scale of a signal: its ends, the position of a value on it, and the printed ticks.

export interface Scale {
  /** 'two': -high..high with zero the colour of the paper; 'one': low..high, low the colour of the paper. */
  kind: 'two' | 'one'
  low: number
  high: number
  /** True when values may lie beyond the scale; those are hatched. */
  open: boolean
}

/** Share of the values that an open scale must cover. */
const COVERED_SHARE = 0.95

/** Return the smallest power of two that covers most sizes of the values. */
export function roundLimit(values: ArrayLike<number>, covered = COVERED_SHARE): number {
  const sizes: number[] = []
  // A fixed stride is cheap for millions of values, and gives the same result on every redraw.
  const stride = Math.max(1, Math.floor(values.length / 20000))
  for (let k = 0; k < values.length; k += stride) {
    const size = Math.abs(values[k]!)
    if (Number.isFinite(size)) sizes.push(size)
  }
  sizes.sort((a, b) => a - b)
  return powerAbove(sizes[Math.min(sizes.length - 1, Math.ceil(covered * sizes.length) - 1)] ?? 0)
}

/** Return the smallest power of two that is not below a size; 1 for the size 0. */
const powerAbove = (size: number): number =>
  size > 0 ? 2 ** Math.min(120, Math.max(-40, Math.ceil(Math.log2(size)))) : 1

export function chooseScale(range: readonly [number | null, number | null], values: ArrayLike<number>): Scale {
  const [low, high] = range
  if (low !== null && low >= 0)
    return high === null
      ? { kind: 'one', low, high: low + roundLimit(values), open: true }
      : { kind: 'one', low, high, open: false }
  if (low !== null && high !== null)
    return { kind: 'two', low: -Math.max(-low, high), high: Math.max(-low, high), open: false }
  const limit = roundLimit(values)
  return { kind: 'two', low: -limit, high: limit, open: true }
}

/** Return the scale of one neuron: the smallest one that covers all its values, within the bounds of the signal. */
export function ownScale(range: readonly [number | null, number | null], ...rows: ArrayLike<number>[]): Scale {
  const whole = chooseScale(range, [])
  let largest = 0
  for (const values of rows)
    for (let k = 0; k < values.length; k++) {
      const size = Math.abs(values[k]!)
      if (size > largest && size < Infinity) largest = size
    }
  const limit = powerAbove(largest)
  const [low, high] = whole.kind === 'one' ? [whole.low, whole.low + limit] : [-limit, limit]
  return !whole.open && high >= whole.high ? whole : { ...whole, low, high, open: true }
}

/** Return the ends of a scale in a few characters: ±4, 0–1. */
export const scaleEnds = ({ kind, low, high }: Scale): string =>
  kind === 'two' ? `±${tickText(high)}` : `${tickText(low)}–${tickText(high)}`

/** Return the scale that covers two scales of the same signal. */
export const joinedScale = (a: Scale, b: Scale): Scale => ({
  ...a,
  low: Math.min(a.low, b.low),
  high: Math.max(a.high, b.high),
})

/** Return the scale that all rows have; null if they have different ones. */
export function commonScale(rows: readonly { scale: Scale }[]): Scale | null {
  const [first = null, ...rest] = rows.map(({ scale }) => scale)
  return rest.every(({ low, high }) => low === first!.low && high === first!.high) ? first : null
}

/** Return the position of a value on its scale: -1..1 (two) or 0..1 (one), beyond that if it is clipped. */
export function position(scale: Scale, value: number): number {
  return scale.kind === 'two' ? value / scale.high : (value - scale.low) / (scale.high - scale.low)
}

export function clipped(scale: Scale, value: number): boolean {
  return value > scale.high || value < scale.low
}

/** Print a round number of a scale: 4, 0.25, 1e−3. */
export function tickText(value: number, sign = false): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  const text =
    size >= 1e-3 && size < 1e5 ? String(Number(size.toPrecision(3))) : size.toExponential(0).replace('-', '−')
  return (value < 0 ? '−' : sign ? '+' : '') + text
}
