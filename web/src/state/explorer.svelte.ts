// What the page knows: the view state, the runs, and the picture (one text run through one layer) that is shown.
import type { Track } from '../data/features'
import type { Layer, Run, Signal, Summary } from '../data/run'
import { type RunList, type Source, SourceError } from '../data/source'
import type { Trace } from '../data/trace'
import { type Range, type Sort, START, type ViewState, ZOOMS } from '../data/view'
import { stepAt } from '../model/characters'
import { type Label, strength } from '../model/labels'
import { mainSignal } from '../model/main-signal'
import { type Known, order, type Order } from '../model/neuron-order'
import type { Picture } from '../model/picture'
import { chooseScale, type Scale } from '../model/scale'
import { fromAddress, toAddress } from './address'
import { fitRun, fitText, type Mended } from './link-check'
import { Latest, Queue } from './requests'
import { Findings } from './studies.svelte'

/** Up to this many values of one signal, everything is fetched at once, so that no hover has to wait. */
const SMALL = 16000

const TRAINING_PAUSE = 2000

const ADDRESS_PAUSE = 300

/** Two changes of the text with a longer pause between them are two steps of the browser's history. */
const TYPING_PAUSE = 1500

const STEPS = ['text', 'layer', 'signal', 'sort', 'feature', 'checkpoint', 'by', 'drive', 'source'] as const

const KEPT = 8

const TOP = 3

const MOST_TOP = 5 // of classes: where there are few, all of them

const top = ({ readout }: Run): number => (readout.kind === 'classes' ? MOST_TOP : TOP)

/** Where the cursor stands at first: early in a text, late in a series, so that a forecast has something to rest on. */
function resting({ run, trace }: Picture, steps: number): number {
  return trace.estimate && run.readout.reads === 'every step'
    ? Math.floor((steps * 2) / 3)
    : Math.min(12, Math.floor(steps / 2))
}

export class Explorer {
  state = $state.raw<ViewState>(START)
  list = $state.raw<RunList | null>(null)
  lost = $state(false)
  run = $state.raw<Run | null>(null)
  picture = $state.raw<Picture | null>(null)
  problem = $state<string | null>(null)
  /** What the link asked for that is not there, a sentence each. */
  notes = $state.raw<string[]>([])
  hover = $state.raw<{ neuron: number | null; step: number | null }>({ neuron: null, step: null })
  /** Traces of single neurons with all signals and drives; they belong to `picture`. */
  own = $state.raw<ReadonlyMap<number, Trace>>(new Map())
  /** Grows when the cursor was moved by something else than the pointer and must be scrolled into sight. */
  reveal = $state(0)
  /** Grows when another place was chosen to be looked at, so that the strips must come into sight. */
  visits = $state(0)
  keys = $state(false)

  readonly findings: Findings
  readonly thumbnails = new Queue()
  readonly #pictures = new Latest()
  readonly #neurons = new Latest()
  #stale: ReadonlyMap<number, Trace> = new Map()
  readonly #kept = new Map<string, Trace>()
  #generation = 0
  #caret: number | null = null
  #address: ReturnType<typeof setTimeout> | undefined
  /** What of the link has not been held against the run and the text yet. */
  #unfitted: { run: boolean; text: boolean } = { run: false, text: false }
  #typed = -Infinity
  #training: ReturnType<typeof setTimeout> | undefined
  #refreshed = 0

  constructor(readonly source: Source) {
    this.findings = new Findings(source)
  }

