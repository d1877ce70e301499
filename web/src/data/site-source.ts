// The source of a static site: a list of runs, and one data file for each, which is fetched when its run is opened.
import type { Matching, MatchRequest } from '../../engine/matching'
import { text } from '../messages/text'
import type { Star } from './acts'
import type { EngineClient } from './engine-client'
import type { NetworkFiles } from './engine-networks'
import { inSentences } from './engine-errors'
import type { Tracks } from './features'
import type { Finding } from './findings'
import type { Chain } from './gradients'
import { LiveFile } from './live-data'
import { LocalSource } from './local-source'
import type { Run } from './run'
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
  type Swaps,
  type SwapsRequest,
  type Waiting,
  type Written,
} from './source'
import type { StudyAnswer, StudyRequest } from './study'
import type { Trace } from './trace'
import type { WeightPaths } from './weight-paths'

/** runs.json of a site. */
export interface SiteIndex extends RunList {
  /** The data file of each run, in the order of `runs`: a container of data/live-data.ts. */
  files: string[]
  /** The findings of each run; a site of an older version has none. */
  findings?: Finding[][]
}

/** Reads the files of a site. Both throw a SourceError if a file cannot be read. */
export interface SiteFiles {
  index(): Promise<SiteIndex>
  data(file: string): Promise<ArrayBuffer>
}

export class SiteSource implements Source {
  readonly #sources = new Map<string, Promise<LocalSource>>()
  #index: Promise<SiteIndex> | null = null

  constructor(
    private readonly engine: EngineClient,
    private readonly files: SiteFiles,
  ) {}

  async run(name: string): Promise<Run> {
    return (await this.#source(name)).run(name)
  }

  /** Return the findings in the list of runs: the landing page loads no data file for them. */
  async findings(name: string): Promise<Finding[]> {
    const { runs, findings } = await this.#loadIndex()
    return findings?.[runs.findIndex((run) => run.name === name)] ?? []
  }

  prepare(name: string): void {
    // A failure is reported by the request of the run.
    this.#source(name).then(
      (source) => source.prepare(name),
      () => undefined,
    )
  }

  /** Return the network of a run with its best weights. */
  async network(name: string): Promise<NetworkFiles> {
    return (await this.#source(name)).network(name)
  }

  async stars(name: string): Promise<Star[]> {
    return (await this.#source(name)).stars(name)
  }

  async trace(name: string, request: TraceRequest, waiting?: Waiting): Promise<Trace> {
    return (await this.#source(name)).trace(name, request, waiting)
  }

  async check(name: string, request: TraceRequest, trace: Trace, waiting?: Waiting): Promise<Check> {
    return (await this.#source(name)).check(name, request, trace, waiting)
  }

  async continuation(name: string, request: ContinueRequest, waiting?: Waiting): Promise<Written> {
    return (await this.#source(name)).continuation(name, request, waiting)
  }

  async completions(name: string, request: CompletionsRequest, waiting?: Waiting): Promise<Completion[]> {
    return (await this.#source(name)).completions(name, request, waiting)
  }

  async swaps(name: string, request: SwapsRequest, waiting?: Waiting): Promise<Swaps> {
    return (await this.#source(name)).swaps(name, request, waiting)
  }

  match(request: MatchRequest): Promise<Matching> {
    return inSentences(this.engine.match(request))
  }

  async study(name: string, request: StudyRequest): Promise<StudyAnswer> {
    return (await this.#source(name)).study(name, request)
  }

  async features(name: string, text: string, features: string[]): Promise<Tracks> {
    return (await this.#source(name)).features(name, text, features)
  }

  async arrays(name: string, what: ArraysAnswer, request: object): Promise<ArrayBuffer> {
    return (await this.#source(name)).arrays(name, what, request)
  }

  async chain(name: string, request: object): Promise<Chain> {
    return (await this.#source(name)).chain(name, request)
  }

  async weightPaths(name: string, request: object): Promise<WeightPaths> {
    return (await this.#source(name)).weightPaths(name, request)
  }

  follow(report: (list: RunList | null, problem?: string) => void): () => void {
    let following = true
    this.#loadIndex().then(
      (index) => following && report(index),
      (error: Error) => following && report(null, error.message),
    )
    return () => {
      following = false
    }
  }

  /** Return runs.json. After a failure the next call tries again. */
  #loadIndex(): Promise<SiteIndex> {
    this.#index ??= this.files.index().catch((error: unknown) => {
      this.#index = null
      throw error
    })
    return this.#index
  }

  #source(name: string): Promise<LocalSource> {
    const known = this.#sources.get(name)
    if (known) return known
    const source = this.#load(name)
    this.#sources.set(name, source)
    source.catch(() => this.#sources.delete(name))
    return source
  }

  async #load(name: string): Promise<LocalSource> {
    const { runs, files } = await this.#loadIndex()
    const file = files[runs.findIndex((run) => run.name === name)]
    if (file === undefined) throw new SourceError(text('RUN_UNKNOWN', { name }))
    return new LocalSource(this.engine, LiveFile.read(await this.files.data(file)))
  }
}
