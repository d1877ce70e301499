// Two networks on one text, or one network on two: what can be compared, in pairs of neurons, and what differs in numbers.
import type { Matching } from '../../engine/matching'
import type { Layer, Readout, Run, Unit } from '../data/run'
import type { Trace } from '../data/trace'
import type { Pairing } from '../data/view'
import { type Code, text } from '../messages/text'
import { characterName } from './characters'
import { stepsName } from './descriptions'
import { mainSignal } from './main-signal'
import { number } from './numbers'
import { estimateAt } from './predictions'

type Reads = Pick<Run, 'name' | 'unit'> & { symbols: number }

/** Return why two networks have no common step axis; null if they have one. */
export function refusal(a: Reads, b: Reads): string | null {
  if (a.unit !== b.unit)
    return text('COMPARE_UNITS', { a: a.name, b: b.name, unitA: stepsOf(a.unit), unitB: stepsOf(b.unit) })
  if (a.unit === 'number' && a.symbols !== b.symbols)
    return text('COMPARE_WIDTHS', { a: a.name, b: b.name, countA: a.symbols, countB: b.symbols })
  return null
}

/** The units whose steps have another name than their symbols. */
const UNITS: Partial<Record<Unit, Code>> = { number: 'COMPARE_NUMBERS', byte: 'COMPARE_BYTES' }

const stepsOf = (unit: Unit): string => (unit in UNITS ? text(UNITS[unit]!) : stepsName(unit))

/** Of long vocabularies, this many symbols are named. */
const MAX_NAMED_SYMBOLS = 12

const named = (symbols: readonly string[], unit: Unit): string => {
  const shown = symbols
    .slice(0, MAX_NAMED_SYMBOLS)
    .map((one) => (unit === 'character' ? characterName(one) : `“${one}”`))
  return symbols.length > shown.length ? text('COMPARE_AND_MORE', { symbols: shown.join(' ') }) : shown.join(' ')
}

/** Return the sentence for vocabularies that differ, and whether no symbol is common; null for equal ones. */
export function vocabularies(a: Run, b: Run): { sentence: string; disjoint: boolean } | null {
  if (a.unit === 'number') return null
  const [inA, inB] = [new Set(a.vocabulary), new Set(b.vocabulary)]
  const common = a.vocabulary.filter((one) => inB.has(one))
  const onlyA = a.vocabulary.filter((one) => !inB.has(one))
  const onlyB = b.vocabulary.filter((one) => !inA.has(one))
  if (!onlyA.length && !onlyB.length) return null
  if (!common.length) return { sentence: text('COMPARE_NO_SYMBOLS', { a: a.name, b: b.name }), disjoint: true }
  const parts = [
    text('COMPARE_COMMON', { count: common.length, symbols: named(common, a.unit) }),
    onlyA.length ? text('COMPARE_ONLY', { side: 'A', count: onlyA.length, symbols: named(onlyA, a.unit) }) : '',
    onlyB.length ? text('COMPARE_ONLY', { side: 'B', count: onlyB.length, symbols: named(onlyB, a.unit) }) : '',
  ]
  return { sentence: parts.filter(Boolean).join(' '), disjoint: false }
}

/** Return the layer and the signal of another network that stand beside those of this one. */
export function counterpart(
  run: Run,
  layer: Layer,
  signal: string,
): { layer: Layer; signal: Layer['signals'][number] | null } {
  const same = run.layers.find(({ name }) => name === layer.name)
  const other = same ?? run.layers.findLast(({ reverse }) => reverse === layer.reverse) ?? run.layers.at(-1)!
  const found = other.signals.find(({ name }) => name === signal)
  return { layer: other, signal: found ?? mainSignal(other, run.end) }
}

/** Return the loss of each prediction: surprise in nats, or the mean absolute error of estimates. NaN without a target. */
export function losses(readout: Readout, trace: Trace): Float32Array {
  const { estimate, value, steps } = trace
  if (!estimate) return trace.logProbability.map((nats) => -nats)
  return Float32Array.from({ length: steps }, (_, t) => {
    let [count, sum] = [0, 0]
    for (let k = 0; k < (value?.width ?? 0); k++) {
      const error = Math.abs(estimateAt(readout, estimate, t, k).middle - value!.data[t * value!.width + k]!)
      if (Number.isNaN(error)) continue
      count++
      sum += error
    }
    return count ? sum / count : NaN
  })
}

