// The frames of a film of the training: which weights, in which order, and what they cost.
import type { Run } from '../data/run'

/** More checkpoints are thinned, evenly over the training. */
const MAX_FRAMES = 40
/** Weights and signals that the page loads by itself. */
const MAX_FREE_BYTES = 48 << 20
const MAX_FREE_VALUES = 1 << 24

/** Return the training steps of a film: the checkpoints, the first and the last included, then null for the best weights. */
export function filmSteps(checkpoints: readonly number[]): (number | null)[] {
  const count = Math.min(checkpoints.length, MAX_FRAMES)
  if (count < 2) return [...checkpoints, null]
  const places = Array.from({ length: count }, (_, k) => Math.round((k * (checkpoints.length - 1)) / (count - 1)))
  return [...[...new Set(places)].map((place) => checkpoints[place]!), null]
}

/** Whether a film costs so much that a reader decides about it. */
export function isCostly(run: Pick<Run, 'weights_bytes'>, neurons: number, steps: number, frames: number): boolean {
  return run.weights_bytes * frames > MAX_FREE_BYTES || neurons * steps * frames > MAX_FREE_VALUES
}

/** Return the place of some weights in a film, or of the last ones before them; the best weights come last. */
export function placeOf(frames: readonly (number | null)[], checkpoint: number | null): number {
  if (checkpoint === null) return frames.length - 1
  return Math.max(
    0,
    frames.findLastIndex((step) => step !== null && step <= checkpoint),
  )
}
