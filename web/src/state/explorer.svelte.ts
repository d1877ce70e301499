// The state of the page: the navigation, the loaded data, and the tables that follow from both.
import type { Track } from '../data/features'
import type { Signal } from '../data/run'
import type { Source } from '../data/source'
import { DEFAULT_ZOOM, FIT_ZOOM, type Range, type Sort, type ViewState, ZOOMS } from '../data/view'
import { text } from '../messages/text'
import { differencesOf } from '../model/holds'
import { type Label, strength } from '../model/labels'
import { type NeuronScores, listed, type NeuronOrder, shownSort, sortNeurons } from '../model/neuron-order'
import { keptBranches } from '../model/continuation'
import { MAX_BOX_CHARACTERS, maxCharacters } from '../model/first-request'
import type { PageLines } from '../model/page-lines'
import { initialStep } from '../model/picture'
import type { RangeNeurons } from '../model/range-neurons'
import { carriedChange } from './carried-view'
import { Consequences } from './consequences.svelte'
import { Diagram } from './diagram.svelte'
import { Findings } from './findings.svelte'
import { LateScript } from './late-script.svelte'
import { LayerWeights } from './layer-weights.svelte'
import { Loader } from './loader.svelte'
import { HoldSets } from './hold-sets.svelte'
import { Holding } from './holding'
import { type Hover, Navigation } from './navigation.svelte'
import { Queue } from './requests'
import { Scales } from './scales.svelte'
import { Studies } from './studies.svelte'
import { TextPage } from './text-page.svelte'
import { Tour } from './tour.svelte'
import { Writing } from './writing.svelte'

const THUMBNAILS_AT_A_TIME = 2

/** Everything that the pages read, and every change that they can make. */
export class Explorer {
  readonly navigation: Navigation
  readonly loader: Loader
  readonly studies: Studies
  readonly writing: Writing
  readonly findings: Findings
  readonly weights: LayerWeights
  readonly clustering = new LateScript(() => import('../model/clustering'))
  readonly ranges = new LateScript(() => import('../model/range-neurons'))
  readonly thumbnails = new Queue(THUMBNAILS_AT_A_TIME)
  readonly tour: Tour = new Tour(this)
  readonly diagram: Diagram = new Diagram(this)
  readonly page: TextPage = new TextPage(this)
  readonly scales: Scales = new Scales(this)
  readonly holding: Holding
  readonly sets: HoldSets
  readonly consequences: Consequences
  /** Whether the list of keys is open. */
  keys = $state(false)
  /** The last edit of the text: a field that takes the place of another one goes on there. */
  edited: { caret: number } | null = null
  /** Whether the large box for the text is open. */
  drawer = $state(false)
  /** Whether the dialog that shares the view is open. */
  share = $state(false)
  /** Whether the card about the neuron of the cursor is open. */
  card = $state(false)
  /** Whether the command palette is open. */
  commands = $state(false)
  /** The keys pressed while the palette is loading. */
  readonly earlyKeys: string[] = []
  /** The lines of the page of text, and how many of them a page key goes; null while there is none. */
  pageLines = $state.raw<PageLines | null>(null)
  pageRows = 10
  /** The end of the selected range that stays while the other one moves. */
  #rangeAnchor: number | null = null

  constructor(
    readonly source: Source,
    opensOnlyRun = false,
  ) {
    this.navigation = new Navigation({
      viewChanged: () => this.loader.follow(),
      linkOpened: (before) => {
        this.sets.followHistory(before)
        this.loader.checkLink()
        this.loader.follow()
      },
    })
    this.holding = new Holding(this.navigation)
    this.loader = new Loader(source, this.navigation, opensOnlyRun)
    this.loader.detailNeuron = () => this.cursor.neuron ?? this.state.neuron ?? 0
    this.studies = new Studies(source)
    this.sets = new HoldSets(this.navigation, this.loader)
    this.consequences = new Consequences(source)
    this.findings = new Findings(source)
    this.weights = new LayerWeights(source)
    this.writing = new Writing(source, this)
  }

