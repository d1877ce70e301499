// The source that asks the local server.
import { catalogue } from '../messages/catalogue.svelte'
import { text } from '../messages/text'
import { Acts, type Star } from './acts'
import { type Answer, forgetEarly, headersIn, takeEarly } from './early-answers'
import { readTracks, type Tracks } from './features'
import type { Finding } from './findings'
import type { Chain } from './gradients'
import type { Run } from './run'
import {
  type ArraysAnswer,
  type Check,
  type Progress,
  type RunList,
  type Source,
  SourceError,
  type TraceRequest,
  type Waiting,
} from './source'
import type { StudyAnswer, StudyRequest } from './study'
import { Trace } from './trace'
import type { WeightPaths } from './weight-paths'

/** Between two questions how far the server is. */
const PROGRESS_MS = 250

export class HttpSource implements Omit<Source, 'prepare' | 'continuation' | 'completions' | 'swaps' | 'match'> {
  readonly acts: Acts
  /** A name of this page, and the number of its last request that replaces older ones. */
  readonly #page = crypto.randomUUID?.() ?? String(Math.random())
  #sequence = 0

  constructor(private readonly base = '') {
    this.acts = new Acts(base)
  }

  async run(name: string): Promise<Run> {
    const answer = (await this.#early(runPath(name))) ?? (await this.#fetch(runPath(name)))
    return (await answer.json()) as Run
  }

  async findings(name: string): Promise<Finding[]> {
    const answer = await (await this.#fetch(`${runPath(name)}/findings`)).json().catch(throwLost)
    return (answer as { findings: Finding[] }).findings
  }

  stars(name: string): Promise<Star[]> {
    return this.acts.stars(name)
  }

  async trace(name: string, request: TraceRequest, { signal, replaces, onProgress }: Waiting = {}): Promise<Trace> {
    const path = `${runPath(name)}/trace`
    const early = await this.#early(path, request)
    // What the first picture does not need would be old when another picture needs it.
    forgetEarly()
    if (early) return Trace.read(await early.arrayBuffer())
    if (!replaces) return Trace.read(await this.#fetchBytes(path, request, signal))
    const sequence = ++this.#sequence
    const timer = onProgress && setInterval(() => void this.#report(sequence, onProgress), PROGRESS_MS)
    try {
      return Trace.read(await this.#fetchBytes(path, { ...request, page: this.#page, sequence }, signal))
    } finally {
      clearInterval(timer)
    }
  }

  /** Report how far the server is with a request. */
  async #report(sequence: number, onProgress: (progress: Progress) => void): Promise<void> {
    const answer = await this.#fetch(`/api/progress?page=${this.#page}`).then(
      (answer) => answer.json(),
      () => null,
    )
    const newest = answer as (Progress & { sequence: number }) | null
    if (newest?.sequence === sequence && sequence === this.#sequence && newest.total) onProgress(newest)
  }

  check(name: string, request: TraceRequest, _: Trace, { signal }: Waiting = {}): Promise<Check> {
    return this.#fetchJson<Check>(`${runPath(name)}/check`, request, signal)
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
    const path = `${runPath(name)}/study`
    return body.keep ? this.acts.post<StudyAnswer>(path, body) : this.#fetchJson<StudyAnswer>(path, body)
  }

  async features(name: string, text: string, features: string[]): Promise<Tracks> {
    return readTracks(await this.#fetchBytes(`${runPath(name)}/features`, { text, features }))
  }

  arrays(name: string, what: ArraysAnswer, request: object): Promise<ArrayBuffer> {
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
      const stream = new EventSource(`${this.base}/api/events?lang=${catalogue.language}`)
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
    let isFollowing = true
    const begin = async (): Promise<void> => {
      const list = await (await this.#early('/api/runs'))?.json().catch(() => null)
      if (isFollowing && list) report(list as RunList)
      if (isFollowing) updateVisibility()
    }
    void begin()
    // The sentences of the server are in the language of the request.
    const stopListening = catalogue.onChange(updateVisibility)
    return () => {
      isFollowing = false
      stopListening()
      document.removeEventListener('visibilitychange', updateVisibility)
      close()
    }
  }

  /** Return the answer to a request that was sent before the program arrived; null if there is none, or it failed. */
  async #early(path: string, body?: unknown): Promise<Answer | null> {
    const answer = await takeEarly(path, catalogue.language, body)?.catch(() => null)
    return answer?.ok ? answer : null
  }

  /** Send a request and return the answer; a body makes it a POST. */
  async #fetch(path: string, body?: unknown, signal: AbortSignal | null = null): Promise<Response> {
    const headers = headersIn(catalogue.language)
    const options: RequestInit =
      body === undefined
        ? { headers }
        : { method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' }, body: JSON.stringify(body) }
    const answer = await fetch(this.base + path, signal ? { ...options, signal } : options).catch(throwLost)
    if (answer.ok) return answer
    const failure: unknown = await answer.json().catch(() => null)
    const { error, code = null } = (failure ?? {}) as { error?: string; code?: string }
    throw new SourceError(error ?? text('SOURCE_FAILED', { status: answer.status }), false, code)
  }

  async #fetchBytes(path: string, body: unknown, signal?: AbortSignal): Promise<ArrayBuffer> {
    return (await this.#fetch(path, body, signal)).arrayBuffer().catch(throwLost)
  }

  async #fetchJson<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
    return (await (await this.#fetch(path, body, signal)).json().catch(throwLost)) as T
  }
}

const runPath = (name: string): string => `/api/runs/${encodeURIComponent(name)}`

function throwLost(error?: unknown): never {
  // A request that was given up says nothing about the server.
  if (error instanceof DOMException && error.name === 'AbortError') throw error
  throw new SourceError(text('SOURCE_LOST'), true)
}
