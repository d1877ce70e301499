// Traces of the strips: the last ones are cached, and a text with holds comes with the same text without them.
import { type Source, SourceError, type TraceRequest, type Waiting } from '../data/source'
import type { Trace } from '../data/trace'
import type { Hold } from '../data/view'
import type { Picture } from '../model/picture'

const MAX_TRACES = 8

/** A request of a run. */
interface Query {
  name: string
  request: TraceRequest
  /** Counts the readings of newer weights. */
  generation: number
  /** A neuron of which everything is wanted; null for none. */
  detail: number | null
}

/** A trace, and the neuron of which it has everything; null if there is none. */
interface CachedTrace {
  trace: Trace
  detail: number | null
}

/** The traces of a picture (see Picture), and the neuron of which all of them have everything. */
type Traced = Pick<Picture, 'trace' | 'holds' | 'baseline' | 'original' | 'free' | 'refusal'> & {
  detail: number | null
}

export class TraceCache {
  readonly #traces = new Map<string, CachedTrace>()

  constructor(private readonly source: Source) {}

  /** Return the trace with holds beside that of a baseline, or the one without holds if they are refused. */
  async withHolds(query: Query, holds: readonly Hold[], baseline: readonly Hold[], waiting: Waiting): Promise<Traced> {
    let refusal: string | null = null
    if (holds.length || baseline.length)
      try {
        const held = await this.#trace(query, holds, waiting)
        // The same engine computes both, so that they differ by the holds alone.
        const original = await this.#trace(query, baseline, waiting)
        const free = baseline.length ? await this.#trace(query, [], waiting) : original
        const detail = original.detail === held.detail ? held.detail : null
        return { trace: held.trace, holds, baseline, original: original.trace, free: free.trace, refusal, detail }
      } catch (error) {
        if (!(error instanceof SourceError) || error.lost) throw error
        refusal = error.problem
      }
    return {
      ...(await this.#trace(query, null, waiting)),
      holds: [],
      baseline: [],
      original: null,
      free: null,
      refusal,
    }
  }

  /** Return a trace; null holds nothing, and any engine may answer. */
  async #trace(query: Query, holds: readonly Hold[] | null, waiting: Waiting): Promise<CachedTrace> {
    const { name, generation, detail } = query
    const request = holds ? { ...query.request, holds } : query.request
    const key = JSON.stringify([name, generation, request])
    let cached = this.#traces.get(key)
    if (!cached) {
      const wanted = detail === null ? request : { ...request, detail }
      cached = { trace: await this.source.trace(name, wanted, waiting), detail }
    }
    this.#traces.delete(key)
    this.#traces.set(key, cached)
    for (const oldest of this.#traces.keys()) if (this.#traces.size > MAX_TRACES) this.#traces.delete(oldest)
    return cached
  }
}