  get state(): ViewState {
    return this.navigation.state
  }
  get notes(): string[] {
    return this.navigation.notes
  }
  get hover(): Hover {
    return this.navigation.hover
  }
  get list() {
    return this.loader.list
  }
  get lost() {
    return this.loader.lost
  }
  get problem() {
    return this.loader.problem
  }
  get summary() {
    return this.loader.summary
  }
  /** What may be written about the run. */
  get acts() {
    return this.summary?.isInPage ? undefined : this.source.acts
  }
  get missing() {
    return this.loader.missing
  }
  get run() {
    return this.loader.run
  }
  get picture() {
    return this.loader.picture
  }
  get layer() {
    return this.loader.layer
  }
  get signal() {
    return this.loader.signal
  }
  get hasWeights() {
    return this.loader.hasWeights
  }
  get text() {
    return this.loader.text
  }
  get reveal() {
    return this.loader.reveal
  }
  get visits() {
    return this.loader.visits
  }

  /** The signal on the screen: the chosen one as soon as its values are loaded. */
  shownSignal = $derived.by<Signal | null>(() => {
    const picture = this.picture
    if (!picture) return null
    const name = picture.whole && picture.layer.name === this.layer?.name ? this.signal?.name : picture.signal
    return picture.layer.signals.find((signal) => signal.name === name) ?? picture.layer.signals[0] ?? null
  })
  /** The values of the signal on the screen, [neurons, steps]. */
  values = $derived.by(
    () =>
      (this.picture &&
        this.shownSignal &&
        this.picture.trace.values(`${this.picture.layer.name}.${this.shownSignal.name}`)) ??
      new Float32Array(),
  )
  /** The same without the holds; null if nothing is held. */
  original = $derived.by<Float32Array | null>(() => {
    const { picture, shownSignal: signal, values } = this
    const original = signal && picture?.original?.values(`${picture.layer.name}.${signal.name}`)
    return original?.length === values.length ? original : null
  })
  /** How much the holds change the values of the signal on the screen. */
  differences = $derived.by(() => (this.original ? differencesOf(this.values, this.original) : null))
  steps = $derived.by(() => this.picture?.trace.steps ?? 0)
  /** The label of each neuron for the signal on the screen: the best one that matches the filter. */
  labels = $derived.by<(Label | null)[]>(() => {
    const length = this.studies.labels.value ? (this.picture?.layer.neurons ?? 0) : 0
    return Array.from({ length }, (_, n) => this.labelOf(n, this.state.filter))
  })
  /** The results of the studies for each neuron, to sort by. */
  scores = $derived.by<NeuronScores>(() => {
    const count = this.picture?.layer.neurons ?? 0
    const [effects, layer] = [this.studies.effects.value, this.picture?.layer.name ?? '']
    const forEach = <T>(read: (neuron: number) => T): T[] => Array.from({ length: count }, (_, n) => read(n))
    return {
      score: Float64Array.from(forEach((n) => (this.labels[n] ? strength(this.labels[n]) : NaN))),
      effect: Float64Array.from(forEach((n) => effects?.get(`${layer} ${n}`)?.change ?? NaN)),
      label: forEach((n) => this.labels[n]?.title ?? ''),
    }
  })
  /** The order of the neurons: the chosen one, but by number without the labels or effects to sort by. */
  sort = $derived.by<Sort>(() => {
    const { picture, studies } = this
    const known = [studies.hasLabels(picture?.run), studies.effects.value !== null] as const
    return shownSort(this.state.sort, picture?.layer.neurons ?? 0, ...known)
  })
  /** All neurons of the layer in this order. */
  sorted = $derived.by<NeuronOrder>(() =>
    sortNeurons(this.sort, this.values, this.steps, this.state.neuron ?? 0, this.scores, this.clustering.exports),
  )
  /** The neurons that are listed: those with a label that matches the filter. */
  order = $derived.by<NeuronOrder>(() => {
    const { sorted } = this
    const { filter } = this.state
    // Without labels there is nothing to filter by.
    if (!filter.trim() || !this.studies.labels.value) return sorted
    return listed(sorted, (n) => Boolean(this.labels[n]))
  })

