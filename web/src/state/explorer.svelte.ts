// The state of the page: the navigation, the loaded data, and the tables that follow from both.
import type { Track } from '../data/features'
import type { Signal } from '../data/run'
import type { Source } from '../data/source'
import type { Trace } from '../data/trace'
import { type Hold, type Range, type Sort, type ViewState, ZOOMS } from '../data/view'
import { shortFloat, withHold } from '../model/holds'
import { type Label, strength } from '../model/labels'
import { type NeuronScores, type NeuronOrder, sortNeurons } from '../model/neuron-order'
import type { Picture } from '../model/picture'
import { chooseScale, type Scale } from '../model/scale'
import { Loader } from './loader.svelte'
import { type Hover, Navigation } from './navigation.svelte'
import { Queue } from './requests'
import { Studies } from './studies.svelte'
import { Writing } from './writing.svelte'

/** The step of the cursor before it is moved: early in a text, late in a series, so that a forecast has a past. */
function initialStep({ run, trace }: Picture, steps: number): number {
  return trace.estimate && run.readout.reads === 'every step'
    ? Math.floor((steps * 2) / 3)
    : Math.min(12, Math.floor(steps / 2))
}

/** Everything that the pages read, and every change that they can make. */
export class Explorer {
  readonly navigation: Navigation
  readonly loader: Loader
  readonly studies: Studies
  readonly writing: Writing
  readonly thumbnails = new Queue()
  /** Whether the list of keys is open. */
  keys = $state(false)
  /** The end of the selected range that stays while the other one moves. */
  #rangeAnchor: number | null = null

  constructor(
    readonly source: Source,
    opensOnlyRun = false,
  ) {
    this.navigation = new Navigation({
      viewChanged: () => this.loader.follow(),
      linkOpened: () => {
        this.loader.checkLink()
        this.loader.follow()
      },
    })
    this.loader = new Loader(source, this.navigation, opensOnlyRun)
    this.studies = new Studies(source)
    this.writing = new Writing(source, this.loader)
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
  scale = $derived.by<Scale>(() => chooseScale(this.shownSignal?.range ?? [null, null], this.values))
  steps = $derived.by(() => this.picture?.trace.steps ?? 0)
  /** The label of each neuron for the signal on the screen: the best one that matches the filter. */
  labels = $derived.by<(Label | null)[]>(() => {
    const { picture, shownSignal: signal, studies } = this
    const labels = studies.labels.value
    if (!picture || !signal || !labels) return []
    const { filter } = this.state
    return Array.from({ length: picture.layer.neurons }, (_, n) =>
      labels.best(picture.layer.name, signal.name, n, filter),
    )
  })
  /** The results of the studies for each neuron, to sort by. */
  scores = $derived.by<NeuronScores>(() => {
    const count = this.picture?.layer.neurons ?? 0
    const effects = this.studies.effects.value
    const layer = this.picture?.layer.name ?? ''
    const forEach = <T>(read: (neuron: number) => T): T[] => Array.from({ length: count }, (_, n) => read(n))
    return {
      score: Float64Array.from(forEach((n) => (this.labels[n] ? strength(this.labels[n]) : NaN))),
      effect: Float64Array.from(forEach((n) => effects?.get(`${layer} ${n}`)?.change ?? NaN)),
      label: forEach((n) => this.labels[n]?.title ?? ''),
    }
  })
  /** The order of the neurons: the chosen one, but by number until the labels or effects to sort by are computed. */
  sort = $derived.by<Sort>(() => {
    const { sort } = this.state
    const { labels, effects } = this.studies
    const missing = sort === 'effect' ? !effects.value : (sort === 'label' || sort === 'score') && !labels.value
    return missing ? 'number' : sort
  })
  order = $derived.by<NeuronOrder>(() => {
    const { neuron, filter } = this.state
    const sorted = sortNeurons(this.sort, this.values, this.steps, neuron ?? 0, this.scores)
    // Without labels there is nothing to filter by.
    if (!filter.trim() || !this.studies.labels.value) return sorted
    return { ...sorted, neurons: sorted.neurons.filter((n) => this.labels[n]) }
  })

  /** A neuron is on in the selected range from this value on. */
  threshold = $derived.by(() => this.state.threshold ?? Number((0.3 * this.scale.high).toPrecision(2)))
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
  /** The neurons that are on in the selected range, and off around it. */
  rangeNeurons = $derived.by<ReadonlySet<number>>(() => {
    const places = this.range ? this.studies.places.value : null
    return new Set((places?.neurons.columns['neuron'] ?? []) as number[])
  })

  pinned = $derived.by(() => this.state.neuron !== null && this.state.step !== null)
  cursor = $derived.by<Hover>(() => {
    const { state, hover, picture, steps } = this
    if (!picture) return { neuron: null, step: null }
    const neuron = state.view === 'neuron' || this.pinned ? state.neuron : (hover.neuron ?? state.neuron)
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

  closeNotes(): void {
    this.navigation.notes = []
  }

  /** Change the text; the cursor follows `caret`, the place of the edit, which is null for an example. */
  type(text: string, caret: number | null): void {
    this.loader.revealCaret(caret)
    this.navigation.changeText(text === this.run?.examples[0] ? null : text, caret !== null)
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

  unpin(): void {
    this.navigation.hover = this.cursor
    this.go(this.state.view === 'neuron' ? { step: null } : { neuron: null, step: null })
  }

  /** Select a range of the text; null selects nothing. */
  selectRange(range: Range | null): void {
    this.navigation.selectRange(range)
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
    this.move(neuron ?? 0, moving)
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

  /** Make the cells larger or smaller. */
  zoom(by: number): void {
    this.go({ zoom: Math.max(0, Math.min(ZOOMS - 1, this.state.zoom + by)) })
    this.loader.reveal++
  }

  /** Return one neuron with all its signals and drives, and its row in that trace; null until it is loaded. */
  neuron(index: number): { trace: Trace; row: number } | null {
    return this.loader.neuron(index)
  }

  loadNeuron(index: number): void {
    this.loader.loadNeuron(index)
  }

  /** Hold a signal, in place of a hold of the same signal over the same steps. */
  hold(hold: Hold): void {
    this.go({ holds: withHold(this.state.holds, { ...hold, value: shortFloat(hold.value) }) })
  }

  /** Hold the signal on the screen under the cursor at 0, from its step on. */
  holdAtZero(): void {
    const { picture, shownSignal } = this
    const { neuron, step } = this.cursor
    if (!picture || !shownSignal || neuron === null || step === null) return
    this.hold({ layer: picture.layer.name, signal: shownSignal.name, neuron, value: 0, first: step, last: null })
  }

  /** Remove one hold; without a place, all of them. */
  release(place: number | null): void {
    if (this.state.holds.length)
      this.go({ holds: place === null ? [] : this.state.holds.filter((_, k) => k !== place) })
  }

  /** Put what the network wrote behind the text. */
  keepWritten(): void {
    const { written } = this.writing
    if (!written) return
    this.writing.remove()
    this.type(written.text + written.continuation, null)
  }
}
