// The playground of a source: the tasks and cells to choose from, and one training in the worker.
import type { SampleRequest } from '../../engine/sampling'
import type { LevelShare } from '../../engine/training/score'
import type { Progress, TrainRequest } from '../../engine/training/calls'
import type { Resumption } from '../../engine/training/resumption'
import { text } from '../messages/text'
import { inSentences } from './engine-errors'
import { type PairMap, readPairMap } from './gradients'
import type { Layer } from './run'
import type { PlaygroundSource } from './source'
import { SourceError } from './source-error'
import { Trace } from './trace'

export type { TimedEntry as Entry } from '../../engine/training/calls'
export type { LevelShare, Score } from '../../engine/training/score'
export type { Progress }

/** index.json of the folder of bundles; src/gatescope/explorer/playground.py writes it. */
export interface PlaygroundIndex {
  tasks: { name: string; title: string; question: string }[]
  cells: {
    name: string
    /** Its description in network.json. */
    network: { biases?: Record<string, number> }
    /** Its name and title with the forget bias 0; null for a cell without a forget gate. */
    biased: { name: string; title: string } | null
    /** A layer of one neuron. */
    layer: Layer
  }[]
}

/** Quantities after every symbol of some strings, one string after the other. */
export interface Remembered {
  strings: string[]
  quantities: { name: string; title: string; count: boolean; values: readonly (number | boolean)[] }[]
}

/** The parts of a bundle that the page reads; the engine checks all of it. */
export interface TaskBundle {
  task: string
  title: string
  question: string
  vocabulary: { unit: 'character'; end: string | null; symbols: string[] }
  /** The fields of task.json besides those above and the examples; missing for a pasted text. */
  settings?: Record<string, unknown>
  training: { kind: 'strings' | 'streams' }
  readout: { kind: 'symbols'; names: string[]; quantiles: number[]; reads: 'every step' }
  score: {
    rule: 'argmax' | 'possible' | 'nats'
    strings?: { text: string[]; first?: number[] }
    longer?: { text: string[] }
  }
  /** What a network must remember for the task; null for a text. */
  remembered: Remembered | null
  examples: string[]
  suggested: {
    network: Record<string, unknown>
    recipe: { steps: number; batch: number; learning_rate: number; clip: number } & Record<string, unknown>
  }
}

/** Return a file of the playground: the index, or the bundle of a task. Throws a SourceError if it is missing. */
export async function playgroundFile<T>({ load }: PlaygroundSource, name: string): Promise<T> {
  try {
    return JSON.parse(new TextDecoder().decode(await load(`bundles/${name}.json`))) as T
  } catch (error) {
    throw new SourceError(text('PLAYGROUND_FILE_MISSING', { reason: (error as Error).message }))
  }
}

/** One training in the worker. Every answer shows the network that the next trace reads. */
export class PageTraining {
  /** `run` is the name of the network in the worker. */
  constructor(
    private readonly engine: PlaygroundSource['engine'],
    private readonly run: string,
  ) {}

  start(request: Omit<Extract<TrainRequest, { action: 'start' }>, 'action'>): Promise<Progress> {
    return this.#train({ action: 'start', ...request })
  }

  /** Do a number of updates, or fewer in some milliseconds. Throws a SourceError if the training diverges. */
  advance(amount: { milliseconds?: number; updates: number }): Promise<Progress> {
    return this.#train({ action: 'advance', ...amount })
  }

  /** Show the weights of a checkpoint, the best or the present ones. */
  async show(step: number | 'best' | 'present'): Promise<void> {
    await this.#train({ action: 'show', step })
  }

  /** Return weights.safetensors of a checkpoint, the best or the present weights. */
  weights(step: number | 'best' | 'present'): Promise<ArrayBuffer> {
    return inSentences(
      this.engine.call({ call: 'train', run: this.run, request: { action: 'weights', step } }),
    ) as Promise<ArrayBuffer>
  }

  /** Return what Python needs to go on from the present weights. */
  resumption(): Promise<Resumption> {
    return inSentences(
      this.engine.call({ call: 'train', run: this.run, request: { action: 'resumption' } }),
    ) as Promise<Resumption>
  }

  /** Return how many test strings of the first levels are right. */
  levels(step: number | 'best' | 'present', most: number): Promise<LevelShare[]> {
    const request: TrainRequest = { action: 'levels', step, most }
    return inSentences(this.engine.call({ call: 'train', run: this.run, request })) as Promise<LevelShare[]>
  }

  /** Return the gradients between all steps of a text. Throws a SourceError if they would take long. */
  async gradients(request: { text: string; layer: string }): Promise<PairMap> {
    const call = { call: 'gradients', run: this.run, request }
    return readPairMap((await inSentences(this.engine.call(call))) as ArrayBuffer)
  }

  async trace(request: { text: string; layer: string; signals: string[]; top: number }): Promise<Trace> {
    const call = { call: 'trace', run: this.run, request: { ...request, neurons: null, drives: false } }
    return Trace.read((await inSentences(this.engine.call(call))) as ArrayBuffer)
  }

  async sample(request: SampleRequest): Promise<string> {
    return (await inSentences(this.engine.call({ call: 'sample', run: this.run, request }))) as string
  }

  #train(request: TrainRequest): Promise<Progress> {
    return inSentences(this.engine.call({ call: 'train', run: this.run, request })) as Promise<Progress>
  }
}
