// The source of the served page: the local server, and the engine in the browser for what it computes sooner.
import type { TextTargets } from '../../engine/text-targets'
import type { Matching, MatchRequest } from '../../engine/matching'
import { text } from '../messages/text'
import type { Acts, Star } from './acts'
import { inSentences } from './engine-errors'
import type { Tracks } from './features'
import type { Finding } from './findings'
import type { EngineNetworks, NetworkId } from './engine-networks'
import type { Chain } from './gradients'
import type { HttpSource } from './http-source'
import type { Layer, Run } from './run'
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
import { changedCharacters } from './text-change'
import type { Trace } from './trace'
import type { WeightPaths } from './weight-paths'

/** Larger weights stay with the server: the worker would hold several copies of them. */
export const MAX_LOCAL_WEIGHTS_BYTES = 32 << 20
/** The same for a run that is being trained, whose weights are loaded again every few seconds. */
export const MAX_TRAINING_WEIGHTS_BYTES = 2 << 20
/** The signals of a text that the worker records; longer texts stay with the server. */
export const MAX_LOCAL_VALUES = 1 << 25
/** The products of weights and steps that the engine computes in some 0.2 s. More take Python a third of its time. */
export const MAX_QUICK_PRODUCTS = 1 << 30
const WEIGHT_BYTES = 4

/**
 * Traces come from the engine as soon as it has opened the network of the shown run; until then, and whenever the engine
 * refuses, the server answers. Everything that needs a text of the run comes from the server.
 */
export class CombinedSource implements Source {
  /** The runs as the server described them last, and the names of those whose page was opened. */
  readonly #runs = new Map<string, Run>()
  readonly #opened = new Set<string>()
  /** The last request that the server answered because the network was not open. */
  #answered: { name: string; request: TraceRequest } | null = null
  /** The network and the text whose targets the engine has. */
  #targets = ''

  constructor(
    private readonly server: HttpSource,
    private readonly networks: EngineNetworks,
  ) {}

  get acts(): Acts {
    return this.server.acts
  }

  async run(name: string): Promise<Run> {
    const run = await this.server.run(name)
    this.#runs.set(name, run)
    return run
  }

  findings(name: string): Promise<Finding[]> {
    return this.server.findings(name)
  }

  prepare(name: string): void {
    this.#opened.add(name)
    const answered = this.#answered
    const id = answered?.name === name ? this.#local(name, answered.request) : null
    if (answered && id) this.#openFor(id, answered.request)
    else this.#open(this.#idOf(name, null))
  }

  stars(name: string): Promise<Star[]> {
    return this.server.stars(name)
  }

