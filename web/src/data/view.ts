// The view state: the page, the run, and everything chosen on it.
import type { Hold } from '../../engine/holds'

export type { Hold }

/** Holds with a name, to return to and to compare with. */
export interface HoldSet {
  name: string
  holds: readonly Hold[]
}

export const SORTS = ['number', 'activity', 'similar', 'alike', 'label', 'score', 'effect'] as const

export type Sort = (typeof SORTS)[number]

/** The orders of the list of runs; "-name" is the reverse of "name". */
export const RUN_ORDERS = ['date', '-date', 'name', '-name', 'task', '-task', 'score', '-score'] as const

export type RunOrder = (typeof RUN_ORDERS)[number]

export type View = 'runs' | 'network' | 'neuron' | 'learning' | 'gradient' | 'health' | 'lesson' | 'playground'

/** Whether a view is one of a run. */
export const showsRun = ({ view }: { view: View }): boolean => view !== 'runs' && view !== 'playground'

export type By = 'gradient' | 'change'

/** A range of steps, `last` included. */
export interface Range {
  first: number
  last: number
}

/** A symbol that the network reads after a step, in place of what the text has there. */
export interface Branch {
  step: number
  symbol: string
}

/** What stands beside the shown network: another run, other weights, another text, or the network without its holds. */
export type Beside =
  | { kind: 'run'; name: string }
  /** Null for the best weights. */
  | { kind: 'checkpoint'; step: number | null }
  | { kind: 'text'; text: string }
  | { kind: 'holds' }

/** How the neurons of two networks are paired: by the correlation of their values, or by their number. */
export const PAIRINGS = ['matched', 'number'] as const

export type Pairing = (typeof PAIRINGS)[number]

/** The view state. Null is the default: the first layer, its main signal, the first example of the run, nothing pinned. */
export interface ViewState {
  view: View
  run: string | null
  layer: string | null
  signal: string | null
  neuron: number | null
  step: number | null
  text: string | null
  /** Null for the order that suits the network: by label once there are labels, by activity if it is large. */
  sort: Sort | null
  /** The order of the list of runs; `filter` is its search. */
  order: RunOrder
  zoom: number
  /** The colour scales of the strips. */
  scale: ScaleChoice
  as: Form
  /** The neurons of the page of text; on the page of a neuron, those beside it. Empty for the one of the cursor. */
  neurons: readonly number[]
  /** The feature drawn over the strips. */
  feature: string | null
  /** Only neurons with a label that contains this are listed. */
  filter: string
  range: Range | null
  /** A neuron is on in the range from this value on; null if chosen by the scale. */
  threshold: number | null
  /** The two steps whose chain of factors is shown. */
  pair: Range | null
  /** The training step of the weights, but for health and labels; null for the best ones. */
  checkpoint: number | null
  /** How connections of predictions are measured. */
  by: By
  /** The weight whose paths are listed: its drive, and the neuron that it reads. */
  drive: string | null
  source: number | null
  /** The signals that are held while the network reads the text. */
  holds: readonly Hold[]
  /** The number of symbols that the network writes behind the text: 0 for none, null for what this browser remembers. */
  write: number | null
  /** How it chooses them; null for the most probable ones, and for the seed 0. */
  temperature: number | null
  seed: number | null
  branches: readonly Branch[]
  /** What is compared with this network. */
  beside: Beside | null
  /** Null for the pairing that suits what is compared. */
  pairs: Pairing | null
  /** Whether the rows show the difference of each pair instead of both. */
  difference: boolean
  /** The tab of the panel. */
  panel: PanelTab
  /** The two neurons that are the axes of the space of states; null for principal components. */
  space: readonly [number, number] | null
  /** The matrix of weights on the page of health, such as u.i; null for the first one. */
  matrix: string | null
  /** The named sets of holds, and the name of the one that the holds are compared with; null for the free network. */
  sets: readonly HoldSet[]
  against: string | null
  /** What the lower part of the strips shows while signals are held. */
  below: Below
  /** How many operations of the diagram are done; null for all of them. */
  operation: number | null
  /** The drive whose parts are listed in the diagram, such as u.i. */
  sum: string | null
  /** The text of distributions and snapshots: the held-out text of the run, or that of the page. */
  over: Over
  /** The symbol of snapshots, or "#" and the number of a step; null for the best marker. */
  at: string | null
  /** The bin whose neurons are listed: a signal and a number, such as c.12. */
  bin: string | null
  /** The words of an experiment in the playground (model/experiment.ts); null for the one to begin with. */
  experiment: string | null
  /** The words of the networks beside it (model/side-by-side.ts). */
  experiments: readonly string[]
  /** The name of a lesson of the playground (model/lessons.ts). */
  lesson: string | null
}

/** The values without the holds, or how much the holds change them. */
export const BELOWS = ['original', 'difference'] as const

export type Below = (typeof BELOWS)[number]

/** One colour scale for all neurons of a layer, or one for each. */
export const SCALES = ['all', 'neuron'] as const

export type ScaleChoice = (typeof SCALES)[number]

/** How a text is shown: a strip for each neuron, or lines coloured by one. */
export const FORMS = ['strips', 'page'] as const

export type Form = (typeof FORMS)[number]

/** The texts over which values are counted. */
export const OVERS = ['held-out', 'text'] as const

export type Over = (typeof OVERS)[number]

/** The tabs of the panel, in their order. */
export const PANEL_TABS = ['equations', 'diagram', 'space'] as const

export type PanelTab = (typeof PANEL_TABS)[number]

export const ZOOMS = 5

/** The most neurons of a page of text. */
export const MAX_PAGE_NEURONS = 6

/** The zoom that shows the whole text. */
export const FIT_ZOOM = ZOOMS

export const DEFAULT_ZOOM = 3

export const START: ViewState = {
  view: 'runs',
  run: null,
  layer: null,
  signal: null,
  neuron: null,
  step: null,
  text: null,
  sort: null,
  order: 'date',
  zoom: DEFAULT_ZOOM,
  scale: 'all',
  as: 'strips',
  neurons: [],
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
  write: null,
  temperature: null,
  seed: null,
  branches: [],
  beside: null,
  pairs: null,
  difference: false,
  panel: 'equations',
  space: null,
  matrix: null,
  sets: [],
  against: null,
  below: 'original',
  operation: null,
  sum: null,
  over: 'held-out',
  at: null,
  bin: null,
  experiment: null,
  experiments: [],
  lesson: null,
}
