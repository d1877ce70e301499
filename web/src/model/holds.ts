// Holds in words, the holds at one cell, and what they change in the predictions.
import type { Layer } from '../data/run'
import type { Trace } from '../data/trace'
import type { Hold, Range } from '../data/view'
import { text } from '../messages/text'
import { layerName } from './descriptions'
import { number, shortNumber } from './numbers'

/** Differences of estimates below this share of their size are rounding. */
const ROUNDING = 1e-6

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
export function heldRanges(holds: readonly Hold[], cell: Pick<Hold, 'layer' | 'neuron' | 'signal'>): Range[] {
  return holds
    .filter((hold) => (['layer', 'neuron', 'signal'] as const).every((field) => hold[field] === cell[field]))
    .map(({ first, last }) => ({ first, last: last ?? Infinity }))
}

/** Whether a signal of a neuron is held at a step. */
export const isHeld = (
  holds: readonly Hold[],
  cell: Pick<Hold, 'layer' | 'neuron' | 'signal'>,
  step: number,
): boolean => heldRanges(holds, cell).some(({ first, last }) => step >= first && step <= last)

/** Add a hold: it replaces one of the same signal over the same steps. */
export function withHold(holds: readonly Hold[], hold: Hold): Hold[] {
  const isSame = (other: Hold): boolean =>
    (['layer', 'neuron', 'signal', 'first', 'last'] as const).every((field) => other[field] === hold[field])
  return [...holds.filter((other) => !isSame(other)), hold]
}

export interface Consequence {
  /** How many predictions there are, how many changed, and the first step of a changed one; null if none changed. */
  predictions: number
  changed: number
  first: number | null
  /** The largest change of an estimate; null for symbols and classes. */
  most: number | null
  /** The mean loss without and with the holds; null if no target is known. */
  loss: { before: number; after: number } | null
}

/** Return what holds change: the most probable symbols or classes, or the estimates; and the loss. */
export function consequence(original: Trace, held: Trace): Consequence {
  const changedSteps: number[] = []
  let [predictions, most] = [0, 0]
  for (let t = 0; t < held.steps; t++) {
    if (held.estimate && original.estimate) {
      const change = largestChange(original.estimate.data, held.estimate.data, held.estimate.width, t)
      if (Number.isNaN(change)) continue
      predictions++
      most = Math.max(most, change)
      if (change > 0) changedSteps.push(t)
      continue
    }
    const [before, after] = [original.topToken[t * original.top] ?? -1, held.topToken[t * held.top] ?? -1]
    if (after < 0) continue
    predictions++
    if (before !== after) changedSteps.push(t)
  }
  return {
    predictions,
    changed: changedSteps.length,
    first: changedSteps[0] ?? null,
    most: held.estimate ? most : null,
    loss: lossesOf(original, held),
  }
}

/** Return the largest change of the estimates of a step, 0 for rounding, and NaN if there are none. */
function largestChange(before: ArrayLike<number>, after: ArrayLike<number>, width: number, step: number): number {
  let most = width ? 0 : NaN
  for (let k = step * width; k < (step + 1) * width; k++) {
    const change = Math.abs(after[k]! - before[k]!)
    if (Number.isNaN(change)) return NaN
    if (change > ROUNDING * Math.max(1, Math.abs(before[k]!))) most = Math.max(most, change)
  }
  return most
}

function lossesOf(original: Trace, held: Trace): Consequence['loss'] {
  let [count, before, after] = [0, 0, 0]
  for (let t = 0; t < held.steps; t++) {
    const [was, is] = [original.logProbability[t]!, held.logProbability[t]!]
    if (Number.isNaN(was) || Number.isNaN(is)) continue
    count++
    before -= was
    after -= is
  }
  return count ? { before: before / count, after: after / count } : null
}
