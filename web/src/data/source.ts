// The source of the data: the local server, the engine in the browser, or both.
import type { Hold, WriteRequest } from '../../engine/holds'
import type { Tracks } from './features'
import type { Chain } from './gradients'
import type { Run, Summary } from './run'
import type { StudyAnswer, StudyRequest } from './study'
import type { Trace } from './trace'
import type { WeightPaths } from './weight-paths'

export interface TraceRequest {
  text: string
  layer: string
  signals: string[]
  neurons: number[] | null
  drives: boolean
  top: number
  /** The training step of the weights; null for the best ones. */
  checkpoint: number | null
  /** The signals that are held. With this field, even if it is empty, only the engine in the browser answers. */
  holds?: readonly Hold[]
}

/** A request for the text with which a network goes on. */
export interface ContinueRequest extends WriteRequest {
  /** As in a TraceRequest. */
  checkpoint: number | null
}

export interface RunList {
  version: string
  runs: Summary[]
}

/** A failed request: `problem` is a sentence for the reader; `lost` is true if the server did not answer at all. */
export class SourceError extends Error {
  constructor(
    readonly problem: string,
    readonly lost = false,
  ) {
    super(problem)
  }
}

/** Something that this source does not compute; `problem` has the command that does. */
export class UnavailableError extends SourceError {}

export interface Source {
  run(name: string): Promise<Run>
  /** Get ready for traces of a run, because its page was opened. */
  prepare(name: string): void
  trace(name: string, request: TraceRequest): Promise<Trace>
  /** Return the text with which a network continues another one; only the engine in the browser answers. */
  continuation(name: string, request: ContinueRequest): Promise<string>
  /** Return the answer of a study, or its progress; `start` begins it. */
  study(name: string, request: StudyRequest, start: boolean): Promise<StudyAnswer>
  /** Return the values of some features over a text, and the list of all features. */
  features(name: string, text: string, features: string[]): Promise<Tracks>
  /** Return arrays about gradients (see docs/explorer.md). */
  arrays(name: string, what: 'gradients' | 'connections', request: object): Promise<ArrayBuffer>
  /** Return the factors of one neuron between two steps. */
  chain(name: string, request: object): Promise<Chain>
  /** Return every path of one weight to one prediction. */
  weightPaths(name: string, request: object): Promise<WeightPaths>
  /**
   * Report the list of runs, now and whenever it changes, and null when the connection is lost; with a sentence for the
   * reader if it does not come back by itself. Returns a function that stops.
   */
  follow(report: (list: RunList | null, problem?: string) => void): () => void
}
