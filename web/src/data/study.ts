// Studies as they arrive: requests, progress, and tables of columns.

export interface Table {
  columns: Record<string, (number | string | null)[]>
  titles: Record<string, string>
  about: Record<string, unknown>
}

export type StudyAnswer =
  | { state: 'none'; problem?: string }
  | { state: 'working'; doing: string; done: number; total: number }
  | { state: 'failed'; error: string }
  | { state: 'done'; stale: boolean; result: unknown }
  /** The source does not compute this study; `problem` says what does. */
  | { state: 'unavailable'; problem: string }

export interface StudyRequest {
  study: 'labels' | 'ablation' | 'health' | 'neuron' | 'passages' | 'distributions' | 'snapshot' | 'places'
  /** Whether to save the answer in the run directory. */
  keep?: boolean
  layer?: string
  signal?: string
  neuron?: number
  features?: string[]
  /** The symbol of a snapshot, or "#" and the number of a step; empty for the best marker. */
  at?: string
  text?: string
  first?: number
  last?: number
  /** Null: the largest one at which a neuron is found. */
  threshold?: number | null
}

export type Row = Record<string, number | string | null>

/** Return the rows of a table as objects. */
export function rows(table: Table): Row[] {
  const names = Object.keys(table.columns)
  const count = table.columns[names[0] ?? '']?.length ?? 0
  return Array.from({ length: count }, (_, k) => {
    const row = Object.fromEntries(names.map((name) => [name, table.columns[name]![k]!]))
    // Titles follow the language of the page (data/localized.ts).
    for (const name of ['title', 'short']) {
      const column = table.columns[name]
      if (column) Object.defineProperty(row, name, { get: () => column[k], enumerable: true })
    }
    return row
  })
}

export interface Passage {
  value: number
  before: string
  at: string
  after: string
  first: number
  step: number
  values: number[]
  labels: string[]
  text: string
  from: number
  to: number
}

export interface AboutNeuron {
  steps: number
  characters: number
  most: Passage[]
  least: Passage[]
  histogram: Table
  health: Row
  effect: Table
}

/** The values of one signal, over all neurons of a layer and of each one. */
export interface Distribution {
  signal: string
  /** The ends of the bins, which have one width. */
  low: number
  high: number
  total: number[]
  /** For each neuron; null where a layer is large. */
  counts: number[][] | null
  mean: number | null
  deviation: number | null
  smallest: number | null
  largest: number | null
  values: number
  not_finite: number
}

export interface Distributions {
  layer: string
  steps: number
  signals: Distribution[]
}

/** A signal of every neuron at one symbol of each sequence, the shortest way to the symbol first. */
export interface Snapshot {
  layer: string
  signal: string
  at: string
  markers: { symbol: string; sequences: number }[]
  /** The number of different sequences with the symbol, of which the first ones are listed, and of those without it. */
  sequences: number
  without: number
  texts: string[]
  steps: number[]
  /** For each neuron, a value for each sequence. */
  values: (number | null)[][]
}

/** The passages in which a neuron has its largest and smallest values. */
export type CardPassages = Pick<AboutNeuron, 'characters' | 'most' | 'least'>

export interface Place {
  before: string
  at: string
  after: string
  exact: number
  on: number
  text: string
  from: number
  to: number
}

export interface Places {
  neurons: Table
  misses: Table
  places: Place[]
  runs: number
  needed: number
  characters: number
}
