// Where the data come from. The page asks the local server; a widget or an exported file can be other sources.
import type { Chain } from './horizon'
import type { Ways } from './lesson'
import type { StudyAnswer, StudyRequest } from './study'
import { Trace } from './trace'
import { readTracks, type Tracks } from './tracks'

export type Expression =
  | { operation: string; arguments: Expression[] }
  | { signal: string }
  | { state: string }
  | { drive: string }
  | { parameter: string }
  | { constant: number }

export interface Score {
  value: number
  chance: number
  solved: boolean | null
  text: string
}

export type RunState = 'created' | 'training' | 'finished' | 'interrupted' | 'failed' | 'unreadable'

/** What a step is: a symbol of this kind, or a vector of numbers. */
export type Unit = 'character' | 'byte' | 'word' | 'token' | 'number'

/** What the network says: symbols, classes or numbers, after every step or once at the end. */
export interface Readout {
  kind: 'symbols' | 'classes' | 'numbers'
  names: string[]
  quantiles: number[]
  reads: 'every step' | 'last step'
}

export interface Summary {
  name: string
  state: RunState
  problem: string | null
  task: { name: string; title: string; question: string }
  cell: { name: string; title: string }
  layers: { cell: string; neurons: number; reverse: boolean; stacked: boolean }[]
  symbols: number
  unit: Unit
  readout: Readout
  step: number
  /** There are weights: learned, or brought from elsewhere. */
  weights: boolean
  steps: number | null
  minutes: number | null
  progress: number | null
  seconds: number
  loss: number | null
  validation_loss: number | null
  score: Score | null
  /** What guessing without a network loses, in the unit of the score, where that is known and the score is a loss. */
  baseline: number | null
  /** What was assumed when the network was adopted, a sentence each. */
  notes: string[]
  updated: number
  example: string
}

export interface Signal {
  name: string
  title: string
  range: [number | null, number | null]
  formula: string
  expression: Expression
}

export interface Layer {
  name: string
  neurons: number
  /** It reads each sequence from its end. */
  reverse: boolean
  /** It does so alone, not beside a layer that reads from the beginning. */
  stacked: boolean
  cell: { name: string; title: string; paper: string; note?: string }
  signals: Signal[]
  drives: { name: string; title: string; formula: string }[]
  parameters: { name: string; title: string }[]
}

export interface HistoryRecord {
  step: number
  loss?: number
  validation_loss?: number
}

export interface Run extends Omit<Summary, 'layers'> {
  layers: Layer[]
  vocabulary: string[]
  end: string | null
  examples: string[]
  history: HistoryRecord[]
  samples: { step: number; text: string; temperature: number }[]
  checkpoints: number[]
}

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

  private async ask(path: string, body?: unknown): Promise<Response> {
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
    return (await (await this.ask(`/api/runs/${encodeURIComponent(name)}`)).json()) as Run
  }

  async trace(name: string, request: TraceRequest): Promise<Trace> {
    const answer = await this.ask(`/api/runs/${encodeURIComponent(name)}/trace`, { ...request, checkpoint: null })
    const bytes = await answer.arrayBuffer().catch(() => {
      throw new SourceError(LOST, true)
    })
    return Trace.read(bytes)
  }

  async study(name: string, request: StudyRequest, start: boolean): Promise<StudyAnswer> {
    const body = { ...request, start, keep: start && (request.keep ?? false) }
    const answer = await this.ask(`/api/runs/${encodeURIComponent(name)}/study`, body)
    return (await answer.json().catch(() => {
      throw new SourceError(LOST, true)
    })) as StudyAnswer
  }

  async features(name: string, text: string, features: string[]): Promise<Tracks> {
    const answer = await this.ask(`/api/runs/${encodeURIComponent(name)}/features`, { text, features })
    const bytes = await answer.arrayBuffer().catch(() => {
      throw new SourceError(LOST, true)
    })
    return readTracks(bytes)
  }

  async arrays(name: string, what: 'gradients' | 'connections', request: object): Promise<ArrayBuffer> {
    const answer = await this.ask(`/api/runs/${encodeURIComponent(name)}/${what}`, request)
    return answer.arrayBuffer().catch(() => {
      throw new SourceError(LOST, true)
    })
  }

  async chain(name: string, request: object): Promise<Chain> {
    const answer = await this.ask(`/api/runs/${encodeURIComponent(name)}/chain`, request)
    return (await answer.json().catch(() => {
      throw new SourceError(LOST, true)
    })) as Chain
  }

  async ways(name: string, request: object): Promise<Ways> {
    const answer = await this.ask(`/api/runs/${encodeURIComponent(name)}/ways`, request)
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

/**
 * The signal to begin with: the cell state, which is the memory; where nothing ever starts afresh, the hidden state,
 * because there a few cell states grow and grow, and on one scale for all neurons the others fade beside them.
 */
export function mainSignal(layer: Layer, end: string | null): Signal | null {
  const find = (name: string): Signal | undefined => layer.signals.find((signal) => signal.name === name)
  return (end !== null && find('c')) || find('h') || layer.signals.at(-1) || null
}
