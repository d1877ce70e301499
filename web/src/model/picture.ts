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
  /** The predictions of the same text without the holds; null if nothing is held. */
  original: Trace | null
  /** The reason why the trace is that of the network without the chosen holds; null if they are in force. */
  refusal: string | null
}