  /** The part of the selected range that lies in the text. */
  range = $derived.by<Range | null>(() => {
    const { range } = this.state
    return range && range.first < this.steps ? { first: range.first, last: Math.min(range.last, this.steps - 1) } : null
  })
  /** The chosen feature, as soon as it is loaded for the text on the screen. */
  track = $derived.by<Track | null>(() => {
    const { picture, studies, state } = this
    const loaded = studies.track
    const fits = loaded && loaded.run === picture?.run.name && loaded.text === picture.text
    const track = fits && loaded.feature === state.feature ? loaded.track : null
    return track && track.values.length === this.steps ? track : null
  })
  /** The neurons that are on in the selected range, and off around it; null if it lies in several sequences, or the script does not know yet. */
  found = $derived.by<RangeNeurons | null>(() => {
    const { picture, range, values, steps } = this
    const { isInOneSequence, rangeNeurons } = this.ranges.exports ?? {}
    if (!picture || !range || !rangeNeurons || !isInOneSequence?.(picture.trace.start, range)) return null
    const [low] = this.shownSignal?.range ?? [null]
    const isOneSided = low !== null && low !== undefined && low >= 0
    return rangeNeurons({ values, steps, start: picture.trace.start, isOneSided }, range, this.state.threshold)
  })
  rangeNeurons = $derived.by<ReadonlySet<number>>(() => new Set(this.found?.neurons))

  pinned = $derived.by(() => this.state.neuron !== null && this.state.step !== null)
  cursor = $derived.by<Hover>(() => {
    const { state, hover, picture, steps } = this
    if (!picture) return { neuron: null, step: null }
    const onPage = this.page.open ? this.page.cursorNeuron() : null
    const inStrips = state.view === 'neuron' || this.pinned ? state.neuron : (hover.neuron ?? state.neuron)
    const neuron = onPage ?? inStrips
    const step = state.step ?? hover.step
    return {
      neuron: Math.min(neuron ?? this.order.neurons[0] ?? 0, picture.layer.neurons - 1),
      step: steps ? Math.min(step ?? initialStep(picture, steps), steps - 1) : null,
    }
  })

  /** Follow the address and the source. Returns a function that stops. */
  open(): () => void {
    const closeNavigation = this.navigation.open()
    const closeLoader = this.loader.open()
    return () => {
      closeLoader()
      closeNavigation()
    }
  }

  /** Change the view (see Navigation.go). */
  go(change: Partial<ViewState>): void {
    this.navigation.go(change)
  }

  /** Start the tour on the strips of this run, of the one that leads the landing page, or of the first with weights. */
  startTour(): void {
    const run = this.run?.name ?? this.findings.leadingRun ?? this.list?.runs.find(({ weights }) => weights)?.name
    if (run === undefined) return
    if (this.state.view !== 'network' || this.state.run !== run) this.go({ view: 'network', run })
    this.tour.start()
  }

  closeNotes(): void {
    this.navigation.notes = []
  }

  /** Change the text; the cursor follows `caret`, the place of the edit, which is null for an example. */
  type(text: string, caret: number | null): void {
    this.edited = caret === null ? null : { caret }
    this.loader.revealCaret(caret)
    const branches = keptBranches(this.state.branches, this.text, text, this.run?.unit ?? 'character')
    this.navigation.changeText(text === this.run?.examples[0] ? null : text, caret !== null, { branches })
  }

  /** Refuse to insert a text that is too long at once: a text box of a megabyte stops the page for seconds. */
  checkInsertion(event: InputEvent, most = this.run ? maxCharacters(this.run) : MAX_BOX_CHARACTERS): void {
    const inserted = event.data?.length ?? event.dataTransfer?.getData('text/plain').length ?? 0
    if (inserted <= most && this.text.length + inserted <= MAX_BOX_CHARACTERS) return
    event.preventDefault()
    this.navigation.notes = [text('PASTE_TOO_LONG', { most, characters: inserted })]
  }

  /** Move the hover to a neuron and a step. */
  point(neuron: number | null, step: number | null): void {
    this.navigation.point(neuron, step)
  }

  /** Move the cursor; when it is pinned, the pin moves. */
  move(neuron: number, step: number | null): void {
    if (this.pinned) this.go({ neuron, step })
    else if (this.state.view === 'neuron') {
      if (neuron !== this.state.neuron) this.go({ neuron })
      if (this.state.step !== null) this.go({ step })
      this.point(neuron, step)
    } else this.point(neuron, step)
    this.loader.reveal++
  }

