// Loads what the view needs from the source: the list of runs, the run, and the picture (one text run through one layer).
import type { Layer, Run, Signal, Summary } from '../data/run'
import { type RunList, type Source, SourceError, type TraceRequest } from '../data/source'
import type { Trace } from '../data/trace'
import type { Hold } from '../data/view'
import { text } from '../messages/text'
import { stepAt } from '../model/characters'
import { mainSignal } from '../model/main-signal'
import type { Picture } from '../model/picture'
import { checkRun, checkText } from './link-check'
import type { Navigation } from './navigation.svelte'
import { Latest } from './requests'

/** Up to this many values of one signal, all signals are fetched at once, so that no hover has to wait. */
const MAX_WHOLE_VALUES = 16000
const TRAINING_DELAY_MS = 2000
const CACHED_TRACES = 8
const TOP_SYMBOLS = 3
/** Few classes are all listed. */
const TOP_CLASSES = 5

const topCount = ({ readout }: Run): number => (readout.kind === 'classes' ? TOP_CLASSES : TOP_SYMBOLS)

/** Whether two pictures show the same text, layer, weights and holds. */
const isOfSameTrace = (a: Picture, b: Picture): boolean =>
  a.text === b.text &&
  a.layer.name === b.layer.name &&
  a.generation === b.generation &&
  a.checkpoint === b.checkpoint &&
  JSON.stringify(a.holds) === JSON.stringify(b.holds)

/** The traces of a picture (see Picture). */
type Traced = Pick<Picture, 'trace' | 'holds' | 'original' | 'refusal'>

/** The data of the page; it follows the view of a navigation. */
export class Loader {
  list = $state.raw<RunList | null>(null)
  /** The source does not answer. */
  lost = $state(false)
  run = $state.raw<Run | null>(null)
  picture = $state.raw<Picture | null>(null)
  problem = $state<string | null>(null)
  /** Grows when something other than the pointer moved the cursor, which must then be scrolled into sight. */
  reveal = $state(0)
  /** Grows when another place was visited, so that the strips must come into sight. */
  visits = $state(0)

  /** Traces of single neurons with all signals and drives; they belong to `picture`. */
  #neuronTraces = $state.raw<ReadonlyMap<number, Trace>>(new Map())
  #staleNeuronTraces: ReadonlyMap<number, Trace> = new Map()
  readonly #pictureRequests = new Latest()
  readonly #neuronRequests = new Latest()
  readonly #cache = new Map<string, Traced>()
  /** Counts the readings of newer weights. */
  #generation = 0
  /** The place of the edit in the text; the cursor goes there when the picture is loaded. */
  #caret: number | null = null
  #visiting = false
  /** The parts of a link that have not been checked against the run and the text yet. */
  #unchecked = { run: false, text: false }
  #reloadTimer: ReturnType<typeof setTimeout> | undefined
  #loadedAt = 0

  constructor(
    readonly source: Source,
    private readonly navigation: Navigation,
    /** Whether a list of one run is skipped when the page is opened without a view. */
    private readonly opensOnlyRun = false,
  ) {}

  summary = $derived.by<Summary | null>(
    () => this.list?.runs.find((run) => run.name === this.navigation.state.run) ?? null,
  )
  /** The link names a run that does not exist. */
  missing = $derived.by(() => this.navigation.state.view !== 'runs' && this.list !== null && this.summary === null)
  layer = $derived.by<Layer | null>(() => {
    const layers = this.run?.layers
    return layers?.find((layer) => layer.name === this.navigation.state.layer) ?? layers?.[0] ?? null
  })
  signal = $derived.by<Signal | null>(() => {
    const { layer, run } = this
    const named = layer?.signals.find((signal) => signal.name === this.navigation.state.signal)
    return named ?? (layer && run ? mainSignal(layer, run.end) : null)
  })
  /** False for a run that has only just begun. */
  hasWeights = $derived.by(
    () => this.run?.weights || (this.run?.checkpoints.length ?? 0) > 0 || (this.run?.step ?? 0) > 0,
  )
  /** The training step of the weights of the strips; null for the best ones. */
  checkpoint = $derived.by(() => {
    const { view, checkpoint } = this.navigation.state
    return view === 'network' || view === 'neuron' ? checkpoint : null
  })
  /** The signals that are held on the pages with strips. */
  holds = $derived.by<readonly Hold[]>(() => {
    const { view, holds } = this.navigation.state
    return view === 'network' || view === 'neuron' ? holds : []
  })
  text = $derived.by(() => this.navigation.state.text ?? this.run?.examples[0] ?? '')

