// What holds change: the predictions and the loss, and what the network writes now, in one sentence.
import type { Run } from '../data/run'
import type { Trace } from '../data/trace'
import { text } from '../messages/text'
import { characterName, oneLine } from './characters'
import { percent, shortNumber } from './numbers'
import type { Picture } from './picture'
import { estimateAt, outputs, stepName } from './predictions'

/** Differences of estimates below this share of their size are rounding. */
const ROUNDING = 1e-6
/** The fewest and the most symbols that the network writes for the sentence. */
const MIN_WRITTEN = 40
const MAX_WRITTEN = 200
/** Longer texts are cut in the sentence. */
const MAX_QUOTED = 24

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

/** The text that the network continues. */
export interface Prompt {
  text: string
  /** The number of its steps; null for the whole text of the page. */
  steps: number | null
  /** The most symbols that the network writes. */
  length: number
}

/**
 * Return the part of a text that the network continues with and without the holds.
 *
 * If texts end with an end mark, it is the last one, up to the step from which on the network itself predicts the rest:
 * after the X of aaaXbbb, so that what it writes is compared with all that it wrote without the holds.
 */
export function promptOf(run: Run, written: string, free: Trace): Prompt {
  const { topToken, top, token, start, steps } = free
  const characters = [...written]
  if (run.end === null || run.unit !== 'character' || characters.length !== steps)
    return { text: written, steps: null, length: MIN_WRITTEN }
  const end = run.vocabulary.indexOf(run.end)
  let first = steps - 1
  while (first > 0 && !start[first]) first--
  // An end mark is what it is to write.
  let last = steps - 1
  if (last > first && token[last] === end) last--
  while (last > first && topToken[(last - 1) * top] === token[last]) last--
  const length = Math.min(MAX_WRITTEN, Math.max(MIN_WRITTEN, 2 * (steps - first)))
  return { text: characters.slice(0, last + 1).join(''), steps: last + 1, length }
}

/** What a network writes after a prompt with and without the holds. */
export interface Written {
  prompt: Prompt
  before: string
  after: string
}

/** Return the symbol that a text repeats up to its end mark, and how often; null for another text. */
function repeated(written: string, end: string | null): { symbol: string; count: number } | null {
  const symbols = [...written]
  if (end === null || symbols.pop() !== end) return null
  const [symbol = ''] = symbols
  return symbols.every((other) => other === symbol) ? { symbol, count: symbols.length } : null
}

const quoted = (written: string): string => {
  const line = oneLine(written)
  const symbols = [...line]
  return symbols.length > MAX_QUOTED ? `${symbols.slice(0, MAX_QUOTED).join('')}…` : line
}

/** Return the last characters of a text, which has to be short in a sentence. */
const ending = (written: string): string => {
  const symbols = [...oneLine(written)]
  return symbols.length > MAX_QUOTED ? `…${symbols.slice(-MAX_QUOTED).join('')}` : symbols.join('')
}

/** Say what the network writes with the holds instead of what it wrote without them. */
export function writtenSentence({ end }: Pick<Run, 'end'>, { prompt, before, after }: Written): string {
  const [was, is] = [repeated(before, end), repeated(after, end)]
  // Only the last text is what it goes on from.
  const part = ending((end !== null && prompt.text.split(end).at(-1)) || prompt.text)
  const same = was ?? is
  if (was && is && same && was.count > 0 && (is.symbol === was.symbol || is.count === 0)) {
    const values = { prompt: part, symbol: was.symbol, before: was.count, after: is.count }
    return is.count === was.count ? text('EFFECT_COUNT_SAME', values) : text('EFFECT_COUNT', values)
  }
  if (before === after) return text('EFFECT_TEXT_SAME', { prompt: part, after: quoted(after) })
  const first = [...after].findIndex((symbol, k) => symbol !== [...before][k])
  const values = { prompt: part, before: quoted(before), after: quoted(after) }
  // What comes after the same beginning is what differs.
  if (first > MAX_QUOTED / 2 || (first < 0 && [...after].length > MAX_QUOTED / 2)) {
    const from = first < 0 ? [...after].length : first
    const rest = (written: string): string => quoted([...written].slice(from).join(''))
    return text('EFFECT_TEXT_LATER', { prompt: part, symbols: from, before: rest(before), after: rest(after) })
  }
  return text('EFFECT_TEXT', values)
}

/** Say what the network predicts with the holds instead of what it predicted without them. */
export function predictedSentence({ run, trace }: Picture, original: Trace): string {
  if (trace.estimate) return estimateSentence(run, trace, original)
  const names = run.readout.kind === 'classes' ? run.readout.names : run.vocabulary
  const named = (id: number): string =>
    run.readout.kind === 'classes' ? (names[id] ?? '?') : characterName(names[id] ?? '?')
  const tops = (one: Trace, t: number): number => one.topToken[t * one.top] ?? -1
  const changed: number[] = []
  for (let t = 0; t < trace.steps; t++) if (tops(trace, t) >= 0 && tops(trace, t) !== tops(original, t)) changed.push(t)
  const once = run.readout.reads === 'last step'
  // A network that predicts once says at the end what it means.
  const step = once ? trace.steps - 1 : changed[0]
  if (step === undefined || step < 0 || tops(trace, step) < 0) return text('HOLDS_UNCHANGED')
  const [before, after] = [named(tops(original, step)), named(tops(trace, step))]
  if (before === after) {
    const share = (one: Trace): string => percent(one.topProbability[step * one.top] ?? NaN)
    return text('EFFECT_STILL', { name: after, before: share(original), after: share(trace) })
  }
  if (once) return text('EFFECT_CLASS', { before, after })
  const more = changed.length - 1
  const values = { before, after, step, name: stepName(run, trace, step), more }
  return more ? text('EFFECT_STEP_MORE', values) : text('EFFECT_STEP', values)
}

/** Say how the estimate that changes most changes. */
function estimateSentence(run: Run, trace: Trace, original: Trace): string {
  const [after, before] = [trace.estimate, original.estimate]
  if (!after || !before) return text('HOLDS_ESTIMATES_UNCHANGED')
  const names = outputs(run, trace)
  const once = run.readout.reads === 'last step'
  let found: { name: string; step: number; was: number; is: number } | null = null
  let most = 0
  for (let step = once ? trace.steps - 1 : 0; step < trace.steps; step++)
    for (const { name, index } of names) {
      const [was, is] = [before, after].map((one) => estimateAt(run.readout, one, step, index).middle) as [
        number,
        number,
      ]
      const change = Math.abs(is - was)
      if (!(change > most) || change <= ROUNDING * Math.max(1, Math.abs(was))) continue
      most = change
      found = { name, step, was, is }
    }
  if (!found) return text('HOLDS_ESTIMATES_UNCHANGED')
  const { name, step } = found
  const values = { name, step, before: shortNumber(found.was), after: shortNumber(found.is) }
  if (once) return text('EFFECT_ESTIMATE_ONCE', values)
  return names.length > 1 ? text('EFFECT_ESTIMATE_NAMED', values) : text('EFFECT_ESTIMATE', values)
}
