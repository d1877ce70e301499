// The source of the served page: the local server, and the engine in the browser for what it computes sooner.
import { text } from '../messages/text'
import { inSentences } from './engine-errors'
import type { Tracks } from './features'
import type { EngineNetworks, NetworkId } from './engine-networks'
import type { Chain } from './gradients'
import type { HttpSource } from './http-source'
import type { Layer, Run } from './run'
import { type ContinueRequest, type RunList, type Source, SourceError, type TraceRequest } from './source'
import type { StudyAnswer, StudyRequest } from './study'
import { changedCharacters } from './text-change'
import type { Trace } from './trace'
import type { WeightPaths } from './weight-paths'

/** Larger weights stay with the server: the worker would hold several copies of them. */
export const MAX_LOCAL_WEIGHTS_BYTES = 32 << 20
/** The same for a run that is being trained, whose weights are loaded again every few seconds. */
export const MAX_TRAINING_WEIGHTS_BYTES = 2 << 20
/** The signals and drives of a text that the worker records; longer texts stay with the server. */
export const MAX_LOCAL_VALUES = 1 << 24
/**
 * The engine answers at once up to this many products of weights and steps, which take it less than 0.1 s. Beyond that,
 * it does if it computes at most this share of the text again: with large weights, its self-check in float64 takes up to
 * eight times as long as that of Python, which computes the whole text.
 */
export const MAX_QUICK_PRODUCTS = 1 << 24
export const MAX_QUICK_SHARE = 1 / 8
const WEIGHT_BYTES = 4

/**
 * Traces come from the engine as soon as it has opened the network of the shown run; until then, and whenever the engine
 * refuses, the server answers. Everything that needs a text of the run comes from the server.
 */
export class CombinedSource implements Source {
  /** The runs as the server described them last, and the names of those whose page was opened. */
  readonly #runs = new Map<string, Run>()
  readonly #opened = new Set<string>()

  constructor(
    private readonly server: HttpSource,
    private readonly networks: EngineNetworks,
  ) {}

  async run(name: string): Promise<Run> {
    const run = await this.server.run(name)
    this.#runs.set(name, run)
    return run
  }

  prepare(name: string): void {
    this.#opened.add(name)
    this.#open(this.#idOf(name, null))
  }

  async trace(name: string, request: TraceRequest): Promise<Trace> {
    if (request.holds) return inSentences(this.networks.trace(this.#engineOnly(name, request), request))
    const id = this.#local(name, request)
    if (id === null || !this.networks.isOpen(id)) {
      if (this.#opened.has(name)) this.#open(id)
      return this.server.trace(name, request)
    }
    if (!this.#isQuick(name, id, request.text)) {
      const answer = await this.server.trace(name, request)
      void this.networks.catchUp(id, request.text, request.layer)
      return answer
    }
    try {
      return await this.networks.trace(id, request)
    } catch {
      // The server computes it, or says why nobody can.
      return this.server.trace(name, request)
    }
  }

  async continuation(name: string, request: ContinueRequest): Promise<string> {
    return inSentences(this.networks.call('write', this.#engineOnly(name, request), request) as Promise<string>)
  }

  study(name: string, request: StudyRequest, start: boolean): Promise<StudyAnswer> {
    return this.server.study(name, request, start)
  }

  features(name: string, text: string, features: string[]): Promise<Tracks> {
    return this.server.features(name, text, features)
  }

  arrays(name: string, what: 'gradients' | 'connections', request: object): Promise<ArrayBuffer> {
    return this.#either(what, name, request, () => this.server.arrays(name, what, request))
  }

  chain(name: string, request: object): Promise<Chain> {
    return this.#either('chain', name, request, () => this.server.chain(name, request))
  }

  weightPaths(name: string, request: object): Promise<WeightPaths> {
    return this.server.weightPaths(name, request)
  }

  follow(report: (list: RunList | null) => void): () => void {
    return this.server.follow((list) => {
      for (const { name, state, weights_bytes, weights_stamp } of list?.runs ?? []) {
        const run = this.#runs.get(name)
        if (run) this.#runs.set(name, { ...run, state, weights_bytes, weights_stamp })
      }
      report(list)
    })
  }

  /** Return an answer about gradients: of the engine, which refuses what would take long, or else of the server. */
  async #either<T>(call: string, name: string, request: object, server: () => Promise<T>): Promise<T> {
    const { checkpoint = null } = request as { checkpoint?: number | null }
    const id = this.#idOf(name, checkpoint)
    if (id === null || !this.networks.isOpen(id) || this.networks.isCatchingUp(id)) {
      if (this.#opened.has(name)) this.#open(id)
      return server()
    }
    try {
      return (await this.networks.call(call, id, request)) as T
    } catch {
      return server()
    }
  }

  /** Open a network in the background. A failure is no news: the server answers. */
  #open(id: NetworkId | null): void {
    if (id) this.networks.open(id).catch(() => undefined)
  }

  /** Return the network of a request that the engine can serve; null for the server. */
  #local(name: string, { text, checkpoint }: Pick<TraceRequest, 'text' | 'checkpoint'>): NetworkId | null {
    const run = this.#runs.get(name)
    const values = (run?.layers ?? []).reduce((sum, layer) => sum + valuesOfStep(layer), 0)
    return values * text.length <= MAX_LOCAL_VALUES ? this.#idOf(name, checkpoint) : null
  }

  /** Return the network of a request that the server does not answer. Throws a SourceError that says why nobody does. */
  #engineOnly(name: string, request: { text: string; checkpoint: number | null }): NetworkId {
    const run = this.#runs.get(name)
    const id = this.#local(name, request)
    if (id) return id
    if (!this.networks.engine.native) throw new SourceError(text('ENGINE_ONLY_NO_ENGINE'))
    if (run && run.readout.kind !== 'symbols') throw new SourceError(text('ENGINE_ONLY_TARGETS'))
    throw new SourceError(text('ENGINE_ONLY_TOO_LARGE'))
  }

  /** Whether the engine answers sooner than the server, because little of the text has changed. */
  #isQuick(name: string, id: NetworkId, text: string): boolean {
    const run = this.#runs.get(name)!
    if (this.networks.isCatchingUp(id)) return false
    // What reads from the end depends on every later character.
    const reverse = run.layers.some((layer) => layer.reverse)
    const changed = reverse ? text.length : changedCharacters(this.networks.recorded(id), text, run.end)
    const products = (changed * run.weights_bytes) / WEIGHT_BYTES
    return products <= MAX_QUICK_PRODUCTS || changed <= text.length * MAX_QUICK_SHARE
  }

  #idOf(name: string, checkpoint: number | null): NetworkId | null {
    const run = this.#runs.get(name)
    if (!run || !this.networks.engine.native) return null
    const most = run.state === 'training' ? MAX_TRAINING_WEIGHTS_BYTES : MAX_LOCAL_WEIGHTS_BYTES
    // The targets of classes and numbers are known to the task alone, which Python has.
    if (run.readout.kind !== 'symbols' || run.weights_bytes > most) return null
    if (checkpoint !== null) return { run: name, checkpoint, stamp: '' }
    return run.weights_stamp === null ? null : { run: name, checkpoint, stamp: run.weights_stamp }
  }
}

/** Return how many numbers of a layer are recorded at each step. */
const valuesOfStep = ({ neurons, signals, drives }: Layer): number => neurons * (signals.length + drives.length)