  summary = $derived<Summary | null>(this.list?.runs.find((run) => run.name === this.state.run) ?? null)
  /** The link names a run that is not here. */
  missing = $derived(this.state.view !== 'runs' && this.list !== null && this.summary === null)
  layer = $derived<Layer | null>(
    this.run?.layers.find((layer) => layer.name === this.state.layer) ?? this.run?.layers[0] ?? null,
  )
  signal = $derived.by<Signal | null>(() => {
    const { layer, run } = this
    const named = layer?.signals.find((signal) => signal.name === this.state.signal)
    return named ?? (layer && run ? mainSignal(layer, run.end) : null)
  })
  /** A run that has only just begun has nothing to look at yet. */
  hasWeights = $derived(this.run?.weights || (this.run?.checkpoints.length ?? 0) > 0 || (this.run?.step ?? 0) > 0)
  text = $derived(this.state.text ?? this.run?.examples[0] ?? '')

  /** The signal that is on the screen: the wanted one as soon as its values are here. */
  shownSignal = $derived.by<Signal | null>(() => {
    const picture = this.picture
    if (!picture) return null
    const name = picture.whole && picture.layer.name === this.layer?.name ? this.signal?.name : picture.signal
    return picture.layer.signals.find((signal) => signal.name === name) ?? picture.layer.signals[0] ?? null
  })
  values = $derived(
    (this.picture &&
      this.shownSignal &&
      this.picture.trace.values(`${this.picture.layer.name}.${this.shownSignal.name}`)) ??
      new Float32Array(),
  )
  scale = $derived<Scale>(chooseScale(this.shownSignal?.range ?? [null, null], this.values))
  steps = $derived(this.picture?.trace.steps ?? 0)
  /** The label of each neuron for the shown signal: its best one, or the best that the filter lets through. */
  labels = $derived.by<(Label | null)[]>(() => {
    const { picture, shownSignal: signal, findings } = this
    const labels = findings.labels.value
    if (!picture || !signal || !labels) return []
    const { filter } = this.state
    return Array.from({ length: picture.layer.neurons }, (_, n) =>
      labels.shown(picture.layer.name, signal.name, n, filter),
    )
  })
  known = $derived.by<Known>(() => {
    const count = this.picture?.layer.neurons ?? 0
    const effects = this.findings.effects.value
    const name = this.picture?.layer.name ?? ''
    const each = <T>(read: (neuron: number) => T): T[] => Array.from({ length: count }, (_, n) => read(n))
    return {
      score: Float64Array.from(each((n) => (this.labels[n] ? strength(this.labels[n]) : NaN))),
      effect: Float64Array.from(each((n) => effects?.get(`${name} ${n}`)?.change ?? NaN)),
      label: each((n) => this.labels[n]?.title ?? ''),
    }
  })
  /** By what the neurons are ordered: as chosen, but by number until there are labels or effects to order by. */
  sort = $derived.by<Sort>(() => {
    const { sort } = this.state
    const { labels, effects } = this.findings
    const missing = sort === 'effect' ? !effects.value : (sort === 'label' || sort === 'score') && !labels.value
    return missing ? 'number' : sort
  })
  order = $derived.by<Order>(() => {
    const { neuron, filter } = this.state
    const all = order(this.sort, this.values, this.steps, neuron ?? 0, this.known)
    // Without labels there is nothing to filter by.
    if (!filter.trim() || !this.findings.labels.value) return all
    return { ...all, neurons: all.neurons.filter((n) => this.labels[n]) }
  })

  /** From which value on a neuron is on in the chosen range. */
  threshold = $derived(this.state.threshold ?? Number((0.3 * this.scale.high).toPrecision(2)))
  /** The chosen range as far as it lies in the text. */
  range = $derived.by<Range | null>(() => {
    const { range } = this.state
    return range && range.first < this.steps ? { first: range.first, last: Math.min(range.last, this.steps - 1) } : null
  })
  /** The chosen feature, as soon as it is here for the text that is shown. */
  track = $derived.by<Track | null>(() => {
    const { picture, findings, state } = this
    const found = findings.track
    const fits = found && found.run === picture?.run.name && found.text === picture.text
    const track = fits && found.feature === state.feature ? found.track : null
    return track && track.values.length === this.steps ? track : null
  })
  /** The neurons that are on in the range, and off around it. */
  chosen = $derived.by<ReadonlySet<number>>(() => {
    const found = this.range ? this.findings.places.value : null
    return new Set((found?.neurons.columns['neuron'] ?? []) as number[])
  })
  #anchor: number | null = null
  #revealing = false

