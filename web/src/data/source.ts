// The source of the data: the local server, the engine in the browser, or both.
import type { Check } from '../../engine/checking'
import type { CompleteRequest, Completion } from '../../engine/completion'
import type { WriteRequest, Written } from '../../engine/continuation'
import type { Hold } from '../../engine/holds'
import type { SwapRequest, Swaps } from '../../engine/swaps'
import type { Acts, Star } from './acts'
import type { Matching, MatchRequest } from '../../engine/matching'
import type { Progress } from '../../engine/recording'
import type { Tracks } from './features'
import type { Finding } from './findings'
import type { Chain } from './gradients'
import type { TrainedRun } from './live-data'
import type { Run, Summary } from './run'
import type { StudyAnswer, StudyRequest } from './study'
import type { Trace } from './trace'
import type { WeightPaths } from './weight-paths'

export type { Check, Completion, Progress, Swaps, Written }
export { SourceError, UnavailableError } from './source-error'

export interface TraceRequest {
  text: string
  layer: string
  signals: string[]
  neurons: number[] | null
  drives: boolean
  top: number
  /** A neuron of which everything is sent besides: its signals, drives and parameters. */
  detail?: number | null
  /** The training step of the weights; null for the best ones. */
  checkpoint: number | null
  /** The signals that are held. With this field, even if it is empty, only the engine in the browser answers. */
  holds?: readonly Hold[]
}

/** How a caller waits for an answer. */
export interface Waiting {
  /** Gives the request up. */
  signal?: AbortSignal
  /** Ends a continuation early, with what is written so far. */
  enough?: AbortSignal
  /** Is called now and then while a long text is read. */
  onProgress?: (progress: Progress) => void
  /** Whether older requests with this mark are useless now. */
  replaces?: boolean
}

/** A request for the text with which a network goes on. */
export interface ContinueRequest extends WriteRequest {
  /** As in a TraceRequest. */
  checkpoint: number | null
}

/** The answers that are arrays, by the address of their request. */
export type ArraysAnswer = 'gradients' | 'connections' | 'matrices'

export interface CompletionsRequest extends CompleteRequest {
  checkpoint: number | null
}

export interface SwapsRequest extends SwapRequest {
  checkpoint: number | null
}

export interface RunList {
  version: string
  runs: Summary[]
}

/** What the page needs so that it can train. */
export interface PlaygroundSource {
  /** The worker, whose calls engine/worker.ts lists. */
  readonly engine: { call(call: { call: string; [field: string]: unknown }): Promise<unknown> }
  /** Return the content of a file beside the page. */
  readonly load: (file: string) => Promise<ArrayBuffer>
  /** Let the source answer for a run that the page has trained, instead of one with the same name. */
  readonly addRun: (trained: TrainedRun) => Promise<void>
  /** Return the network of a run with its best weights. */
  readonly network: (run: string) => Promise<{ network: unknown; weights: ArrayBuffer }>
}

export interface Source {
  /** What the page may write; undefined where there is no local server. */
  readonly acts?: Acts
  /** What the page needs to train a network; undefined in a live file. */
  readonly playground?: PlaygroundSource
  run(name: string): Promise<Run>
  /** Return what was measured about a run, the best of each kind first. */
  findings(name: string): Promise<Finding[]>
  /** Return the views of a run that somebody kept, in their order. */
  stars(name: string): Promise<Star[]>
  /** Get ready for traces of a run, because its page was opened. */
  prepare(name: string): void
  trace(name: string, request: TraceRequest, waiting?: Waiting): Promise<Trace>
  /** Check every equation of a text, as it was recorded for a trace. Throws a SourceError if one does not hold. */
  check(name: string, request: TraceRequest, trace: Trace, waiting?: Waiting): Promise<Check>
  /** Return what a network writes behind a text; only the engine in the browser answers. */
  continuation(name: string, request: ContinueRequest, waiting?: Waiting): Promise<Written>
  /** Return the most probable words or lines after a place of a text; only the engine in the browser answers. */
  completions(name: string, request: CompletionsRequest, waiting?: Waiting): Promise<Completion[]>
  /** Return what classes a text would have with other words at a step; only the engine in the browser answers. */
  swaps(name: string, request: SwapsRequest, waiting?: Waiting): Promise<Swaps>
  /** Pair the neurons of two networks by correlation; the engine in the browser computes it. */
  match(request: MatchRequest): Promise<Matching>
  /** Return the answer of a study, or its progress; `start` begins it. */
  study(name: string, request: StudyRequest, start: boolean): Promise<StudyAnswer>
  /** Return the values of some features over a text, and the list of all features. */
  features(name: string, text: string, features: string[]): Promise<Tracks>
  /** Return arrays about gradients, or the weights of a layer (see docs/explorer.md). */
  arrays(name: string, what: ArraysAnswer, request: object): Promise<ArrayBuffer>
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
