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
  /** The source does not compute this study; `command` computes it. */
  | { state: 'unavailable'; command: string }

export interface StudyRequest {
  study: 'labels' | 'ablation' | 'health' | 'neuron' | 'places'
  /** Whether to save the answer in the run directory. */
  keep?: boolean
  layer?: string
  signal?: string
  neuron?: number
  features?: string[]
  text?: string
  first?: number
  last?: number
  threshold?: number
}

export type Row = Record<string, number | string | null>

/** Return the rows of a table as objects. */
export function rows(table: Table): Row[] {
  const names = Object.keys(table.columns)
  const count = table.columns[names[0] ?? '']?.length ?? 0
  return Array.from({ length: count }, (_, k) =>
    Object.fromEntries(names.map((name) => [name, table.columns[name]![k]!])),
  )
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
  places: Place[]
  runs: number
  needed: number
  characters: number
}