export interface Difference {
  /** The mean losses of A and of B. */
  a: number
  b: number
  /** The number of predictions that both means are of; for two texts, those of A. */
  count: number
  /** The step at which the losses differ most; null for two texts. */
  step: number | null
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** Return the mean losses, over the steps at which both are known if the text is the same; null without targets. */
export function difference(a: Float32Array, b: Float32Array, sameText: boolean): Difference | null {
  const known = (values: Float32Array): number[] => [...values].filter((value) => !Number.isNaN(value))
  if (!sameText) {
    const [ofA, ofB] = [known(a), known(b)]
    return ofA.length && ofB.length ? { a: mean(ofA), b: mean(ofB), count: ofA.length, step: null } : null
  }
  const steps = Array.from(a.keys()).filter((t) => !Number.isNaN(a[t]!) && !Number.isNaN(b[t]!))
  if (!steps.length) return null
  const gap = (t: number): number => Math.abs(b[t]! - a[t]!)
  const most = steps.reduce((best, t) => (gap(t) > gap(best) ? t : best))
  return { a: mean(steps.map((t) => a[t]!)), b: mean(steps.map((t) => b[t]!)), count: steps.length, step: most }
}

const DIGITS = 3

/** Say how much better B is than A: "B is 0.012 nats better on this text: 0.143 against 0.155 per prediction." */
export function differenceText({ a, b, count }: Difference, kind: Readout['kind'], sameText: boolean): string {
  const values = { difference: number(Math.abs(a - b), DIGITS), a: number(a, DIGITS), b: number(b, DIGITS), count }
  const isEqual = Math.abs(a - b) < 0.5 * 10 ** -DIGITS
  if (kind === 'numbers') {
    if (isEqual) return text('COMPARE_ERRORS_EQUAL', values)
    return b < a ? text('COMPARE_ERRORS_BETTER', values) : text('COMPARE_ERRORS_WORSE', values)
  }
  if (!sameText) {
    if (isEqual) return text('COMPARE_TEXTS_EQUAL', values)
    return b < a ? text('COMPARE_TEXTS_B', values) : text('COMPARE_TEXTS_A', values)
  }
  if (isEqual) return text('COMPARE_EQUAL', values)
  return b < a ? text('COMPARE_BETTER', values) : text('COMPARE_WORSE', values)
}

/** A neuron of A and one of B side by side; one of them may be missing. */
export interface NeuronPair {
  first: number | null
  second: number | null
  /** Their correlation; null if they are paired by number, or if there is none. */
  r: number | null
}

/** Return the neurons side by side, in an order of those of A; those of B alone come last. */
export function neuronPairs(
  pairing: Pairing,
  order: readonly number[],
  countOfA: number,
  countOfB: number,
  matching: Matching | null,
): NeuronPair[] {
  const partners = new Map<number, { second: number; r: number | null }>(
    pairing === 'matched'
      ? matching?.pairs.map(({ first, second, r }) => [first, { second, r }])
      : Array.from({ length: Math.min(countOfA, countOfB) }, (_, n) => [n, { second: n, r: null }]),
  )
  const paired = new Set([...partners.values()].map(({ second }) => second))
  const alone = Array.from({ length: countOfB }, (_, n) => n).filter((n) => !paired.has(n))
  return [
    ...order.map((first) => ({
      first,
      second: partners.get(first)?.second ?? null,
      r: partners.get(first)?.r ?? null,
    })),
    ...alone.map((second) => ({ first: null, second, r: null })),
  ]
}

/** Return the values of a neuron over a number of steps: NaN behind its end. */
export function overSteps(values: Float32Array, steps: number): Float32Array {
  if (values.length >= steps) return values.subarray(0, steps)
  const padded = new Float32Array(steps).fill(NaN)
  padded.set(values)
  return padded
}
