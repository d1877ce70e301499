// The playground: one experiment, its training in the worker, and what the page shows of it while it learns.
import { localizeTitle } from '../data/localized'
import { type Entry, PageTraining, type PlaygroundIndex, type Progress, type TaskBundle } from '../data/playground'
import type { HistoryRecord, Layer, Signal } from '../data/run'
import type { PlaygroundSource } from '../data/source'
import { sentenceOf } from '../data/source-error'
import type { Trace } from '../data/trace'
import { text } from '../messages/text'
import {
  beginningOf,
  type Experiment,
  experimentText,
  networkOf,
  parseExperiment,
  recipeOf,
  START_EXPERIMENT,
  TEXT,
} from '../model/experiment'
import { mainSignal } from '../model/main-signal'
import { lasting } from './lasting.svelte'
import { StartData } from './start-data'

/** Time of the updates between two pictures. */
const SLICE_MS = 20
/** The first updates, in which most is learned, have a picture each; the next as many have one for two, and so on. */
const UPDATES_OF_A_PACE = 50
/** Time between two samples while it learns: writing one takes as long as some updates. */
const SAMPLE_MS = 400
const TOP_SYMBOLS = 3

/** empty: a text must be pasted first. */
export type Phase = 'loading' | 'empty' | 'ready' | 'training' | 'paused' | 'ended' | 'failed'

/** One text run through one layer of the network that learns. */
export interface TrainingPicture {
  layer: Layer
  signal: Signal
  trace: Trace
}

/** What is shown of the network: a text, and a layer and a signal by name; null for the first ones. */
export interface Sight {
  text: string | null
  layer: string | null
  signal: string | null
}

export interface Sample {
  prime: string
  written: string
}

const NO_SAMPLE: Sample = { prime: '', written: '' }

export type Weights = number | 'best' | 'present'

/** Let the titles of the signals follow the language. */
function localizedIndex(index: PlaygroundIndex): PlaygroundIndex {
  for (const { layer } of index.cells) for (const signal of layer.signals) localizeTitle('signal', signal.title, signal)
  return index
}

const playgrounds = new WeakMap<PlaygroundSource, Playground>()

/** Return the playground of a source, which goes on to exist while other views are shown. */
export function playgroundOf(source: PlaygroundSource): Playground {
  const known = playgrounds.get(source)
  if (known) return known
  const playground = lasting(() => new Playground(source))
  playgrounds.set(source, playground)
  return playground
}

export class Playground {
  phase = $state<Phase>('loading')
  problem = $state<string | null>(null)
  index = $state.raw<PlaygroundIndex | null>(null)
  bundle = $state.raw<TaskBundle | null>(null)
  experiment = $state.raw<Experiment | null>(null)
  /** The text of the task “text”. */
  pasted = ''
  /** The network.json that is trained. */
  network: object = {}
  progress = $state.raw<Progress | null>(null)
  entries = $state.raw<readonly Entry[]>([])
  picture = $state.raw<TrainingPicture | null>(null)
  /** What the network wrote behind the beginning of a test string. */
  sample = $state.raw<Sample>(NO_SAMPLE)
  /** The weights in the picture. */
  weights = $state<Weights>('present')
  /** What the picture shows of it. */
  sight: Sight = { text: null, layer: null, signal: null }
  /** Networks beside it, which do as many updates. */
  partners: readonly Playground[] = []
  readonly data: StartData
  readonly #training: PageTraining
  /** Calls follow each other: each shows other weights to the next. */
  #queue: Promise<void> = Promise.resolve()
  /** Counts the starts; what belongs to an earlier one is dropped. */
  #start = 0
  #followed = ''
  #sampledAt = -Infinity
  /** Whether the training pauses after the updates under way. */
  #pauses = false

  /** `run` is the name of the network in the worker. */
  constructor(source: PlaygroundSource, run = 'playground') {
    this.data = new StartData(source)
    this.#training = new PageTraining(source.engine, run)
  }

  /** The layers of the network. */
  layers = $derived.by<Layer[]>(() => {
    const { experiment, index } = this
    const about = index?.cells.find(({ name }) => name === experiment?.cell)
    if (!experiment || !about) return []
    return Array.from({ length: experiment.layers }, (_, k) => ({
      ...about.layer,
      name: `layer${k}`,
      neurons: experiment.neurons,
    }))
  })
  /** The history as that of a run. */
  history = $derived.by<HistoryRecord[]>(() =>
    this.entries.map(({ step, loss, validationLoss }) => ({
      step,
      loss,
      ...(validationLoss === undefined ? {} : { validation_loss: validationLoss }),
    })),
  )
  /** The training steps whose weights can be shown: checkpoints, the present ones, and null for the best ones. */
  steps = $derived.by<(number | null)[]>(() => {
    const { progress } = this
    if (!progress) return []
    const steps = [...new Set([...progress.checkpoints, progress.step])]
    return progress.best === null ? steps : [...steps, null]
  })
  /** The training step in the picture; null for the best weights. */
  shownStep = $derived.by<number | null>(() => {
    if (this.weights === 'best') return null
    return this.weights === 'present' ? (this.progress?.step ?? 0) : this.weights
  })
  /** The last score at or before the weights in the picture. */
  scored = $derived.by<Entry | null>(() => {
    const step = this.shownStep ?? this.progress?.best ?? 0
    return this.entries.findLast((entry) => entry.score !== undefined && entry.step <= step) ?? null
  })
  /** The first validation at which every test string was right; null if there is none. */
  solved = $derived.by<number | null>(() => this.entries.find((entry) => entry.score?.solved)?.step ?? null)
  canTrain = $derived.by(() => this.phase === 'ready' || this.phase === 'paused')

