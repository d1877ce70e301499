// One text run through one layer of a run: what the page shows at a time.
import type { Layer, Run } from '../data/run'
import type { Trace } from '../data/trace'

export interface Picture {
  run: Run
  layer: Layer
  text: string
  signal: string
  trace: Trace
  whole: boolean
  /** Grows with every reading of newer weights. */
  generation: number
}
