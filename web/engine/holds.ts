// Holds: signals of neurons that are kept at a value over some steps of a text.
//
// The page counts the steps of a whole text. A network counts those of each sequence, so a hold becomes one change for
// each part of a sequence on which it acts.
import { EngineError, shown } from './errors'
import type { Intervention, Slice } from './interventions'
import type { Network } from './network'
import { partsOf } from './recording'

/** One signal of one neuron, kept at a value. */
export interface Hold {
  layer: string
  neuron: number
  signal: string
  value: number
  /** The first and the last step of the text; null for every step from the first on. */
  first: number
  last: number | null
}

export const MAX_HOLDS = 100

/** Return the changes that make some holds in a text whose sequences have these numbers of steps. */
export function interventionsOf(holds: readonly Hold[], lengths: readonly number[]): Intervention[] {
  return checked(holds).flatMap((hold) => (lengths.length < 2 ? [change(hold, hold)] : rowChanges(hold, lengths)))
}

function checked(holds: readonly Hold[]): readonly Hold[] {
  if (!Array.isArray(holds) || holds.length > MAX_HOLDS)
    throw new EngineError('INTERVENTION_INVALID', { name: 'holds', value: shown(holds) })
  const isStep = (step: unknown): boolean => Number.isSafeInteger(step) && (step as number) >= 0
  for (const hold of holds as readonly unknown[]) {
    if (typeof hold !== 'object' || hold === null)
      throw new EngineError('INTERVENTION_INVALID', { name: 'hold', value: shown(hold) })
    const { first, last, value } = hold as Hold
    if (!isStep(first) || !(last === null || (isStep(last) && last >= first)))
      throw new EngineError('INTERVENTION_INVALID', { name: 'steps', value: shown([first, last]) })
    if (!Number.isFinite(value)) throw new EngineError('INTERVENTION_INVALID', { name: 'value', value: shown(value) })
  }
  return holds
}

const change = (
  { layer, neuron, signal, value }: Hold,
  { first, last }: Pick<Hold, 'first' | 'last'>,
  row: number | Slice | null = null,
): Intervention => ({
  layer,
  neuron,
  signal,
  scale: 0,
  shift: value,
  // Without bounds, a change acts on every step, which engines compute faster.
  steps: first === 0 && last === null ? null : { start: first, stop: last === null ? null : last + 1 },
  row,
})

/** Return the changes of a hold in several sequences: in its first one, in those between, and in its last one. */
function rowChanges(hold: Hold, lengths: readonly number[]): Intervention[] {
  const changes: Intervention[] = []
  let begin = 0
  for (const [row, length] of lengths.entries()) {
    const end = begin + length
    const first = Math.max(hold.first - begin, 0)
    const toEnd = hold.last === null || hold.last >= end - 1
    // From here on, the hold acts on every step of every sequence.
    if (hold.last === null && begin >= hold.first) {
      changes.push(change(hold, { first: 0, last: null }, { start: row }))
      break
    }
    if (hold.first < end && (hold.last ?? end) >= begin)
      changes.push(change(hold, { first, last: toEnd ? null : hold.last! - begin }, row))
    begin = end
  }
  return changes
}

/** Return the changes that make some holds while a network reads a text. */
export function changesOfText(network: Network, text: string, holds: readonly Hold[]): Intervention[] {
  return holds.length ? interventionsOf(holds, lengthsOf(network, text)) : []
}

const lengthsOf = (network: Network, text: string): number[] =>
  partsOf(network, text).map((part) => network.configuration.vocabulary.labels(part).length)

/** Return holds of a text as a part of it counts its steps, `before` which lie this many. */
export function holdsAfter(holds: readonly Hold[], before: number): Hold[] {
  return checked(holds)
    .filter(({ last }) => last === null || last >= before)
    .map((hold) => ({
      ...hold,
      first: Math.max(0, hold.first - before),
      last: hold.last === null ? null : hold.last - before,
    }))
}
