// The source that asks the local server.
import { text } from '../messages/text'
import { readTracks, type Tracks } from './features'
import type { Chain } from './gradients'
import type { Run } from './run'
import { type RunList, type Source, SourceError, type TraceRequest } from './source'
import type { StudyAnswer, StudyRequest } from './study'
import { Trace } from './trace'
import type { WeightPaths } from './weight-paths'

export class HttpSource implements Omit<Source, 'prepare' | 'continuation'> {
  constructor(private readonly base = '') {}

  async run(name: string): Promise<Run> {
    return (await (await this.#fetch(runPath(name))).json()) as Run
  }

  async trace(name: string, request: TraceRequest): Promise<Trace> {
    return Trace.read(await this.#fetchBytes(`${runPath(name)}/trace`, request))
  }

  /** Return network.json. */
  async network(name: string): Promise<unknown> {
    return (await this.#fetch(`${runPath(name)}/network`)).json().catch(throwLost)
  }

  /** Return weights.safetensors, or the weights of a checkpoint. The browser keeps them until the file changes. */
  async weights(name: string, checkpoint: number | null): Promise<ArrayBuffer> {
    const query = checkpoint === null ? '' : `?checkpoint=${checkpoint}`
    return (await this.#fetch(`${runPath(name)}/weights${query}`)).arrayBuffer().catch(throwLost)
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
