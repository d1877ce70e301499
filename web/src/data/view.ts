// The view state: the page, the run, and everything chosen on it.
import type { Hold } from '../../engine/holds'

export type { Hold }

export const SORTS = ['number', 'activity', 'similar', 'label', 'score', 'effect'] as const

export type Sort = (typeof SORTS)[number]

export type View = 'runs' | 'network' | 'neuron' | 'health' | 'gradient' | 'lesson'

export type By = 'gradient' | 'change'

/** A range of steps, `last` included. */
export interface Range {
  first: number
  last: number
}

/** The view state. Null is the default: the first layer, its main signal, the first example of the run, nothing pinned. */
export interface ViewState {
  view: View
  run: string | null
  layer: string | null
  signal: string | null
  neuron: number | null
  step: number | null
  text: string | null
  sort: Sort
  zoom: number
  /** The feature drawn over the strips. */
  feature: string | null
  /** Only neurons with a label that contains this are listed. */
  filter: string
  range: Range | null
  /** A neuron is on in the range from this value on; null if chosen by the scale. */
  threshold: number | null
  /** The two steps whose chain of factors is shown. */
  pair: Range | null
  /** The training step of the weights on the page of gradients; null for the best ones. */
  checkpoint: number | null
  /** How connections of predictions are measured. */
  by: By
  /** The weight whose paths are listed: its drive, and the neuron that it reads. */
  drive: string | null
  source: number | null
  /** The signals that are held while the network reads the text. */
  holds: readonly Hold[]
}

export const ZOOMS = 5

export const DEFAULT_ZOOM = 3

export const START: ViewState = {
  view: 'runs',
  run: null,
  layer: null,
  signal: null,
  neuron: null,
  step: null,
  text: null,
  sort: 'number',
  zoom: DEFAULT_ZOOM,
  feature: null,
  filter: '',
  range: null,
  threshold: null,
  pair: null,
  checkpoint: null,
  by: 'gradient',
  drive: null,
  source: null,
  holds: [],
}
