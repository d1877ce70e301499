// A text that is read at every key by a few neurons of one run, for the live strips of the landing page.
import type { Finding } from '../data/findings'
import type { Run } from '../data/run'
import { type Source, SourceError, type TraceRequest } from '../data/source'
import { sentenceOf } from '../data/source-error'
import type { Trace } from '../data/trace'
import { Latest } from './requests'

/** The values of a few neurons over a text. */
export interface LivePicture {
  text: string
  labels: string[]
  /** The values of each neuron, one after the other. */
  rows: Float32Array[]
  /** The symbol that the network expects next, and its probability; null if it predicts no symbols. */
  next: { symbol: string; probability: number } | null
  /** The characters of the text that the network has never seen. */
  unknown: string[]
}

export class LiveText {
  /** The last answer. */
  picture = $state.raw<LivePicture | null>(null)
  problem = $state<string | null>(null)
  readonly #requests = new Latest()
  #details: Run | null = null

  constructor(
    readonly source: Source,
    readonly name: string,
    private readonly finding: Finding,
  ) {}

  /** Read a text; newer texts replace it while it waits. */
  read(text: string): void {
    this.#requests.request(async () => {
      try {
        this.picture = await this.#picture(text)
        this.problem = null
      } catch (error) {
        // The note of the whole page says that the server is lost.
        if (!(error instanceof SourceError && error.lost)) this.problem = sentenceOf(error)
      }
    })
  }

  async #picture(text: string): Promise<LivePicture> {
    if (!this.#details) {
      this.#details = await this.source.run(this.name)
      this.source.prepare(this.name)
    }
    const { place, picture } = this.finding
    const layer = place.layer ?? this.#details.layers[0]!.name
    const signal = place.signal ?? 'h'
    const neurons = picture?.strips.map(({ neuron }) => neuron) ?? [place.neuron ?? 0]
    const trace = await this.#trace({
      text,
      layer,
      signals: [signal],
      neurons,
      drives: false,
      top: 1,
      checkpoint: null,
    })
    const rows = neurons.map((_, k) => trace.row(`${layer}.${signal}`, k) ?? new Float32Array())
    return { text, labels: trace.labels, rows, next: this.#next(trace), unknown: trace.unknown }
  }

  /** Return a trace of the engine in the page, or of the server if the engine does not compute this run. */
  async #trace(request: TraceRequest): Promise<Trace> {
    try {
      return await this.source.trace(this.name, { ...request, holds: [] })
    } catch (error) {
      if (!(error instanceof SourceError) || error.lost) throw error
      return this.source.trace(this.name, request)
    }
  }

  #next(trace: Trace): LivePicture['next'] {
    const run = this.#details!
    if (run.readout.kind !== 'symbols' || !trace.steps || !trace.top) return null
    const last = (trace.steps - 1) * trace.top
    const symbol = run.vocabulary[trace.topToken[last]!]
    return symbol === undefined ? null : { symbol, probability: trace.topProbability[last]! }
  }
}
