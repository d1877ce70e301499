// The score of a network on a task, by the rule of the bundle, and its validation loss.
//
// src/gatescope/tasks/base/scoring.py says what the rules mean.
import type { Values } from '../arrays'
import { largest } from '../ranking'
import type { Bundle, Row, ScoredString, Stretches, StringScore } from './bundle'
import type { Predict } from './predict'

export interface Score {
  /** The share of strings or symbols that are right, or nats per symbol of a text. */
  value: number
  chance: number
  better: 'higher' | 'lower'
  /** Whether every scored string is right; null for a text. */
  solved: boolean | null
  /** The levels of scored strings that are all right. */
  exact: number[]
  /** The smallest level of a wrong string; null: there is none up to `tried`. */
  firstFailure: number | null
  tried: number | null
  /** Level -> the share of longer strings that are right, where the task has no first failure; null: not tried. */
  shares: Record<number, number> | null
  /** The mean divergence from the true probabilities, and the best possible loss, in nats per symbol. */
  gap: number | null
  optimum: number | null
}

/** How many strings of one level are right. */
export interface LevelShare {
  level: number
  right: number
  strings: number
}

const CHUNK_SYMBOLS = 1 << 15 // predicted at a time in a search for the first failure

/** Return the score of a network. */
export function scoreOf(bundle: Bundle, predict: Predict): Score {
  const { score } = bundle
  if (score.rule === 'nats') {
    const value = mean(stretchLosses(score.stretches, predict, bundle.vocabulary.size))
    const none = { exact: [], firstFailure: null, tried: null, shares: null, gap: null, optimum: null }
    return { value, chance: score.chance, better: 'lower', solved: null, ...none }
  }
  const log = predict(score.strings.map(inputs))
  const verdicts = score.strings.map((string, k) => verdictsOf(string, log[k]!, score))
  const counted = score.strings.flatMap((string, k) => (string.scored ? [{ string, verdict: verdicts[k]! }] : []))
  const wrong = counted.filter(({ verdict }) => !allRight(verdict)).map(({ string }) => string.level)
  const right = counted.reduce((sum, { verdict }) => sum + verdict.reduce((count, one) => count + one, 0), 0)
  const symbols = counted.reduce((sum, { verdict }) => sum + verdict.length, 0)
  const solved = wrong.length === 0
  const beyond = solved ? tryLonger(score, predict) : { failed: [], shares: null }
  const failed = [...wrong, ...beyond.failed]
  return {
    value: score.shareOf === 'strings' ? (counted.length - wrong.length) / counted.length : right / symbols,
    chance: score.chance,
    better: 'higher',
    solved,
    exact: [...new Set(counted.map(({ string }) => string.level))].filter((level) => !wrong.includes(level)),
    firstFailure: score.tried === null || !failed.length ? null : Math.min(...failed),
    tried: score.tried,
    shares: beyond.shares,
    gap: score.rule === 'possible' ? divergence(score, log) : null,
    optimum: score.optimum,
  }
}

const inputs = (string: ScoredString): Int32Array => string.ids.subarray(0, -1)
const allRight = (verdict: Uint8Array): boolean => verdict.every((one) => one === 1)

/**
 * Return how many strings of each level are right, for the first levels; none for a text.
 *
 * @param most the number of levels
 */
export function levelShares({ score }: Bundle, predict: Predict, most: number): LevelShare[] {
  if (score.rule === 'nats') return []
  const strings = [...score.strings, ...score.longer].filter(({ scored }) => scored)
  const levels = [...new Set(strings.map(({ level }) => level))].sort((a, b) => a - b).slice(0, most)
  const chosen = strings.filter(({ level }) => levels.includes(level))
  const log = predict(chosen.map(inputs))
  const right = chosen.map((string, k) => allRight(verdictsOf(string, log[k]!, score)))
  return levels.map((level) => ({
    level,
    right: chosen.filter((string, k) => string.level === level && right[k]).length,
    strings: chosen.filter((string) => string.level === level).length,
  }))
}

/** Return 1 for each prediction of a string that counts and is right, 0 for each that is wrong. */
function verdictsOf(string: ScoredString, log: Values, score: StringScore): Uint8Array {
  const steps = string.ids.length - 1
  const size = log.length / steps
  const verdicts = new Uint8Array(steps - string.first)
  for (let t = string.first; t < steps; t++) {
    const row = log.subarray(t * size, (t + 1) * size)
    const next = string.ids[t + 1]!
    const right = string.rows === null ? largest(row) === next : isPossible(score.rows[string.rows[t]!]!, next, row)
    verdicts[t - string.first] = right && !row.some(Number.isNaN) ? 1 : 0
  }
  return verdicts
}

