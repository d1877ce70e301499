// Loads what the view needs from the source: the list of runs, the run, and the picture (one text run through one layer).
import { type Layer, PAGE_RUN, type Run, type Signal, type Summary } from '../data/run'
import { type Progress, type RunList, type Source, SourceError } from '../data/source'
import { sentenceOf } from '../data/source-error'
import type { Trace } from '../data/trace'
import { type Hold, showsRun, START } from '../data/view'
import { text } from '../messages/text'
import { stepAt } from '../model/characters'
import { hasWeights, isWhole, layerOf, pictureRequest, signalOf, topCount } from '../model/first-request'
import { refuseLong } from '../model/long-text'
import { nearNames } from '../model/near-names'
import { isOfSameTrace, type Picture } from '../model/picture'
import { shortened } from './address'
import { fittingView } from './carried-view'
import { EquationCheck } from './equation-check.svelte'
import { painted } from './idle'
import { checkRun, checkText } from './link-check'
import type { Navigation } from './navigation.svelte'
import { Latest } from './requests'
import { TraceCache } from './trace-cache'
import { Wait } from './waiting.svelte'

const TRAINING_DELAY_MS = 2000

/** One neuron with everything that is known of it, and the same without the holds; null if nothing is held. */
interface NeuronTraces {
  trace: Trace
  original: Trace | null
}

/** The data of the page; it follows the view of a navigation. */
export class Loader {
  /** The runs of the source, and those that were trained in this page. */
  #listed = $state.raw<RunList | null>(null)
  #trained = $state.raw<readonly Summary[]>([])
  /** The source does not answer. */
  lost = $state(false)
  run = $state.raw<Run | null>(null)
  picture = $state.raw<Picture | null>(null)
  problem = $state<string | null>(null)
  /** Grows when something other than the pointer moved the cursor, which must then be scrolled into sight. */
  reveal = $state(0)
  /** Grows when another place was visited, so that the strips must come into sight. */
  visits = $state(0)

  /** The check of the equations of the picture. */
  readonly check: EquationCheck
  /** The wait for the next picture. */
  readonly wait = new Wait()
  /** The text whose reading was cancelled. */
  #cancelled = $state<string | null>(null)
  /** The neuron of the panel, which is requested with the picture. */
  detailNeuron: () => number | null = () => null
  /** Traces of single neurons with all signals and drives; they belong to `picture`. */
  #neuronTraces = $state.raw<ReadonlyMap<number, NeuronTraces>>(new Map())
  #staleNeuronTraces: ReadonlyMap<number, NeuronTraces> = new Map()
  readonly #pictureRequests = new Latest()
  readonly #neuronRequests = new Latest()
  readonly #traces: TraceCache
  /** Counts the readings of newer weights. */
  #generation = 0
  /** The place of the edit in the text; the cursor goes there when the picture is loaded. */
  #caret: number | null = null
  #visiting = false
  /** The parts of a link that have not been checked against the run and the text yet. */
  #unchecked = { run: false, text: false }
  /** Whether the view comes from another run, so that what this run does not have is left out of it. */
  carriesView = false
  /** The new run whose picture is not drawn yet; once it is, the source gets ready for more requests. Null if there is none. */
  #unprepared: string | null = null
  /** The run that is on its way; null if there is none. */
  #loading: string | null = null
  #reloadTimer: ReturnType<typeof setTimeout> | undefined
  #loadedAt = 0

  constructor(
    readonly source: Source,
    private readonly navigation: Navigation,
    /** Whether a list of one run is skipped when the page is opened without a view. */
    private readonly opensOnlyRun = false,
  ) {
    this.check = new EquationCheck(source)
    this.#traces = new TraceCache(source)
  }