  pinned = $derived(this.state.neuron !== null && this.state.step !== null)
  cursor = $derived.by<{ neuron: number | null; step: number | null }>(() => {
    const { state, hover, picture, steps } = this
    if (!picture) return { neuron: null, step: null }
    const neuron = state.view === 'neuron' || this.pinned ? state.neuron : (hover.neuron ?? state.neuron)
    const step = state.step ?? hover.step
    return {
      neuron: Math.min(neuron ?? this.order.neurons[0] ?? 0, picture.layer.neurons - 1),
      step: steps ? Math.min(step ?? resting(picture, steps), steps - 1) : null,
    }
  })

  open(): () => void {
    const back = (): void => {
      clearTimeout(this.#address)
      const notes: string[] = []
      this.state = fromAddress(location.search, location.hash, (sentence) => notes.push(sentence))
      this.notes = notes
      this.#unfitted = { run: true, text: true }
      this.#typed = -Infinity
      if (this.run?.name === this.state.run) this.#fitRun(this.run)
      this.hover = { neuron: null, step: null }
      this.#follow()
    }
    back()
    const leave = (): void => this.#write(false)
    addEventListener('popstate', back)
    addEventListener('pagehide', leave)
    const close = this.source.follow((list) => this.#hear(list))
    return () => {
      close()
      clearTimeout(this.#training)
      removeEventListener('popstate', back)
      removeEventListener('pagehide', leave)
    }
  }

  /**
   * Changes the view. A change of page or run, of text, layer, signal, order or feature becomes a step of the browser's
   * history, so that Back takes it back; moving the cursor does not.
   */
  go(change: Partial<ViewState>): void {
    const before = this.state
    const next = { ...before, ...change }
    if (next.run !== before.run) Object.assign(next, { ...START, ...change })
    const page = next.view !== before.view || next.run !== before.run
    clearTimeout(this.#address)
    if (page) this.notes = []
    if (page || STEPS.some((name) => next[name] !== before[name])) {
      this.#write(false)
      this.state = next
      if (page) this.hover = { neuron: null, step: next.run === before.run ? this.hover.step : null }
      this.#write(true)
      if (page) scrollTo(0, 0)
      this.#typed = -Infinity
    } else {
      this.state = next
      this.#address = setTimeout(() => this.#write(false), ADDRESS_PAUSE)
    }
    this.#follow()
  }

  /**
   * The text was edited; `caret` is where, so that the cursor follows. What is typed without a pause is one step of the
   * browser's history: Back brings the text before it.
   */
  type(text: string, caret: number | null): void {
    this.#caret = caret
    const now = performance.now()
    // An example, which has no caret, is never a part of what was typed before it.
    const goesOn = caret !== null && now - this.#typed < TYPING_PAUSE
    const wanted = text === this.run?.examples[0] ? null : text
    if (goesOn) {
      clearTimeout(this.#address)
      this.state = { ...this.state, text: wanted, range: null }
      this.#address = setTimeout(() => this.#write(false), ADDRESS_PAUSE)
      this.#follow()
    } else this.go({ text: wanted, range: null })
    this.#typed = caret === null ? -Infinity : now
  }

  point(neuron: number | null, step: number | null): void {
    if (neuron !== this.hover.neuron || step !== this.hover.step) this.hover = { neuron, step }
  }

  /** Moves the cursor; when it is pinned, the pin moves. */
  move(neuron: number, step: number | null): void {
    if (this.pinned) this.go({ neuron, step })
    else if (this.state.view === 'neuron') {
      if (neuron !== this.state.neuron) this.go({ neuron })
      if (this.state.step !== null) this.go({ step })
      this.point(neuron, step)
    } else this.point(neuron, step)
    this.reveal++
  }

  /** Pins the cursor to one neuron and step, or frees it when it is pinned there already. */
  pin(neuron: number, step: number | null): void {
    if (neuron === this.state.neuron && step === this.state.step) this.free()
    else this.go({ neuron, step })
  }

  free(): void {
    this.hover = this.cursor
    this.go(this.state.view === 'neuron' ? { step: null } : { neuron: null, step: null })
  }

  /** Chooses a range of the text; null chooses nothing. */
  brush(range: Range | null): void {
    const now = this.state.range
    if (range?.first === now?.first && range?.last === now?.last) return
    this.go({ range, threshold: range ? this.state.threshold : null })
  }

  /** Makes the range longer or shorter at the cursor; the other end stays. */
  stretch(by: number): void {
    const { neuron, step } = this.cursor
    if (step === null) return
    const { range } = this.state
    if (!range || this.#anchor === null || (this.#anchor !== range.first && this.#anchor !== range.last))
      this.#anchor = step
    const to = range ? Math.max(0, Math.min(this.steps - 1, step + by)) : step
    this.brush({ first: Math.min(this.#anchor, to), last: Math.max(this.#anchor, to) })
    this.move(neuron ?? 0, to)
  }

  /** Another text, with one place of it chosen; the browser's back button leads back. */
  visit(text: string, from: number, to: number | null): void {
    clearTimeout(this.#address)
    this.#write(false)
    const range = to === null ? null : { first: from, last: to }
    this.state = { ...this.state, text, step: from, range }
    if (this.state.neuron === null) this.state = { ...this.state, neuron: this.cursor.neuron }
    this.#write(true)
    this.#revealing = true
    this.#follow()
  }

  zoom(by: number): void {
    this.go({ zoom: Math.max(0, Math.min(ZOOMS - 1, this.state.zoom + by)) })
    this.reveal++
  }

  /** One neuron with all its signals and drives, when it is here; asks for it when it is not. */
  neuron(index: number): { trace: Trace; row: number } | null {
    if (this.picture?.whole) return { trace: this.picture.trace, row: index }
    // While the new values are on their way, the ones of a moment ago stay.
    const trace = this.own.get(index) ?? this.#stale.get(index)
    return trace ? { trace, row: 0 } : null
  }

  want(index: number): void {
    const picture = this.picture
    if (!picture || picture.whole || this.own.has(index)) return
    this.#neurons.ask(async () => {
      if (this.picture !== picture || this.own.has(index)) return
      const { run, layer, text } = picture
      const signals = layer.signals.map((signal) => signal.name)
      await this.#try(async () => {
        const request = { text, layer: layer.name, signals, neurons: [index], drives: true, top: top(run) }
        const trace = await this.source.trace(run.name, request)
        const same = this.picture?.text === text && this.picture.layer.name === layer.name
        if (same && this.picture?.generation === picture.generation) this.own = new Map(this.own).set(index, trace)
      })
    })
  }

  #write(push: boolean): void {
    const address = toAddress(this.state)
    if (address === location.search + location.hash) return
    history[push ? 'pushState' : 'replaceState'](null, '', address || location.pathname)
  }

  #hear(list: RunList | null): void {
    const returned = this.lost && list !== null
    this.lost = list === null
    if (!list) return
    this.list = list
    const now = this.summary
    if (returned) this.#reload()
    else if (!this.run) this.#follow()
    else if (now && now.name === this.run.name && (now.step !== this.run.step || now.state !== this.run.state)) {
      const wait = Math.max(0, this.#refreshed + TRAINING_PAUSE - performance.now())
      this.#training ??= setTimeout(() => this.#reload(), wait)
    }
  }

  #reload(): void {
    clearTimeout(this.#training)
    this.#training = undefined
    this.#generation++
    if (this.state.view !== 'runs') this.#load(this.state.run, true)
  }

  #follow(): void {
    if (this.state.view === 'runs') this.problem = null
    else if (this.run?.name === this.state.run) this.#draw()
    else {
      this.run = null
      this.picture = null
      this.#load(this.state.run, false)
    }
  }

  #load(name: string | null, again: boolean): void {
    // Nothing is asked for that is not there: the list of runs comes first, and says what is.
    if (name === null || !this.list) return
    if (!this.summary) {
      this.problem = `There is no run named “${name}” here. The link may be of another folder, or the run was removed. Choose one of these:`
      return
    }
    if (this.summary.state === 'unreadable') {
      this.problem = this.summary.problem
      return
    }
    void this.#try(async () => {
      this.#refreshed = performance.now()
      const run = await this.source.run(name)
      if (this.state.run !== name || (!again && this.run?.name === name)) return
      this.run = run
      this.#fitRun(run)
      this.#draw()
    })
  }

  /** Holds what a link asks for against the run; what is not there is named, and taken out of the view. */
  #fitRun(run: Run): void {
    if (!this.#unfitted.run) return
    this.#unfitted.run = false
    this.#mend(fitRun(this.state, run))
  }

  #mend({ state, sentences }: Mended): void {
    if (!sentences.length) return
    this.notes = [...this.notes, ...sentences]
    this.state = state
    this.#write(false)
  }

