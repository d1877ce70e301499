// The score of a network that is trained in the page, in words.
import type { Score } from '../data/playground'
import { text } from '../messages/text'

const percent = (share: number): string => `${Math.round(100 * share)} %`

/** Return the parts of the sentence about a score; null is a network without one. */
export function scoreParts(score: Score | null): string[] {
  if (!score) return [text('PLAYGROUND_UNSCORED')]
  const { value, chance, better, firstFailure, solved, tried, shares } = score
  const parts = [
    better === 'lower'
      ? text('PLAYGROUND_NATS', { loss: value.toFixed(2), chance: chance.toFixed(2) })
      : text('PLAYGROUND_SCORE', { share: percent(value), chance: percent(chance) }),
  ]
  if (firstFailure !== null) parts.push(text('PLAYGROUND_FAILS', { length: firstFailure }))
  else if (solved && tried !== null) parts.push(text('PLAYGROUND_NEVER_FAILS', { length: tried }))
  for (const [length, share] of Object.entries(shares ?? {}))
    parts.push(text('PLAYGROUND_LONGER', { length, share: share === null ? '–' : percent(share) }))
  return parts
}