  /** The best weights; the present ones before the first validation. */
  bestWeights = $derived.by<Weights>(() => (this.progress?.best == null ? 'present' : 'best'))

  /** Follow the experiment of an address, and begin it anew when it changes. `pasted` is the text of the task “text”. */
  async follow(words: string | null, pasted: string | null): Promise<void> {
    try {
      this.index ??= localizedIndex(await this.data.index())
    } catch (error) {
      this.#fail(error)
      return
    }
    // Without words the experiment goes on that was there before.
    const experiment = words === null ? (this.experiment ?? START_EXPERIMENT) : parseExperiment(words, this.index)
    this.problem = experiment ? null : text('PLAYGROUND_LINK_WRONG', { words: words!.slice(0, 60) })
    const now = experiment ?? START_EXPERIMENT
    const key = JSON.stringify([experimentText(now), now.task === TEXT ? pasted : null])
    if (key === this.#followed) return
    this.#followed = key
    this.experiment = now
    this.pasted = pasted ?? ''
    await this.#begin(now, pasted ?? '')
  }

  /** Begin the next experiment of an address even if it is the one that is here: its file may be another one. */
  forget(): void {
    this.#followed = ''
  }

  /** Begin again: the same seed, the same weights. */
  async startOver(): Promise<void> {
    if (!this.bundle) return
    this.problem = null
    await this.#begin(this.experiment!, null)
  }

  /** Show another text, layer or signal. */
  look(sight: Sight): void {
    if (JSON.stringify(sight) === JSON.stringify(this.sight)) return
    this.sight = sight
    if (this.progress && this.phase !== 'training') void this.#do(() => this.#show())
  }

  /** Train until it is paused or ends; pause if it trains. */
  toggle(): void {
    if (this.phase === 'training') this.#pauses = !this.#pauses
    else if (this.canTrain) {
      this.phase = 'training'
      this.#pauses = false
      this.problem = null
      void this.#loop()
    }
  }

  /** Do one update. */
  async step(): Promise<void> {
    await this.pause()
    if (!this.canTrain) return
    await this.#do(() => this.#advance({ updates: 1 }))
    await this.#writeAll()
  }

  /** Show the weights of a training step; null for the best ones. */
  async choose(step: number | null): Promise<void> {
    await this.pause()
    const present = step === this.progress?.step && this.phase !== 'ended'
    this.weights = step === null ? 'best' : present ? 'present' : step
    const { weights } = this
    await this.#do(async () => {
      // A slider that moves on needs only its last place.
      if (weights !== this.weights) return
      await this.#training.show(weights)
      await this.#show()
      await this.#write()
    })
  }

  /** Read a text with some weights: the main signal of each layer, [neurons, steps]. */
  async read(weights: Weights, words: string): Promise<{ layer: Layer; signal: Signal; values: Float32Array }[]> {
    const read: { layer: Layer; signal: Signal; values: Float32Array }[] = []
    await this.#do(async () => {
      await this.#training.show(weights)
      for (const layer of this.layers) {
        const signal = mainSignal(layer, this.bundle!.vocabulary.end) ?? layer.signals[0]!
        const trace = await this.#trace(words, layer, signal)
        read.push({ layer, signal, values: trace.values(`${layer.name}.${signal.name}`) ?? new Float32Array() })
      }
      await this.#training.show(this.weights)
    })
    return read
  }

  /** Return the answer to a call about this training, such as its weights. */
  async ask<T>(call: (training: PageTraining) => Promise<T>): Promise<T> {
    await this.#queue
    return call(this.#training)
  }

  /** Let the partners do the updates that they lack. */
  async alignPartners(): Promise<void> {
    await this.#do(() => this.#align())
  }

  /** Begin an experiment; a null text keeps the bundle. */
  async #begin(experiment: Experiment, pasted: string | null): Promise<void> {
    const start = ++this.#start
    this.phase = 'loading'
    this.progress = null
    this.entries = []
    this.weights = 'present'
    this.sample = NO_SAMPLE
    await this.#do(async () => {
      const given = await this.data.given(experiment, this.index!)
      const { bundle, problem } =
        pasted === null
          ? { bundle: this.bundle, problem: null }
          : await this.data.bundleOf(experiment, pasted, given, this.index!)
      if (start !== this.#start) return
      this.bundle = bundle
      if (problem !== null) this.problem = problem
      if (!bundle) {
        this.picture = null
        this.phase = 'empty'
        return
      }
      this.network = (given?.network as object) ?? networkOf(experiment, bundle, this.index!)
      const begin = { bundle, network: this.network, recipe: recipeOf(experiment), seed: experiment.seed }
      const progress = await this.#training.start(given ? { ...begin, weights: given.weights } : begin)
      if (start !== this.#start) return
      this.#receive(progress)
      await this.#show()
      await this.#write()
      if (start === this.#start) this.phase = 'ready'
    })
  }

  /** Pause a training; resolves after the updates under way. */
  async pause(): Promise<void> {
    if (this.phase !== 'training') return
    this.#pauses = true
    await this.#queue
  }

  async #loop(): Promise<void> {
    const start = this.#start
    while (this.phase === 'training' && start === this.#start)
      await this.#do(async () => {
        if (!this.#pauses) {
          const updates = 1 + Math.floor((this.progress?.step ?? 0) / UPDATES_OF_A_PACE)
          // Networks beside each other share the time of a picture.
          await this.#advance({ milliseconds: SLICE_MS / (1 + this.partners.length), updates })
          if (performance.now() - this.#sampledAt > SAMPLE_MS) await this.#write()
        }
        if (this.#pauses && this.phase === 'training') this.phase = 'paused'
      })
    if (start === this.#start && this.phase !== 'failed') await this.#writeAll()
  }

  /** Let this network and its partners write a sample. */
  async #writeAll(): Promise<void> {
    await Promise.all([this, ...this.partners].map((one) => one.progress && one.#do(() => one.#write())))
  }

  async #align(): Promise<void> {
    await Promise.all(this.partners.map((partner) => this.#advancePartner(partner)))
  }

  /** Let a partner do the updates that it lacks, with pictures, as long as it can train and is one. */
  async #advancePartner(partner: Playground): Promise<void> {
    await partner.#queue
    const start = partner.#start
    const missing = (): number => {
      const isPartner = start === partner.#start && this.partners.includes(partner) && partner.canTrain
      return isPartner ? (this.progress?.step ?? 0) - (partner.progress?.step ?? 0) : 0
    }
    while (missing() > 0)
      await partner.#do(async () => {
        await partner.#advance({ milliseconds: SLICE_MS, updates: missing() })
        if (performance.now() - partner.#sampledAt > SAMPLE_MS) await partner.#write()
      })
  }

  async #advance(amount: { milliseconds?: number; updates: number }): Promise<void> {
    const start = this.#start
    const progress = await this.#training.advance(amount)
    if (start !== this.#start) return
    this.weights = 'present'
    this.#receive(progress)
    if (progress.ended !== null) {
      this.weights = 'best'
      this.phase = 'ended'
      await this.#training.show('best')
    } else if (this.phase === 'ready') this.phase = 'paused'
    await Promise.all([this.#show(), this.#align()])
  }

  #receive(progress: Progress): void {
    this.progress = progress
    if (progress.entries.length) this.entries = [...this.entries, ...progress.entries]
  }

  #trace(words: string, layer: Layer, signal: Signal): Promise<Trace> {
    return this.#training.trace({ text: words, layer: layer.name, signals: [signal.name], top: TOP_SYMBOLS })
  }

  /** Read the text with the weights that the worker shows. */
  async #show(): Promise<void> {
    const { bundle, layers } = this
    const layer = layers.find(({ name }) => name === this.sight.layer) ?? layers[0]
    if (!bundle || !layer) return
    const start = this.#start
    const named = layer.signals.find(({ name }) => name === this.sight.signal)
    const signal = named ?? mainSignal(layer, bundle.vocabulary.end) ?? layer.signals[0]!
    const words = this.sight.text ?? bundle.examples[0] ?? ''
    const trace = await this.#trace(words, layer, signal)
    if (start === this.#start) this.picture = { layer, signal, trace }
  }

  /** Let the network write a sample. */
  async #write(): Promise<void> {
    const start = this.#start
    const { bundle, experiment } = this
    if (!bundle || !experiment) return
    const beginning = beginningOf(bundle)
    const written = await this.#training.sample({ ...beginning, seed: experiment.seed })
    if (start !== this.#start) return
    this.sample = { prime: beginning.prime, written }
    this.#sampledAt = performance.now()
  }

  /** Do work after the work before, unless another experiment has begun by then. */
  #do(work: () => Promise<void>): Promise<void> {
    const start = this.#start
    this.#queue = this.#queue.then(async () => {
      if (start !== this.#start) return
      try {
        await work()
      } catch (error) {
        if (start === this.#start) this.#fail(error)
      }
    })
    return this.#queue
  }

  #fail(error: unknown): void {
    this.problem = sentenceOf(error)
    this.phase = 'failed'
  }
}