  /** Asks for the values that the view needs and shows them when they are here; until then the old picture stays. */
  #draw(): void {
    this.#pictures.ask(async () => {
      const { run, layer, signal, text } = this
      if (!run || !layer || !signal || this.state.view === 'runs' || !this.hasWeights) return
      const whole = layer.neurons * text.length <= SMALL
      const generation = this.#generation
      const key = JSON.stringify([run.name, layer.name, whole ? '' : signal.name, generation, text])
      await this.#try(async () => {
        const signals = whole ? layer.signals.map((one) => one.name) : [signal.name]
        const request = { text, layer: layer.name, signals, neurons: null, drives: whole, top: top(run) }
        const trace = this.#kept.get(key) ?? (await this.source.trace(run.name, request))
        this.#keep(key, trace)
        if (this.run?.name !== run.name) return
        this.#show({ run, layer, text, signal: signal.name, trace, whole, generation })
      })
    })
  }

  #keep(key: string, trace: Trace): void {
    this.#kept.delete(key)
    this.#kept.set(key, trace)
    for (const old of this.#kept.keys()) if (this.#kept.size > KEPT) this.#kept.delete(old)
  }

  #show(picture: Picture): void {
    const old = this.picture
    const same = old && old.text === picture.text && old.layer.name === picture.layer.name
    if (!same || old.generation !== picture.generation) {
      const related = old?.run.name === picture.run.name && old.layer.name === picture.layer.name
      this.#stale = related && this.own.size ? this.own : related ? this.#stale : new Map()
      this.own = new Map()
    }
    this.picture = picture
    this.problem = null
    this.lost = false
    if (this.#unfitted.text && picture.text === this.text) {
      this.#unfitted.text = false
      this.#mend(fitText(this.state, picture.trace.steps))
    }
    if (this.#revealing && picture.text === this.text) {
      this.#revealing = false
      this.reveal++
      this.visits++
    }
    if (this.#caret === null || picture.text !== this.text) return
    const step = stepAt(picture.trace.labels, picture.text, this.#caret, picture.run.unit)
    this.#caret = null
    if (this.state.step === null && step !== null) {
      this.point(this.hover.neuron, step)
      this.reveal++
    }
  }

  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (error instanceof SourceError && error.lost) {
        this.lost = true
        this.#training ??= setTimeout(() => this.#reload(), TRAINING_PAUSE)
      } else this.problem = error instanceof Error ? error.message : String(error)
    }
  }
}