  list = $derived.by<RunList | null>(() =>
    this.#listed && this.#trained.length
      ? { ...this.#listed, runs: [...this.#trained, ...this.#listed.runs] }
      : this.#listed,
  )
  summary = $derived.by<Summary | null>(
    () => this.list?.runs.find((run) => run.name === this.navigation.state.run) ?? null,
  )
  /** The link names a run that does not exist. */
  missing = $derived.by(() => showsRun(this.navigation.state) && this.list !== null && this.summary === null)
  /** The names of runs that are similar to the name of a link that no run has. */
  nearRuns = $derived.by<string[]>(() => {
    const { run } = this.navigation.state
    return this.missing && run !== null
      ? nearNames(
          run,
          this.list!.runs.map(({ name }) => name),
        )
      : []
  })
  layer = $derived.by<Layer | null>(() => layerOf(this.run, this.navigation.state.layer))
  signal = $derived.by<Signal | null>(() => {
    const { layer, run } = this
    return layer && run ? signalOf(run, layer, this.navigation.state.signal) : null
  })
  /** False for a run that has only just begun. */
  hasWeights = $derived.by(() => hasWeights(this.run))
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
  /** The holds of the set that the holds are compared with; none for the free network. */
  baseline = $derived.by<readonly Hold[]>(() => {
    const { view, sets, against } = this.navigation.state
    if (view !== 'network' && view !== 'neuron') return []
    return sets.find(({ name }) => name === against)?.holds ?? []
  })
  text = $derived.by(() => this.navigation.state.text ?? this.run?.examples[0] ?? '')
  /** The picture is not the one that was chosen last, which takes long or was cancelled. */
  stale = $derived.by(() => {
    const { picture, wait, text } = this
    if (!picture || (wait.now === null && this.#cancelled === null)) return false
    const isShown = picture.text === text && picture.layer.name === this.layer?.name
    return !isShown || wait.now !== null
  })
  /** The text on the page is not read, because a reader cancelled that. */
  cancelled = $derived.by(() => this.#cancelled !== null && this.#cancelled === this.text)

  /** Follow the list of runs. Returns a function that stops. */
  open(): () => void {
    const close = this.source.follow((list, problem) => this.#receiveList(list, problem))
    return () => {
      close()
      clearTimeout(this.#reloadTimer)
    }
  }

  /** List a run that was trained in this page, instead of one with the same name. */
  addTrained(summary: Summary): void {
    this.#trained = [summary, ...this.#trained.filter(({ name }) => name !== summary.name)]
    this.#receiveList(this.#listed)
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
    if (!showsRun(state)) this.problem = null
    else if (this.run?.name === state.run) this.#loadPicture()
    else {
      this.run = null
      this.picture = null
      this.#loadRun(state.run, false)
    }
  }

  /** Give up the reading of a long text. */
  cancel(): void {
    this.#pictureRequests.cancel()
    this.wait.end()
    this.#cancelled = this.text
  }

  /** Read the text of the page after all. */
  resume(): void {
    this.#loadPicture()
  }

  /** Return one neuron with all its signals and drives, and its row in that trace; null until it is loaded. */
  neuron(index: number): (NeuronTraces & { row: number }) | null {
    const { picture } = this
    if (picture?.whole) return { trace: picture.trace, original: picture.original, row: index }
    // The former values stay until the new ones are loaded.
    const traces = this.#neuronTraces.get(index) ?? this.#staleNeuronTraces.get(index)
    return traces ? { ...traces, row: 0 } : null
  }

  /** Load one neuron with all its signals and drives, unless it is loaded. */
  loadNeuron(index: number): void {
    const picture = this.picture
    if (!picture || picture.whole || this.#neuronTraces.has(index)) return
    this.#neuronRequests.request(async (signal) => {
      if (this.picture !== picture || this.#neuronTraces.has(index)) return
      const { run, layer, text, checkpoint, holds } = picture
      const signals = layer.signals.map((signal) => signal.name)
      await this.#try(signal, async () => {
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
        const trace = await this.source.trace(run.name, request, { signal })
        const original = picture.original
          ? await this.source.trace(run.name, { ...request, holds: picture.baseline }, { signal })
          : null
        if (this.picture && isOfSameTrace(this.picture, picture))
          this.#neuronTraces = new Map(this.#neuronTraces).set(index, { trace, original })
      })
    })
  }

  #receiveList(list: RunList | null, problem: string | null = null): void {
    const returned = this.lost && list !== null
    this.lost = list === null && problem === null
    if (problem !== null) this.problem = problem
    if (!list) return
    const isFirst = this.list === null
    const wasAway = this.missing || this.summary?.state === 'unreadable'
    this.#listed = list
    if (isFirst && this.opensOnlyRun && list.runs.length === 1) this.navigation.openOnly(list.runs[0]!.name)
    const summary = this.summary
    if (returned || (wasAway && this.run && summary)) this.#reload()
    else if (!this.run) this.follow()
    else if (this.missing) this.#loadRun(this.navigation.state.run, false)
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
    if (showsRun(state)) this.#loadRun(state.run, true)
  }

  #loadRun(name: string | null, again: boolean): void {
    // The list of runs comes first: no run is requested that it does not have.
    if (name === null || !this.list) return
    if (!this.summary && name.startsWith(PAGE_RUN)) {
      // The page that trained it is closed; its name is the recipe.
      const experiment = name.slice(PAGE_RUN.length)
      return this.navigation.replace({ ...START, view: 'playground', run: name, experiment })
    }
    if (!this.summary) {
      const near = this.nearRuns.length > 0
      this.problem = text(near ? 'RUN_UNKNOWN_NEAR' : 'RUN_UNKNOWN', { name: shortened(name) })
      return
    }
    if (this.summary.state === 'unreadable') {
      this.problem = this.summary.problem
      return
    }
    // The list may arrive again while the run is on its way.
    if (!again && this.#loading === name) return
    this.#loading = name
    void this.#try(null, async () => {
      this.#loadedAt = performance.now()
      const run = await this.source.run(name).finally(() => (this.#loading = null))
      this.lost = false
      if (this.navigation.state.run !== name || (!again && this.run?.name === name)) return
      this.run = run
      this.#unprepared = name
      this.#checkRun(run)
      this.#loadPicture()
    })
  }

  /** Take out of the view what a link names that the run does not have. */
  #checkRun(run: Run): void {
    if (this.carriesView) this.navigation.replace(fittingView(this.navigation.state, run))
    this.carriesView = false
    if (!this.#unchecked.run) return
    this.#unchecked.run = false
    const { state, sentences } = checkRun(this.navigation.state, run)
    this.navigation.correct(state, sentences)
  }

  /** Request the values that the view needs; the old picture stays until they are loaded. */
  #loadPicture(): void {
    this.#cancelled = null
    this.#pictureRequests.request(async (signal) => {
      const { run, layer, signal: shown, text, checkpoint, holds, baseline } = this
      if (!run || !layer || !shown || !showsRun(this.navigation.state) || !this.hasWeights) return this.wait.end()
      const whole = isWhole(layer, text)
      const generation = this.#generation
      const request = pictureRequest(run, layer, shown, text, checkpoint)
      this.wait.begin(text)
      const isLoaded = await this.#try(signal, async () => {
        const onProgress = (progress: Progress): void => this.wait.report(progress)
        const waiting = { signal, replaces: true, onProgress }
        refuseLong(run, text)
        const query = { name: run.name, request, generation, detail: whole ? null : this.#detail() }
        const { detail, ...traced } = await this.#traces.withHolds(query, holds, baseline, waiting)
        if (this.run?.name !== run.name) return
        this.#show({ run, layer, text, signal: shown.name, whole, generation, checkpoint, ...traced }, detail)
        // The equations of a held signal do not hold: the same text is checked without the holds.
        this.check.follow(run.name, request, traced.free ?? traced.trace)
      })
      if (signal.aborted) return
      this.wait.end()
      this.#prepare(run.name)
      // A picture of another text must not stand under the sentence that says why this text has none.
      if (!isLoaded && !this.lost && this.text === text && this.picture?.text !== text) this.picture = null
    })
  }

  /** Get the source ready for more requests of a new run: what that loads and computes would delay the picture. */
  #prepare(run: string): void {
    if (this.#unprepared !== run) return
    this.#unprepared = null
    void painted().then(() => this.source.prepare(run))
  }

  /** Return the neuron that the panel will show, if the layer has it. */
  #detail(): number | null {
    const neuron = this.detailNeuron()
    return neuron !== null && neuron < (this.layer?.neurons ?? 0) ? neuron : null
  }

  #show(picture: Picture, detail: number | null): void {
    const old = this.picture
    if (!old || !isOfSameTrace(old, picture)) {
      const related = old?.run.name === picture.run.name && old.layer.name === picture.layer.name
      if (!related) this.#staleNeuronTraces = new Map()
      else if (this.#neuronTraces.size) this.#staleNeuronTraces = this.#neuronTraces
      this.#neuronTraces = new Map()
    }
    const trace = detail === null ? null : picture.trace.detail
    if (detail !== null && trace)
      this.#neuronTraces = new Map(this.#neuronTraces).set(detail, {
        trace,
        original: picture.original?.detail ?? null,
      })
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

  /** Run work that may be given up, and report its failure. Returns whether it succeeded. */
  async #try(signal: AbortSignal | null, work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      if (signal?.aborted) return false
      if (error instanceof SourceError && error.lost) {
        this.lost = true
        this.#reloadTimer ??= setTimeout(() => this.#reload(), TRAINING_DELAY_MS)
      } else this.problem = sentenceOf(error)
      return false
    }
  }
}