  async trace(name: string, request: TraceRequest, waiting: Waiting = {}): Promise<Trace> {
    if (request.holds) return inSentences(this.#held(name, request, waiting))
    const id = this.#local(name, request)
    if (id === null || !this.networks.isOpen(id)) {
      const opens = this.#opened.has(name)
      if (opens) this.#open(id)
      const answer = await this.server.trace(name, request, waiting)
      if (id && opens) this.#openFor(id, request)
      this.#answered = { name, request }
      return answer
    }
    if (!this.#isQuick(name, id, request.text)) {
      const answer = await this.server.trace(name, request, waiting)
      void this.networks.catchUp(id, request.text, request.layer)
      return answer
    }
    try {
      return await this.networks.trace(id, request, waiting)
    } catch (error) {
      if (waiting.signal?.aborted) throw error
      // The server computes it, or says why nobody can.
      return this.server.trace(name, request, waiting)
    }
  }

  /** Return a trace with holds, which the engine alone computes, with the targets that the server knows. */
  async #held(name: string, request: TraceRequest, waiting: Waiting): Promise<Trace> {
    const id = this.#engineOnly(name, request)
    if (this.#runs.get(name)!.readout.kind !== 'symbols') await this.#giveTargets(name, id, request, waiting)
    return this.networks.trace(id, request, waiting)
  }

  /** Give the engine the targets of a text, unless it has them: the task of classes and numbers, which Python has, knows them. */
  async #giveTargets(
    name: string,
    id: NetworkId,
    { holds: _, ...request }: TraceRequest,
    waiting: Waiting,
  ): Promise<void> {
    const { text } = request
    const key = JSON.stringify([id, text])
    if (this.#targets === key) return
    const trace = await this.server.trace(name, { ...request, signals: [], neurons: [], drives: false }, waiting)
    await this.networks.call('targets', id, { targets: [targetsOf(text, trace)] }, waiting)
    this.#targets = key
  }

  /** Check a text where its trace was computed. */
  async check(name: string, request: TraceRequest, trace: Trace, waiting: Waiting = {}): Promise<Check> {
    const id = trace.engine.startsWith('browser') ? this.#local(name, request) : null
    if (id) return inSentences(this.networks.check(id, request, waiting))
    const { holds: _, ...body } = request
    return this.server.check(name, body, trace, waiting)
  }

  async continuation(name: string, request: ContinueRequest, waiting?: Waiting): Promise<Written> {
    const id = this.#engineOnly(name, request)
    return inSentences(this.networks.call('write', id, request, waiting) as Promise<Written>)
  }

  async completions(name: string, request: CompletionsRequest, waiting?: Waiting): Promise<Completion[]> {
    const id = this.#engineOnly(name, request)
    return inSentences(this.networks.call('complete', id, request, waiting) as Promise<Completion[]>)
  }

  async swaps(name: string, request: SwapsRequest, waiting?: Waiting): Promise<Swaps> {
    // Targets of classes, which the engine does not know here, play no part.
    const id = this.#opened.has(name) ? this.#idOf(name, request.checkpoint, true) : null
    if (!id)
      throw new SourceError(text(this.networks.engine.native ? 'ENGINE_ONLY_TOO_LARGE' : 'ENGINE_ONLY_NO_ENGINE'))
    return inSentences(this.networks.call('swaps', id, request, waiting) as Promise<Swaps>)
  }

  match(request: MatchRequest): Promise<Matching> {
    return inSentences(this.networks.engine.match(request))
  }

  study(name: string, request: StudyRequest, start: boolean): Promise<StudyAnswer> {
    return this.server.study(name, request, start)
  }

  features(name: string, text: string, features: string[]): Promise<Tracks> {
    return this.server.features(name, text, features)
  }

  arrays(name: string, what: ArraysAnswer, request: object): Promise<ArrayBuffer> {
    return this.#either(what, name, request, () => this.server.arrays(name, what, request))
  }

  chain(name: string, request: object): Promise<Chain> {
    return this.#either('chain', name, request, () => this.server.chain(name, request))
  }

  weightPaths(name: string, request: object): Promise<WeightPaths> {
    return this.#either('weightPaths', name, request, () => this.server.weightPaths(name, request))
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

  /** Open a network in the background, and record the text that the server answered: the next letter costs one step. */
  #openFor(id: NetworkId, { text, layer }: TraceRequest): void {
    this.networks.open(id).then(
      () => this.networks.catchUp(id, text, layer),
      () => undefined,
    )
  }

  /** Return the network of a request that the engine can serve; null for the server. `all`: also without targets. */
  #local(name: string, { text, checkpoint }: Pick<TraceRequest, 'text' | 'checkpoint'>, all = false): NetworkId | null {
    const run = this.#runs.get(name)
    const values = (run?.layers ?? []).reduce((sum, layer) => sum + valuesOfStep(layer), 0)
    return values * text.length <= MAX_LOCAL_VALUES ? this.#idOf(name, checkpoint, all) : null
  }

  /** Return the network of a request that the server does not answer. Throws a SourceError that says why nobody does. */
  #engineOnly(name: string, request: { text: string; checkpoint: number | null }): NetworkId {
    const id = this.#local(name, request, true)
    if (id) return id
    if (!this.networks.engine.native) throw new SourceError(text('ENGINE_ONLY_NO_ENGINE'))
    throw new SourceError(text('ENGINE_ONLY_TOO_LARGE'))
  }

  /** Whether the engine answers sooner than the server, because little of the text has changed. */
  #isQuick(name: string, id: NetworkId, text: string): boolean {
    const run = this.#runs.get(name)!
    if (this.networks.isCatchingUp(id)) return false
    // What reads from the end depends on every later character.
    const reverse = run.layers.some((layer) => layer.reverse)
    const changed = reverse ? text.length : changedCharacters(this.networks.recorded(id), text, run.end)
    return (changed * run.weights_bytes) / WEIGHT_BYTES <= MAX_QUICK_PRODUCTS
  }

  #idOf(name: string, checkpoint: number | null, all = false): NetworkId | null {
    const run = this.#runs.get(name)
    if (!run || !this.networks.engine.native) return null
    const most = run.state === 'training' ? MAX_TRAINING_WEIGHTS_BYTES : MAX_LOCAL_WEIGHTS_BYTES
    // The targets of classes and numbers are known to the task alone, which Python has.
    if ((run.readout.kind !== 'symbols' && !all) || run.weights_bytes > most) return null
    if (checkpoint !== null) return { run: name, checkpoint, stamp: '' }
    return run.weights_stamp === null ? null : { run: name, checkpoint, stamp: run.weights_stamp }
  }
}

/** Return the targets of a text as they stand in its trace. */
function targetsOf(text: string, { target, value }: Trace): TextTargets {
  if (target) return { text, target: [...target] }
  const { width, data } = value ?? { width: 0, data: [] }
  const known = (place: number): number | null => (Number.isNaN(data[place]!) ? null : data[place]!)
  const rows = Array.from({ length: width ? data.length / width : 0 }, (_, step) =>
    Array.from({ length: width }, (_, k) => known(step * width + k)),
  )
  return { text, value: rows }
}

/** Return how many numbers of a layer are recorded at each step. */
const valuesOfStep = ({ neurons, signals }: Layer): number => neurons * signals.length
