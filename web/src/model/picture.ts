// The picture on the page: one text run through one layer.
import type { Layer, Run } from '../data/run'
import type { Trace } from '../data/trace'

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
}
