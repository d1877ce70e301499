// The picture on the page: one text run through one layer.
import type { Layer, Run } from '../data/run'
import type { Trace } from '../data/trace'
import type { Hold } from '../data/view'

export interface Picture {
  run: Run
  layer: Layer
  text: string
  signal: string
  trace: Trace
  whole: boolean
  /** The training step of the weights; null for the best ones. */
  checkpoint: number | null
  /** Counts the readings of newer weights. */
  generation: number
  /** The signals that are held in the trace. */
  holds: readonly Hold[]
  /** The signals that are held in `original`: none, or a set that is compared. */
  baseline: readonly Hold[]
  /** The same text with the baseline; null if nothing is held. */
  original: Trace | null
  /** The same text of the network in which nothing is held; null if that is `trace`. */
  free: Trace | null
  /** The reason why the trace is that of the network without the chosen holds; null if they are in force. */
  refusal: string | null
}

/** Whether two pictures show the same text, layer, weights and holds. */
export const isOfSameTrace = (a: Picture, b: Picture): boolean =>
  a.text === b.text &&
  a.layer.name === b.layer.name &&
  a.generation === b.generation &&
  a.checkpoint === b.checkpoint &&
  JSON.stringify([a.holds, a.baseline]) === JSON.stringify([b.holds, b.baseline])

/** The step of the cursor before it is moved: early in a text, late in a series, so that a forecast has a past. */
export function initialStep({ run, trace }: Picture, steps: number): number {
  return trace.estimate && run.readout.reads === 'every step'
    ? Math.floor((steps * 2) / 3)
    : Math.min(12, Math.floor(steps / 2))
}
