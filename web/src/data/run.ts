// A run as the server describes it: the network, its task, its score and its history.
import type { Expression } from './expression'

export interface Score {
  value: number
  chance: number
  solved: boolean | null
  /** Which scores are better; older runs do not say it. */
  better?: 'higher' | 'lower'
  text: string
  /** The text in each language, if its code is known. */
  texts?: Record<string, string>
}

/** How the names of runs that were trained in the page begin; no folder has such a name. The rest is the experiment. */
export const PAGE_RUN = 'page/'

export type RunState = 'starting' | 'created' | 'training' | 'finished' | 'interrupted' | 'failed' | 'unreadable'

/** The unit of a step: a kind of symbol, or a vector of numbers. */
export type Unit = 'character' | 'byte' | 'word' | 'token' | 'number'

/** The outputs of a network: symbols, classes or numbers, after every step or once at the end. */
export interface Readout {
  kind: 'symbols' | 'classes' | 'numbers'
  names: string[]
  quantiles: number[]
  reads: 'every step' | 'last step'
}

export interface Summary {
  name: string
  state: RunState
  problem: string | null
  task: { name: string; title: string; question: string }
  cell: { name: string; title: string }
  layers: { cell: string; neurons: number; reverse: boolean; stacked: boolean }[]
  symbols: number
  unit: Unit
  readout: Readout
  step: number
  /** Whether there are weights: trained or imported. */
  weights: boolean
  /** The training step of the best weights; null if unknown, absent in live files of earlier versions. */
  weights_step?: number | null
  /** The size of the file of the weights. */
  weights_bytes: number
  /** A text that changes with the weights; null without weights. */
  weights_stamp: string | null
  /** A text that changes with everything that findings are computed from; null without weights. */
  findings_stamp: string | null
  /** Whether labels of its neurons are saved; missing in live files of earlier versions. */
  labelled?: boolean
  steps: number | null
  minutes: number | null
  progress: number | null
  seconds: number
  loss: number | null
  validation_loss: number | null
  score: Score | null
  /** The loss of guessing without a network, in the unit of the score; null if unknown, or if the score is no loss. */
  baseline: number | null
  /** The assumptions made when the network was imported, one sentence each. */
  notes: string[]
  /** Short words that somebody gave the run. */
  tags: string[]
  /** Whether it was trained in this page, which keeps it until it is closed; nothing about it is written. */
  isInPage?: boolean
  /** The number of views that somebody kept with a star. */
  stars: number
  updated: number
  example: string
}

export interface Signal {
  name: string
  title: string
  range: [number | null, number | null]
  formula: string
  expression: Expression
  /** The code of its explanation, for the common signals. */
  meaning?: string | null
}

export interface Layer {
  name: string
  neurons: number
  /** Whether it reads each sequence from the end. */
  reverse: boolean
  /** Whether it reads from the end without a forward layer beside it. */
  stacked: boolean
  cell: { name: string; title: string; paper: string; note?: string }
  signals: Signal[]
  drives: { name: string; title: string; formula: string }[]
  parameters: { name: string; title: string }[]
}

export interface HistoryRecord {
  step: number
  loss?: number
  validation_loss?: number
}

export interface Run extends Omit<Summary, 'layers'> {
  layers: Layer[]
  vocabulary: string[]
  end: string | null
  examples: string[]
  history: HistoryRecord[]
  samples: { step: number; text: string; temperature: number }[]
  checkpoints: number[]
  /** The seed of its training; null for an adopted network, missing in live files of earlier versions. */
  seed?: string | null
}
