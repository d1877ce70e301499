// The predictions after one step, and the outcome: what came next, or the target.
import { type Code, text } from '../messages/text'
import { characterName, predictionLabels } from './characters'
import { MAX_NAMED_OUTPUTS } from './descriptions'
import { percent, shortNumber } from './numbers'
import type { Picture } from './picture'
import { estimateAt, interval, outputs, sequenceAt } from './predictions'

export interface Guess {
  label: string
  probability: number
}

/**
 * Return the likeliest symbols or classes after a step, and the outcome with its probability: the next symbol, or the
 * target class; null if there is none.
 */
export function guessesAt(picture: Picture, step: number): { guesses: Guess[]; outcome: Guess | null } {
  const { trace, run } = picture
  const labels = predictionLabels(run)
  const guesses: Guess[] = []
  for (let k = step * trace.top; k < (step + 1) * trace.top; k++) {
    const probability = trace.topProbability[k]!
    if (probability > 0) guesses.push({ label: labels[trace.topToken[k]!] ?? '?', probability })
  }
  const logProbability = trace.logProbability[step]!
  if (run.readout.kind === 'classes') {
    const target = run.readout.names[targetClass(picture, step)]
    const guess = guesses.find(({ label }) => label === target)
    const probability = Number.isNaN(logProbability) ? (guess?.probability ?? NaN) : Math.exp(logProbability)
    return { guesses, outcome: target === undefined ? null : { label: target, probability } }
  }
  const next = trace.labels[step + 1]
  const outcome =
    Number.isNaN(logProbability) || next === undefined || trace.start[step + 1]
      ? null
      : { label: next, probability: Math.exp(logProbability) }
  return { guesses, outcome }
}

/** A prediction whose likeliest symbol has less than this probability is flat. */
const FLAT_PROBABILITY = 0.1

/** Return the per cent that no symbol or class exceeds in a flat prediction, such as 3; null for other predictions. */
export function flatShare(guesses: readonly Guess[]): number | null {
  const most = guesses[0]?.probability ?? NaN
  return most < FLAT_PROBABILITY ? Math.ceil(most * 100) : null
}

/** Return the prediction after a step on one line: “b” 50 %, “⏎” 49 %; empty if there is none. */
export function shortPrediction(picture: Picture, step: number): string {
  if (picture.run.readout.kind === 'numbers')
    return estimatesAt(picture, step)
      .filter(({ middle }) => !Number.isNaN(middle))
      .slice(0, MAX_NAMED_OUTPUTS)
      .map(({ name, middle }) => text('VERDICT_ESTIMATE', { name, value: shortNumber(middle) }))
      .join(text('LIST_NAMES'))
  return guessesAt(picture, step)
    .guesses.map(({ label, probability }) =>
      text('PEEK_GUESS', { name: guessName(picture, label), probability: percent(probability) }),
    )
    .join(text('LIST_NAMES'))
}

/** Return the id of the target class of a step, of its whole sequence for many-to-one networks; -1 if unknown. */
function targetClass({ trace, run }: Picture, step: number): number {
  const once = run.readout.reads === 'last step'
  return trace.target?.[once ? sequenceAt(trace.start, step).end - 1 : step] ?? -1
}

/** Describe the outcome of a step in words. */
export function outcomeText(picture: Picture, step: number): string {
  const { trace, run } = picture
  const { outcome } = guessesAt(picture, step)
  if (run.readout.kind === 'classes') {
    if (!outcome) return text('OUTCOME_TARGET_UNKNOWN')
    const name = outcome.label
    if (Number.isNaN(outcome.probability)) return text('OUTCOME_TARGET', { name })
    return text('OUTCOME_TARGET_PROBABILITY', { name, probability: percent(outcome.probability) })
  }
  if (outcome)
    return text('OUTCOME_NEXT', { name: characterName(outcome.label), probability: percent(outcome.probability) })
  const next = trace.labels[step + 1]
  if (next === undefined) return text('OUTCOME_TEXT_ENDS')
  if (trace.start[step + 1]) return text('OUTCOME_SEQUENCE_ENDS')
  return text('OUTCOME_NEXT_UNKNOWN', { name: characterName(next) })
}

/** Return the name of a guess in a list: classes are not quoted. */
export function guessName(picture: Picture, label: string): string {
  return picture.run.readout.kind === 'classes' ? label : characterName(label)
}

export interface EstimateWithTarget {
  name: string
  middle: number
  /** The ends of the interval; null if only the mean is estimated. */
  interval: [number, number] | null
  /** NaN if unknown. */
  target: number
}

/** Return the estimates after a step, each with its target. */
export function estimatesAt(picture: Picture, step: number): EstimateWithTarget[] {
  const { trace, run } = picture
  const { estimate, value } = trace
  if (!estimate) return []
  const once = run.readout.reads === 'last step'
  const targetStep = once ? sequenceAt(trace.start, step).end - 1 : step
  return outputs(run, trace).map(({ name, index }) => {
    const { low, middle, high } = estimateAt(run.readout, estimate, step, index)
    const target = value?.data[targetStep * value.width + index] ?? NaN
    return { name, middle, interval: interval(run.readout) === null ? null : [low, high], target }
  })
}

/** The introduction to the guesses in the panel, by the kind of readout. */
export function guessesTitle({ run }: Picture): Code {
  if (run.readout.kind === 'symbols') return 'PREDICTIONS_NEXT'
  return run.readout.reads === 'last step' ? 'PREDICTIONS_SO_FAR' : 'PREDICTIONS_NOW'
}
