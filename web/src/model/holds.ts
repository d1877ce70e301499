// Holds in words, and the holds at one cell.
import type { Layer } from '../data/run'
import type { Hold, Range } from '../data/view'
import { text } from '../messages/text'
import { layerName } from './descriptions'
import { number, shortNumber } from './numbers'

/** The shortest decimal number that is the same float32: 0.1 instead of 0.10000000149011612. */
export function shortFloat(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === Math.fround(value)) return short
  }
  return Number(value.toPrecision(9))
}

/** Print the value of a hold as it was chosen. */
export const holdValue = (value: number): string => {
  const printed = number(value)
  return Number(printed.replace('−', '-')) === value ? shortNumber(value) : printed
}

/** Describe the steps of a hold: "from step 12 on". */
export function stepsText({ first, last }: Pick<Hold, 'first' | 'last'>): string {
  if (last === null) return first === 0 ? text('HOLDS_ALL') : text('HOLDS_FROM', { first })
  return last === first ? text('HOLDS_STEP', { first }) : text('HOLDS_RANGE', { first, last })
}

/** Describe a hold: "f of neuron 4 held at 0 from step 12 on". */
export function holdText(hold: Hold, layers: readonly Layer[]): string {
  const { signal, neuron } = hold
  const values = { signal, neuron, value: holdValue(hold.value), steps: stepsText(hold) }
  const layer = layers.find(({ name }) => name === hold.layer)
  if (!layer || layers.length < 2) return text('HOLDS_CHIP', values)
  const bidirectional = layers.some(({ reverse }) => reverse)
  const { value, steps } = values
  return text('HOLDS_CHIP_LAYER', { signal, neuron, layer: layerName(layer, bidirectional), value, steps })
}

/** Return why a hold does not do what it says: its value is none of the signal, or its steps are none of the text. */
export function holdWarning({ layer, signal, value, first }: Hold, layers: readonly Layer[], steps: number): string {
  if (first >= steps) return text('HOLDS_BEYOND')
  const held = layers.find(({ name }) => name === layer)?.signals.find(({ name }) => name === signal)
  const [low, high] = held?.range ?? [null, null]
  if (!((low !== null && value < low) || (high !== null && value > high))) return ''
  const ends = { low: shortNumber(low ?? 0), high: shortNumber(high ?? 0) }
  const range =
    high === null
      ? text('HOLDS_RANGE_LOW', { low: ends.low })
      : low === null
        ? text('HOLDS_RANGE_HIGH', { high: ends.high })
        : text('HOLDS_RANGE_BOTH', ends)
  return text('HOLDS_OUTSIDE', { signal, range })
}

/** Return the steps at which a signal of a neuron is held; a range may be open-ended. */
export function heldRanges(holds: readonly Hold[], cell: HeldSignal): Range[] {
  return holds
    .filter((hold) => (['layer', 'neuron', 'signal'] as const).every((field) => hold[field] === cell[field]))
    .map(({ first, last }) => ({ first, last: last ?? Infinity }))
}

/** A signal of a neuron. */
export type HeldSignal = Pick<Hold, 'layer' | 'neuron' | 'signal'>

/** Return the hold that decides the value of a signal of a neuron at a step: the last one; null if it is not held. */
export const actingHold = (holds: readonly Hold[], cell: HeldSignal, step: number): Hold | null =>
  holds.findLast(
    (hold) =>
      (['layer', 'neuron', 'signal'] as const).every((field) => hold[field] === cell[field]) &&
      step >= hold.first &&
      step <= (hold.last ?? Infinity),
  ) ?? null

/** Return the mean of some values without missing ones; NaN if there are none. */
export function meanOf(values: ArrayLike<number>): number {
  let [sum, count] = [0, 0]
  for (let k = 0; k < values.length; k++)
    if (!Number.isNaN(values[k]!)) {
      sum += values[k]!
      count++
    }
  return sum / count
}

/** Return how much values differ from the original ones. */
export const differencesOf = (values: Float32Array, original: Float32Array): Float32Array =>
  values.map((value, k) => value - original[k]!)

/** Add a hold: it replaces one of the same signal over the same steps. */
export function withHold(holds: readonly Hold[], hold: Hold): Hold[] {
  const isSame = (other: Hold): boolean =>
    (['layer', 'neuron', 'signal', 'first', 'last'] as const).every((field) => other[field] === hold[field])
  return [...holds.filter((other) => !isSame(other)), hold]
}
