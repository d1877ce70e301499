// The source of a live file: networks that the engine in the browser computes, and tables that Python computed before.
import { EngineError } from '../../engine/errors'
import type { Matching, MatchRequest } from '../../engine/matching'
import { text } from '../messages/text'
import type { Star } from './acts'
import type { EngineClient } from './engine-client'
import { inSentences, sentenceOf } from './engine-errors'
import { EngineNetworks, type NetworkFiles, type NetworkId } from './engine-networks'
import { readTracks, type Tracks } from './features'
import type { Finding } from './findings'
import type { Chain } from './gradients'
import type { LiveFile, LiveRun } from './live-data'
import type { Run, Summary } from './run'
import {
  type ArraysAnswer,
  type Check,
  type Completion,
  type CompletionsRequest,
  type ContinueRequest,
  type RunList,
  type Source,
  SourceError,
  type TraceRequest,
  UnavailableError,
  type Swaps,
  type SwapsRequest,
  type Waiting,
  type Written,
} from './source'
import type { StudyAnswer, StudyRequest } from './study'
import type { Trace } from './trace'
import type { WeightPaths } from './weight-paths'

/** The weights of a live file never change. */
const STAMP = 'live'

export class LocalSource implements Source {
  readonly #networks: EngineNetworks

  /** @param missing the sentence about what Python computes, given the command */
  constructor(
    engine: EngineClient,
    private readonly file: LiveFile,
    private readonly missing = (command: string): string => text('LIVE_NOT_COMPUTED', { command }),
  ) {
    this.#networks = new EngineNetworks(engine, async (id) => this.#filesOf(id))
  }

  async run(name: string): Promise<Run> {
    return this.#find(name).run
  }

  async findings(name: string): Promise<Finding[]> {
    return this.#find(name).findings ?? []
  }

  prepare(name: string): void {
    // A failure is reported by the trace.
    this.#networks.open(idOf(name, null)).catch(() => undefined)
  }

  /** Return a network with its best weights. */
  network(name: string): NetworkFiles {
    return this.#filesOf(idOf(name, null))
  }

  async stars(name: string): Promise<Star[]> {
    return this.#find(name).stars ?? []
  }

  trace(name: string, request: TraceRequest, waiting?: Waiting): Promise<Trace> {
    return inSentences(this.#networks.trace(idOf(name, request.checkpoint), request, waiting))
  }

  check(name: string, request: TraceRequest, _: Trace, waiting?: Waiting): Promise<Check> {
    return inSentences(this.#networks.check(idOf(name, request.checkpoint), request, waiting))
  }

  continuation(name: string, request: ContinueRequest, waiting?: Waiting): Promise<Written> {
    return this.#call<Written>('write', name, request, waiting)
  }

  completions(name: string, request: CompletionsRequest, waiting?: Waiting): Promise<Completion[]> {
    return this.#call<Completion[]>('complete', name, request, waiting)
  }

  swaps(name: string, request: SwapsRequest, waiting?: Waiting): Promise<Swaps> {
    return this.#call<Swaps>('swaps', name, request, waiting)
  }

  match(request: MatchRequest): Promise<Matching> {
    return inSentences(this.#networks.engine.match(request))
  }

  async study(name: string, request: StudyRequest): Promise<StudyAnswer> {
    const study = this.#find(name).studies.find((study) => answers(study.request, request))
    if (study) return { state: 'done', stale: study.stale, result: study.result }
    return { state: 'unavailable', problem: this.missing(commandOf(request.study, name)) }
  }

  async features(name: string, text: string, features: string[]): Promise<Tracks> {
    const run = this.#find(name)
    const stored = run.features.find((stored) => stored.text === text)
    if (!stored) throw this.#notComputed(name)
    const { features: known, tracks } = readTracks(this.file.part(stored.tracks))
    const track = (name: string): Tracks['tracks'][number] => tracks.find((track) => track?.name === name) ?? null
    return { features: known, tracks: features.map(track) }
  }

  arrays(name: string, what: ArraysAnswer, request: object): Promise<ArrayBuffer> {
    return this.#call<ArrayBuffer>(what, name, request)
  }

  chain(name: string, request: object): Promise<Chain> {
    return this.#call<Chain>('chain', name, request)
  }

  weightPaths(name: string, request: object): Promise<WeightPaths> {
    return this.#call<WeightPaths>('weightPaths', name, request)
  }

  follow(report: (list: RunList | null) => void): () => void {
    report({ version: this.file.data.version, runs: this.file.data.runs.map(({ run }) => summaryOf(run)) })
    return () => undefined
  }

  async #call<T>(call: string, name: string, request: object, waiting?: Waiting): Promise<T> {
    const { checkpoint = null } = request as { checkpoint?: number | null }
    try {
      return (await this.#networks.call(call, idOf(name, checkpoint), request, waiting)) as T
    } catch (error) {
      if (error instanceof EngineError && error.code === 'CALL_UNKNOWN') throw this.#notComputed(name)
      throw sentenceOf(error)
    }
  }

  #notComputed(run: string): UnavailableError {
    return new UnavailableError(this.missing(commandLine('explore', run)))
  }

  #find(name: string): LiveRun {
    const run = this.file.find(name)
    if (!run) throw new SourceError(text('RUN_UNKNOWN', { name }))
    return run
  }

  #filesOf({ run: name, checkpoint }: NetworkId): NetworkFiles {
    const { network, weights, checkpoints, targets } = this.#find(name)
    const part = checkpoint === null ? weights : checkpoints.find(({ step }) => step === checkpoint)?.weights
    if (part === null || part === undefined) throw new SourceError(text('LIVE_WEIGHTS_MISSING', { run: name }))
    return { network, weights: this.file.part(part), targets }
  }
}

const idOf = (run: string, checkpoint: number | null): NetworkId => ({ run, checkpoint, stamp: STAMP })

/** Whether a stored study answers a request: the same study, of the same neuron, with at least the same features. */
function answers(stored: StudyRequest, request: StudyRequest): boolean {
  // The passages of a neuron are part of what is stored about it.
  const study = request.study === 'passages' ? 'neuron' : request.study
  if (stored.study !== study || study === 'places') return false
  if (study !== 'neuron') return true
  return (['layer', 'signal', 'neuron'] as const).every((field) => stored[field] === request[field])
}

/** Return the command that computes a study. */
function commandOf(study: StudyRequest['study'], run: string): string {
  const commands: Partial<Record<StudyRequest['study'], string>> = {
    labels: 'label',
    ablation: 'ablate',
    health: 'health',
  }
  return commandLine(commands[study] ?? 'explore', run)
}

// Single quotes: a stranger named the run, and what a reader pastes into a shell must stay a name there.
const commandLine = (command: string, run: string): string =>
  `gatescope ${command} ${/^[\w.-]+$/.test(run) ? `runs/${run}` : `'runs/${run.replaceAll("'", `'\\''`)}'`}`

/** Return what the list of runs has of a run. */
export const summaryOf = (run: Run): Summary => ({
  ...run,
  layers: run.layers.map(({ cell, neurons, reverse, stacked }) => ({ cell: cell.name, neurons, reverse, stacked })),
})
