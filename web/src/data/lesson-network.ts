// The network of a lesson: the best weights of a training of the page, opened in the worker under a name of its own.
import type { Hold } from '../../engine/holds'
import type { Progress, TrainRequest } from '../../engine/training/calls'
import { inSentences } from './engine-errors'
import { type PairMap, readPairMap } from './gradients'
import type { TaskBundle } from './playground'
import type { Layer, Signal } from './run'
import type { PlaygroundSource } from './source'
import { Trace } from './trace'

/** What a lesson measures of a network of one layer. */
export interface Measurable {
  readonly bundle: TaskBundle
  readonly layer: Layer
  /** The signal that the strips show first. */
  readonly signal: Signal
  /** The number of updates of its training. */
  readonly updates: number
  /** Return a signal, [neurons, steps], and the most probable next symbol after every step. */
  read(text: string, signal: string, holds?: readonly Hold[]): Promise<{ values: Float32Array; next: string[] }>
  /** Return what the network writes behind a text, up to 30 symbols: the most probable ones. */
  write(text: string, holds?: readonly Hold[]): Promise<string>
  /** Return the gradients of all pairs of steps of a text. */
  gradients(text: string): Promise<PairMap>
  /** Return a network with another cell, trained on the same task for as many updates. */
  trainedBeside(cell: string): Promise<Measurable>
}

/** The parts of a network that do not change while a lesson measures it. */
export interface LessonSubject {
  bundle: TaskBundle
  layer: Layer
  signal: Signal
  updates: number
}

const RUN = 'lesson'
const BESIDE = 'lesson-beside'
const WRITTEN_SYMBOLS = 30
/** Time of the updates of a training beside, between which other calls are answered. */
const SLICE_MS = 50

type Engine = PlaygroundSource['engine']

/** A training beside: what the worker needs to begin it, and what it then is. */
export interface Beside {
  start: Omit<Extract<TrainRequest, { action: 'start' }>, 'action'>
  layer: Layer
  signal: Signal
}

export class LessonNetwork implements Measurable {
  readonly bundle: TaskBundle
  readonly layer: Layer
  readonly signal: Signal
  readonly updates: number

  private constructor(
    private readonly engine: Engine,
    private readonly run: string,
    subject: LessonSubject,
    private readonly beside: (cell: string) => Beside,
  ) {
    ;({ bundle: this.bundle, layer: this.layer, signal: this.signal, updates: this.updates } = subject)
  }

  /** Open a network in the worker. */
  static async open(
    engine: Engine,
    subject: LessonSubject & { network: object; weights: ArrayBuffer },
    beside: (cell: string) => Beside,
  ): Promise<LessonNetwork> {
    const { network, weights } = subject
    await inSentences(engine.call({ call: 'open', run: RUN, network, weights }))
    return new LessonNetwork(engine, RUN, subject, beside)
  }

  async read(
    text: string,
    signal: string,
    holds: readonly Hold[] = [],
  ): Promise<{ values: Float32Array; next: string[] }> {
    const { layer, bundle } = this
    const request = { text, layer: layer.name, signals: [signal], neurons: null, drives: false, top: 1, holds }
    const trace = Trace.read(await this.#call<ArrayBuffer>('trace', request))
    return {
      values: trace.values(`${layer.name}.${signal}`)!,
      next: Array.from(trace.topToken, (id) => bundle.vocabulary.symbols[id]!),
    }
  }

  async write(text: string, holds: readonly Hold[] = []): Promise<string> {
    const request = { text, length: WRITTEN_SYMBOLS, temperature: 0, seed: 0, holds }
    return (await this.#call<{ text: string }>('write', request)).text
  }

  async gradients(text: string): Promise<PairMap> {
    return readPairMap(await this.#call<ArrayBuffer>('gradients', { text, layer: this.layer.name }))
  }

  async trainedBeside(cell: string): Promise<Measurable> {
    const { start, layer, signal } = this.beside(cell)
    const train = (request: TrainRequest): Promise<Progress> =>
      inSentences(this.engine.call({ call: 'train', run: BESIDE, request })) as Promise<Progress>
    let progress = await train({ action: 'start', ...start })
    while (progress.step < this.updates && progress.ended === null)
      progress = await train({ action: 'advance', milliseconds: SLICE_MS, updates: this.updates - progress.step })
    const subject = { bundle: this.bundle, layer, signal, updates: progress.step }
    return new LessonNetwork(this.engine, BESIDE, subject, this.beside)
  }

  #call<T>(call: string, request: object): Promise<T> {
    return inSentences(this.engine.call({ call, run: this.run, request })) as Promise<T>
  }
}
