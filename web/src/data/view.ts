// What is looked at: the page, the run, and everything chosen on it.

export const SORTS = ['number', 'activity', 'similar', 'label', 'score', 'effect'] as const

export type Sort = (typeof SORTS)[number]

export type View = 'runs' | 'network' | 'neuron' | 'health' | 'gradient' | 'lesson'

export type By = 'gradient' | 'change'

/** Some steps of the text, the last one included. */
export interface Range {
  first: number
  last: number
}

/** null = the default: the first layer, its main signal, the run's first example, nothing pinned. */
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
  /** The feature that is drawn above the strips. */
  feature: string | null
  /** Only neurons with a label that has this in it are listed. */
  filter: string
  range: Range | null
  /** From which value on a neuron is on in the range; null = chosen by the scale. */
  threshold: number | null
  /** The two steps whose gradient is worked out. */
  pair: Range | null
  /** The training step of the weights on the page of gradients; null = the best ones. */
  checkpoint: number | null
  /** How it is measured what a prediction hangs on. */
  by: By
  /** The drive and the neuron that is heard, of the weight whose ways are listed. */
  drive: string | null
  source: number | null
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
}