/** Return whether a prediction satisfies the conditions of its row. */
function isPossible({ threshold, required, forbidden, nextRequired }: Row, next: number, log: Values): boolean {
  const least = Math.log(threshold)
  return (
    required.every((id) => log[id]! >= least) &&
    forbidden.every((id) => log[id]! < least) &&
    (!nextRequired || log[next]! >= least)
  )
}

/** Return the levels of wrong strings among the longer ones, up to the first; or the share of each level. */
function tryLonger(score: StringScore, predict: Predict): { failed: number[]; shares: Record<number, number> | null } {
  const right = new Map<number, boolean[]>()
  for (const chunk of chunks(score.longer)) {
    const log = predict(chunk.map(inputs))
    for (const [k, string] of chunk.entries()) {
      if (!right.has(string.level)) right.set(string.level, [])
      right.get(string.level)!.push(allRight(verdictsOf(string, log[k]!, score)))
    }
    const failed = [...right].filter(([, values]) => values.includes(false)).map(([level]) => level)
    if (score.tried !== null && failed.length) return { failed, shares: null }
  }
  if (score.tried !== null) return { failed: [], shares: null }
  const share = (values: boolean[]): number => values.filter(Boolean).length / values.length
  return { failed: [], shares: Object.fromEntries([...right].map(([level, values]) => [level, share(values)])) }
}

/** Cut strings into groups of about as many symbols. */
function* chunks(strings: readonly ScoredString[]): Generator<ScoredString[]> {
  let chunk: ScoredString[] = []
  let symbols = 0
  for (const string of strings) {
    // A level stays together, because its smallest failure must be found before the search ends.
    if (symbols >= CHUNK_SYMBOLS && string.level !== chunk.at(-1)!.level) {
      yield chunk
      ;[chunk, symbols] = [[], 0]
    }
    chunk.push(string)
    symbols += string.ids.length
  }
  if (chunk.length) yield chunk
}

/** Return the mean Kullback-Leibler divergence over the places where a drawn string can be, in nats. */
function divergence(score: StringScore, log: readonly Values[]): number {
  let [nats, places] = [0, 0]
  for (const [k, string] of score.strings.entries())
    string.rows!.forEach((number, t) => {
      const { likely } = score.rows[number]!
      if (likely === null) return
      places += string.weight
      for (const [id, probability] of likely.entries())
        if (probability > 0)
          nats += string.weight * probability * (Math.log(probability) - log[k]![t * likely.length + id]!)
    })
  return nats / places
}

interface Loss {
  nats: number
  targets: number
}

/** Return the loss on each stretch of a text; unknown symbols are no targets. */
function stretchLosses({ ids, places }: Stretches, predict: Predict, size: number): Loss[] {
  const log = predict(places.map(([start, , last]) => ids.subarray(start, last - 1)))
  return places.map(([start, first, last], k) => {
    const loss = { nats: 0, targets: 0 }
    for (let place = first; place < last; place++) {
      const target = ids[place]!
      if (target < 0 || target >= size) continue
      loss.nats -= log[k]![(place - 1 - start) * size + target]!
      loss.targets++
    }
    return loss
  })
}

function mean(losses: readonly Loss[]): number {
  const [nats, targets] = losses.reduce(([a, b], loss) => [a + loss.nats, b + loss.targets], [0, 0])
  return nats / targets
}

export interface ValidationLoss {
  /** In nats per symbol. */
  loss: number
  /** Without the worst stretches of a text; otherwise the same. */
  typical: number
}

/** Return the validation loss of a network. */
export function validationOf(bundle: Bundle, predict: Predict): ValidationLoss {
  const { validation, score } = bundle
  const { size } = bundle.vocabulary
  if (validation.rule === 'divergence') {
    const rule = score as StringScore
    const loss = rule.optimum! + divergence(rule, predict(rule.strings.map(inputs)))
    return { loss, typical: loss }
  }
  if (validation.rule === 'stretches') {
    const losses = stretchLosses(validation.stretches, predict, size)
    const order = [...losses].sort((a, b) => a.nats / Math.max(1, a.targets) - b.nats / Math.max(1, b.targets))
    const typical = mean(order.slice(0, Math.ceil(validation.typicalShare * order.length)))
    return { loss: mean(losses), typical }
  }
  const log = predict(validation.strings.map((ids) => ids.subarray(0, -1)))
  const loss = mean(
    validation.strings.map((ids, k) => {
      let nats = 0
      for (let t = 1; t < ids.length; t++) nats -= log[k]![(t - 1) * size + ids[t]!]!
      return { nats, targets: ids.length - 1 }
    }),
  )
  return { loss, typical: loss }
}
