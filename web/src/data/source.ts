// Where the data come from: the local server; a widget or an exported file can be other sources.
import { readTracks, type Tracks } from './features'
import type { Chain } from './gradients'
import type { Run, Summary } from './run'
import type { StudyAnswer, StudyRequest } from './study'
import { Trace } from './trace'
import type { Ways } from './ways'

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

/** `problem` is a sentence for the reader; `lost` says that nobody answered at all. */
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
  /** What is known about neurons, or how far the work is; `start` begins it. */
  study(name: string, request: StudyRequest, start: boolean): Promise<StudyAnswer>
  /** The values of some features over a text, and the list of all. */
  features(name: string, text: string, features: string[]): Promise<Tracks>
  /** Raw arrays about gradients (see docs/explorer.md). */
  arrays(name: string, what: 'gradients' | 'connections', request: object): Promise<ArrayBuffer>
  /** The factors of one neuron between two steps. */
  chain(name: string, request: object): Promise<Chain>
  /** Every way of one weight to one prediction. */
  ways(name: string, request: object): Promise<Ways>
  /** Calls back with the list of runs, at once and whenever it changed, and with null when the connection is lost. */
  follow(report: (list: RunList | null) => void): () => void
}

const LOST =
  'The program that serves this page does not answer. Start it again with “gatescope explore”; this page will notice.'

export class HttpSource implements Source {
  constructor(private readonly base = '') {}

  private async fetchAnswer(path: string, body?: unknown): Promise<Response> {
    const options: RequestInit =
      body === undefined
        ? {}
        : { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }
    const answer = await fetch(this.base + path, options).catch(() => {
      throw new SourceError(LOST, true)
    })
    if (answer.ok) return answer
    const said: unknown = await answer.json().catch(() => null)
    const sentence = (said as { error?: string } | null)?.error
    throw new SourceError(sentence ?? `The server answered with an error (status ${answer.status}).`)
  }

  async run(name: string): Promise<Run> {
    return (await (await this.fetchAnswer(`/api/runs/${encodeURIComponent(name)}`)).json()) as Run
  }

  async trace(name: string, request: TraceRequest): Promise<Trace> {
    const answer = await this.fetchAnswer(`/api/runs/${encodeURIComponent(name)}/trace`, {
      ...request,
      checkpoint: null,
    })
    const bytes = await answer.arrayBuffer().catch(() => {
      throw new SourceError(LOST, true)
    })
    return Trace.read(bytes)
  }

  async study(name: string, request: StudyRequest, start: boolean): Promise<StudyAnswer> {
    const body = { ...request, start, keep: start && (request.keep ?? false) }
    const answer = await this.fetchAnswer(`/api/runs/${encodeURIComponent(name)}/study`, body)
    return (await answer.json().catch(() => {
      throw new SourceError(LOST, true)
    })) as StudyAnswer
  }

  async features(name: string, text: string, features: string[]): Promise<Tracks> {
    const answer = await this.fetchAnswer(`/api/runs/${encodeURIComponent(name)}/features`, { text, features })
    const bytes = await answer.arrayBuffer().catch(() => {
      throw new SourceError(LOST, true)
    })
    return readTracks(bytes)
  }

  async arrays(name: string, what: 'gradients' | 'connections', request: object): Promise<ArrayBuffer> {
    const answer = await this.fetchAnswer(`/api/runs/${encodeURIComponent(name)}/${what}`, request)
    return answer.arrayBuffer().catch(() => {
      throw new SourceError(LOST, true)
    })
  }

  async chain(name: string, request: object): Promise<Chain> {
    const answer = await this.fetchAnswer(`/api/runs/${encodeURIComponent(name)}/chain`, request)
    return (await answer.json().catch(() => {
      throw new SourceError(LOST, true)
    })) as Chain
  }

  async ways(name: string, request: object): Promise<Ways> {
    const answer = await this.fetchAnswer(`/api/runs/${encodeURIComponent(name)}/ways`, request)
    return (await answer.json().catch(() => {
      throw new SourceError(LOST, true)
    })) as Ways
  }

  follow(report: (list: RunList | null) => void): () => void {
    let events: EventSource | undefined
    let again: ReturnType<typeof setTimeout> | undefined
    const close = (): void => {
      clearTimeout(again)
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
        if (stream.readyState === EventSource.CLOSED) again = setTimeout(open, 2000)
      }
    }
    // A browser keeps only a few connections to one address: tabs that nobody sees give theirs back.
    const seen = (): void => (document.hidden ? close() : open())
    document.addEventListener('visibilitychange', seen)
    seen()
    return () => {
      document.removeEventListener('visibilitychange', seen)
      close()
    }
  }
}