  /** Follow the list of runs. Returns a function that stops. */
  open(): () => void {
    const close = this.source.follow((list, problem) => this.#receiveList(list, problem))
    return () => {
      close()
      clearTimeout(this.#reloadTimer)
    }
  }

  /** Check the view of a new link as soon as its run and its text are loaded. */
  checkLink(): void {
    this.#unchecked = { run: true, text: true }
    if (this.run?.name === this.navigation.state.run) this.#checkRun(this.run)
  }

  /** Move the cursor to the edited place of the text when its picture is loaded; null moves nothing. */
  revealCaret(caret: number | null): void {
    this.#caret = caret
  }

  /** Scroll to the strips when the next picture is loaded. */
  revealVisit(): void {
    this.#visiting = true
  }

  /** Load what the view needs. */
  follow(): void {
    const { state } = this.navigation
    if (state.view === 'runs') this.problem = null
    else if (this.run?.name === state.run) this.#loadPicture()
    else {
      this.run = null
      this.picture = null
      this.#loadRun(state.run, false)
    }
  }

  /** Return one neuron with all its signals and drives, and its row in that trace; null until it is loaded. */
  neuron(index: number): { trace: Trace; row: number } | null {
    if (this.picture?.whole) return { trace: this.picture.trace, row: index }
    // The former values stay until the new ones are loaded.
    const trace = this.#neuronTraces.get(index) ?? this.#staleNeuronTraces.get(index)
    return trace ? { trace, row: 0 } : null
  }

  /** Load one neuron with all its signals and drives, unless it is loaded. */
  loadNeuron(index: number): void {
    const picture = this.picture
    if (!picture || picture.whole || this.#neuronTraces.has(index)) return
    this.#neuronRequests.request(async () => {
      if (this.picture !== picture || this.#neuronTraces.has(index)) return
      const { run, layer, text, checkpoint, holds } = picture
      const signals = layer.signals.map((signal) => signal.name)
      await this.#try(async () => {
        const request = {
          text,
          layer: layer.name,
          signals,
          neurons: [index],
          drives: true,
          top: topCount(run),
          checkpoint,
          ...(holds.length ? { holds } : {}),
        }
        const trace = await this.source.trace(run.name, request)
        if (this.picture && isOfSameTrace(this.picture, picture))
          this.#neuronTraces = new Map(this.#neuronTraces).set(index, trace)
      })
    })
  }

  #receiveList(list: RunList | null, problem: string | null = null): void {
    const returned = this.lost && list !== null
    this.lost = list === null && problem === null
    if (problem !== null) this.problem = problem
    if (!list) return
    const isFirst = this.list === null
    this.list = list
    if (isFirst && this.opensOnlyRun && list.runs.length === 1) this.navigation.openOnly(list.runs[0]!.name)
    const summary = this.summary
    if (returned) this.#reload()
    else if (!this.run) this.follow()
    else if (
      summary &&
      summary.name === this.run.name &&
      (summary.step !== this.run.step ||
        summary.state !== this.run.state ||
        summary.weights_stamp !== this.run.weights_stamp)
    ) {
      const wait = Math.max(0, this.#loadedAt + TRAINING_DELAY_MS - performance.now())
      this.#reloadTimer ??= setTimeout(() => this.#reload(), wait)
    }
  }

  #reload(): void {
    clearTimeout(this.#reloadTimer)
    this.#reloadTimer = undefined
    this.#generation++
    const { state } = this.navigation
    if (state.view !== 'runs') this.#loadRun(state.run, true)
  }

