// The source of the data: the local server; a widget or an exported file can be other sources.
import { text } from '../messages/text'
import { readTracks, type Tracks } from './features'
import type { Chain } from './gradients'
import type { Run, Summary } from './run'
import type { StudyAnswer, StudyRequest } from './study'
import { Trace } from './trace'
import type { WeightPaths } from './weight-paths'

export interface TraceRequest {
  text: string
  layer: string
  signals: string[]
  neurons: number[] | null
  drives: boolean
  top: number
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

export interface Source {
  run(name: string): Promise<Run>
  trace(name: string, request: TraceRequest): Promise<Trace>
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
  /** Report the list of runs, now and whenever it changes, and null when the connection is lost. Returns a function that stops. */
  follow(report: (list: RunList | null) => void): () => void
}

/** The source that asks the local server. */
export class HttpSource implements Source {
  constructor(private readonly base = '') {}

  async run(name: string): Promise<Run> {
    return (await (await this.#fetch(runPath(name))).json()) as Run
  }

  async trace(name: string, request: TraceRequest): Promise<Trace> {
    return Trace.read(await this.#fetchBytes(`${runPath(name)}/trace`, { ...request, checkpoint: null }))
  }

  study(name: string, request: StudyRequest, start: boolean): Promise<StudyAnswer> {
    const body = { ...request, start, keep: start && (request.keep ?? false) }
    return this.#fetchJson<StudyAnswer>(`${runPath(name)}/study`, body)
  }

  async features(name: string, text: string, features: string[]): Promise<Tracks> {
    return readTracks(await this.#fetchBytes(`${runPath(name)}/features`, { text, features }))
  }

  arrays(name: string, what: 'gradients' | 'connections', request: object): Promise<ArrayBuffer> {
    return this.#fetchBytes(`${runPath(name)}/${what}`, request)
  }

  chain(name: string, request: object): Promise<Chain> {
    return this.#fetchJson<Chain>(`${runPath(name)}/chain`, request)
  }

  weightPaths(name: string, request: object): Promise<WeightPaths> {
    return this.#fetchJson<WeightPaths>(`${runPath(name)}/ways`, request)
  }

  follow(report: (list: RunList | null) => void): () => void {
    let events: EventSource | undefined
    let retryTimer: ReturnType<typeof setTimeout> | undefined
    const close = (): void => {
      clearTimeout(retryTimer)
      events?.close()
      events = undefined
    }
    const open = (): void => {
      close()
      const stream = new EventSource(`${this.base}/api/events`)
      events = stream
      stream.addEventListener('runs', (event) => report(JSON.parse((event as MessageEvent<string>).data) as RunList))
      stream.onerror = () => {
        report(null)
        // The browser tries again by itself, except after an answer that was an error.
        if (stream.readyState === EventSource.CLOSED) retryTimer = setTimeout(open, 2000)
      }
    }
    // A browser allows few connections to one address: hidden tabs close theirs.
    const updateVisibility = (): void => (document.hidden ? close() : open())
    document.addEventListener('visibilitychange', updateVisibility)
    updateVisibility()
    return () => {
      document.removeEventListener('visibilitychange', updateVisibility)
      close()
    }
  }

  /** Send a request and return the answer; a body makes it a POST. */
  async #fetch(path: string, body?: unknown): Promise<Response> {
    const options: RequestInit =
      body === undefined
        ? {}
        : { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }
    const answer = await fetch(this.base + path, options).catch(throwLost)
    if (answer.ok) return answer
    const failure: unknown = await answer.json().catch(() => null)
    const sentence = (failure as { error?: string } | null)?.error
    throw new SourceError(sentence ?? text('SOURCE_FAILED', { status: answer.status }))
  }

  async #fetchBytes(path: string, body: unknown): Promise<ArrayBuffer> {
    return (await this.#fetch(path, body)).arrayBuffer().catch(throwLost)
  }

  async #fetchJson<T>(path: string, body: unknown): Promise<T> {
    return (await (await this.#fetch(path, body)).json().catch(throwLost)) as T
  }
}

const runPath = (name: string): string => `/api/runs/${encodeURIComponent(name)}`

function throwLost(): never {
  throw new SourceError(text('SOURCE_LOST'), true)
}