  /** Pin the cursor to one neuron and step, or unpin it when it is pinned there already. */
  pin(neuron: number, step: number | null): void {
    if (neuron === this.state.neuron && step === this.state.step) this.unpin()
    else this.go({ neuron, step })
  }

  /** Unpin the cursor, as a step of the history of its own: Ctrl-Z pins it again. */
  unpin(): void {
    this.navigation.hover = this.cursor
    this.navigation.jump(this.state.view === 'neuron' ? { step: null } : { neuron: null, step: null })
  }

  /** Select a range of the text; null selects nothing. */
  selectRange(range: Range | null): void {
    this.navigation.selectRange(range)
  }

  /** Choose a neuron and bring its row into sight. */
  find(neuron: number): void {
    this.point(null, this.hover.step)
    this.go({ neuron })
    this.loader.reveal++
  }

  /** Show another run on the same page, with the same text and signal as far as it has them. */
  openRun(name: string): void {
    const from = this.summary
    const to = this.list?.runs.find((run) => run.name === name)
    if (!to || name === this.state.run) return
    this.loader.carriesView = true
    this.go(carriedChange(this.state, from, to))
  }

  /** Move one end of the selected range with the cursor; the other end stays. */
  extendRange(by: number): void {
    const { neuron, step } = this.cursor
    if (step === null) return
    const { range } = this.state
    const anchor = this.#rangeAnchor
    if (!range || anchor === null || (anchor !== range.first && anchor !== range.last)) this.#rangeAnchor = step
    const fixed = this.#rangeAnchor ?? step
    const moving = range ? Math.max(0, Math.min(this.steps - 1, step + by)) : step
    this.selectRange({ first: Math.min(fixed, moving), last: Math.max(fixed, moving) })
    if (this.page.open) this.page.move(neuron ?? 0, moving)
    else this.move(neuron ?? 0, moving)
  }

  /** Show another text with one place of it selected; the browser's Back button leads back. */
  visit(text: string, from: number, to: number | null): void {
    this.loader.revealVisit()
    const range = to === null ? null : { first: from, last: to }
    this.navigation.jump({ text, step: from, range, neuron: this.state.neuron ?? this.cursor.neuron })
  }

  /** Show a feature over the text, or hide it when it is shown already. */
  toggleFeature(feature: string | null): void {
    this.go({ feature: feature === this.state.feature ? null : feature })
  }

  /** Show the whole text, or, if it is shown already, the usual size. */
  fit(): void {
    this.go({ zoom: this.state.zoom === FIT_ZOOM ? DEFAULT_ZOOM : FIT_ZOOM })
    this.loader.reveal++
  }

  /** Make the cells larger or smaller. */
  zoom(by: number): void {
    if (this.state.zoom === FIT_ZOOM) this.go({ zoom: by > 0 ? DEFAULT_ZOOM : 0 })
    else this.go({ zoom: Math.max(0, Math.min(ZOOMS - 1, this.state.zoom + by)) })
    this.loader.reveal++
  }

  /** Return one neuron with all its signals and drives, and its row in that trace; null until it is loaded. */
  neuron(index: number): ReturnType<Loader['neuron']> {
    return this.loader.neuron(index)
  }

  /** Return the best label of a neuron for the signal on the screen, among those that match a filter. */
  labelOf(neuron: number, filter = ''): Label | null {
    const [layer, signal] = [this.picture?.layer.name ?? '', this.shownSignal?.name ?? '']
    return this.studies.labels.value?.best(layer, signal, neuron, filter) ?? null
  }

  loadNeuron(index: number): void {
    this.loader.loadNeuron(index)
  }

  /** Hold the signal on the screen under the cursor at 0, from its step on. */
  holdAtZero(): void {
    const { picture, shownSignal, cursor } = this
    const { neuron, step } = cursor
    if (!picture || !shownSignal || neuron === null || step === null) return
    const cell = { layer: picture.layer.name, signal: shownSignal.name, neuron }
    this.holding.hold({ ...cell, value: 0, first: step, last: null })
  }
}