  #loadRun(name: string | null, again: boolean): void {
    // The list of runs comes first: no run is requested that it does not have.
    if (name === null || !this.list) return
    if (!this.summary) {
      this.problem = text('RUN_UNKNOWN', { name })
      return
    }
    if (this.summary.state === 'unreadable') {
      this.problem = this.summary.problem
      return
    }
    void this.#try(async () => {
      this.#loadedAt = performance.now()
      const run = await this.source.run(name)
      this.lost = false
      if (this.navigation.state.run !== name || (!again && this.run?.name === name)) return
      this.run = run
      this.source.prepare(name)
      this.#checkRun(run)
      this.#loadPicture()
    })
  }

  /** Take out of the view what a link names that the run does not have. */
  #checkRun(run: Run): void {
    if (!this.#unchecked.run) return
    this.#unchecked.run = false
    const { state, sentences } = checkRun(this.navigation.state, run)
    this.navigation.correct(state, sentences)
  }

  /** Request the values that the view needs; the old picture stays until they are loaded. */
  #loadPicture(): void {
    this.#pictureRequests.request(async () => {
      const { run, layer, signal, text, checkpoint, holds } = this
      if (!run || !layer || !signal || this.navigation.state.view === 'runs' || !this.hasWeights) return
      const whole = layer.neurons * text.length <= MAX_WHOLE_VALUES
      const generation = this.#generation
      const shown = whole ? '' : signal.name
      const key = JSON.stringify([run.name, layer.name, shown, generation, checkpoint, text, holds])
      await this.#try(async () => {
        const signals = whole ? layer.signals.map((signal) => signal.name) : [signal.name]
        const request = {
          text,
          layer: layer.name,
          signals,
          neurons: null,
          drives: whole,
          top: topCount(run),
          checkpoint,
        }
        const traced = this.#cache.get(key) ?? (await this.#traced(run.name, request, holds))
        if (traced.refusal === null) this.#cacheTraced(key, traced)
        if (this.run?.name !== run.name) return
        this.#show({ run, layer, text, signal: signal.name, whole, generation, checkpoint, ...traced })
      })
    })
  }

  /** Return the trace with the holds beside the predictions without them, or the trace without them if they are refused. */
  async #traced(name: string, request: TraceRequest, holds: readonly Hold[]): Promise<Traced> {
    let refusal: string | null = null
    if (holds.length)
      try {
        const trace = await this.source.trace(name, { ...request, holds })
        // The same engine computes both, so that they differ by the holds alone.
        const predictions = { ...request, signals: [], neurons: [], drives: false, holds: [] }
        return { trace, holds, original: await this.source.trace(name, predictions), refusal }
      } catch (error) {
        if (!(error instanceof SourceError) || error.lost) throw error
        refusal = error.problem
      }
    return { trace: await this.source.trace(name, request), holds: [], original: null, refusal }
  }

  #cacheTraced(key: string, traced: Traced): void {
    this.#cache.delete(key)
    this.#cache.set(key, traced)
    for (const oldest of this.#cache.keys()) if (this.#cache.size > CACHED_TRACES) this.#cache.delete(oldest)
  }

  #show(picture: Picture): void {
    const old = this.picture
    if (!old || !isOfSameTrace(old, picture)) {
      const related = old?.run.name === picture.run.name && old.layer.name === picture.layer.name
      if (!related) this.#staleNeuronTraces = new Map()
      else if (this.#neuronTraces.size) this.#staleNeuronTraces = this.#neuronTraces
      this.#neuronTraces = new Map()
    }
    this.picture = picture
    this.problem = null
    if (this.#unchecked.text && picture.text === this.text) {
      this.#unchecked.text = false
      const { state, sentences } = checkText(this.navigation.state, picture.trace.steps)
      this.navigation.correct(state, sentences)
    }
    if (this.#visiting && picture.text === this.text) {
      this.#visiting = false
      this.reveal++
      this.visits++
    }
    if (this.#caret === null || picture.text !== this.text) return
    const step = stepAt(picture.trace.labels, picture.text, this.#caret, picture.run.unit)
    this.#caret = null
    if (this.navigation.state.step === null && step !== null) {
      this.navigation.point(this.navigation.hover.neuron, step)
      this.reveal++
    }
  }

  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (error instanceof SourceError && error.lost) {
        this.lost = true
        this.#reloadTimer ??= setTimeout(() => this.#reload(), TRAINING_DELAY_MS)
      } else this.problem = error instanceof Error ? error.message : String(error)
    }
  }
}
