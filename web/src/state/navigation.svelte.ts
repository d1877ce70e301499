// The view and the address of the page: each follows the other, and the browser's history leads back.
import { type Range, START, type ViewState } from '../data/view'
import { fromAddress, toAddress } from './address'
import { addressBar } from './address-bar'
import { whenIdle } from './idle'
import { MAX_ADDRESS_CHARACTERS, storeText } from './long-texts'

/** A change of one of these fields becomes a step of the browser's history. */
const HISTORY_FIELDS = [
  'text',
  'layer',
  'signal',
  'sort',
  'scale',
  'order',
  'feature',
  'checkpoint',
  'by',
  'drive',
  'source',
  'holds',
  'below',
  'write',
  'temperature',
  'seed',
  'branches',
  'sets',
  'against',
  'beside',
  'pairs',
  'difference',
  'as',
  'neurons',
  'panel',
  'space',
  'matrix',
  'over',
  'at',
  'bin',
  'experiment',
  'experiments',
  'lesson',
] as const
const ADDRESS_DELAY_MS = 300
/** Two changes of one series with a longer pause between them are two steps of the browser's history. */
const SERIES_PAUSE_MS = 1500
/** The series of the letters that are typed. */
const TYPING = 'text'

/** A browser that forgot a step of its history reports no arrival; after this time the page no longer waits. */
const MAX_TRAVEL_MS = 2000

/** Called after the page changed the view, and after a link or the Back button did. */
export interface NavigationListener {
  viewChanged: () => void
  linkOpened: (before: ViewState) => void
}

export interface Hover {
  neuron: number | null
  step: number | null
}

/** The view state, in step with the address of the page. */
export class Navigation {
  state = $state.raw<ViewState>(START)
  /** A sentence for each part of the link that was left out. */
  notes = $state.raw<string[]>([])
  hover = $state.raw<Hover>({ neuron: null, step: null })
  #addressTimer: ReturnType<typeof setTimeout> | undefined
  /** The changes that are one step of the browser's history, and the time of the last one. */
  #series = { name: '', at: -Infinity }
  /** How many steps of the browser's history lie between the present view and the one that the page began with. */
  #place = 0
  /** The place of the last step that surely exists. A link or a reload begins without knowledge of later ones. */
  #last = 0
  /** The calls that wait for the end of an undo or redo; null if none is under way. */
  #waiting: (() => void)[] | null = null
  #travelTimer: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly listener: NavigationListener) {}

  /** Read the address, and follow it from now on. Returns a function that stops. */
  open(): () => void {
    const read = (): void => {
      clearTimeout(this.#addressTimer)
      const before = this.state
      const notes: string[] = []
      const { search, hash, state } = addressBar.now
      this.state = fromAddress(search, hash, (sentence) => notes.push(sentence))
      this.notes = notes
      this.#endSeries()
      this.#place = placeOf(state)
      this.#last = Math.max(this.#last, this.#place)
      this.hover = { neuron: null, step: null }
      this.listener.linkOpened(before)
      // What was left out leaves the address too.
      if (notes.length) this.#writeSoon()
      this.#arrive()
    }
    read()
    const leave = (): void => this.#write('replace')
    const unfollow = addressBar.now.follow(read)
    addEventListener('pagehide', leave)
    return () => {
      unfollow()
      removeEventListener('pagehide', leave)
    }
  }

  /**
   * Change the view. A change of page or run, of text, layer, signal, order, feature or holds becomes a step of the browser's
   * history, so that Back undoes it; a move of the cursor does not.
   */
  go(change: Partial<ViewState>): void {
    if (this.#waits(() => this.go(change))) return
    const before = this.state
    const next = { ...before, ...change }
    if (next.run !== before.run) Object.assign(next, { ...START, ...change })
    const otherPage = next.view !== before.view || next.run !== before.run
    clearTimeout(this.#addressTimer)
    if (otherPage) this.notes = []
    if (otherPage || HISTORY_FIELDS.some((name) => next[name] !== before[name])) {
      this.#write('replace')
      this.state = next
      if (otherPage) this.hover = { neuron: null, step: next.run === before.run ? this.hover.step : null }
      this.#write('push')
      if (otherPage) scrollTo(0, 0)
      this.#endSeries()
    } else {
      this.state = next
      this.#writeSoon()
    }
    this.listener.viewChanged()
  }

  /**
   * Change the text. Letters that are typed without a pause are one step of the browser's history.
   *
   * @param text the text; null for the run's first example
   * @param typed whether it was typed; a text that was chosen from a list always is a step of its own
   * @param change what changes with it
   */
  changeText(entered: string | null, typed: boolean, change: Partial<ViewState> = {}): void {
    // An address cannot hold half of a surrogate pair: the text would be another one after a reload.
    const text = entered && entered.replace(/\p{Cs}/gu, '\ufffd')
    if (typed) return this.continue(TYPING, { ...change, text, range: null })
    this.go({ ...change, text, range: null })
    this.#endSeries()
  }

  /**
   * Change the view as one of a series, such as the moves of a slider: a series is one step of the browser's history.
   *
   * @param pause the milliseconds after which a change begins a new series
   */
  continue(series: string, change: Partial<ViewState>, pause = SERIES_PAUSE_MS): void {
    if (this.#waits(() => this.continue(series, change, pause))) return
    const now = performance.now()
    if (this.#series.name === series && now - this.#series.at < pause) {
      clearTimeout(this.#addressTimer)
      this.state = { ...this.state, ...change }
      this.#writeSoon()
      this.listener.viewChanged()
    } else this.go(change)
    this.#series = { name: series, at: now }
  }

  /** Go back to the view before the last step of the browser's history that this page made. */
  undo(): void {
    if (this.#waits(() => this.undo())) return
    if (this.#place > 0) this.#travel(-1)
  }

  /** Take the last undoing back. */
  redo(): void {
    if (this.#waits(() => this.redo())) return
    if (this.#place < this.#last) this.#travel(1)
    // After a reload only the browser knows the later steps; without any, nothing arrives.
    else addressBar.now.travel(1)
  }

  /** Change the view as a step of the browser's history, whatever changes. */
  jump(change: Partial<ViewState>): void {
    if (this.#waits(() => this.jump(change))) return
    clearTimeout(this.#addressTimer)
    this.#write('replace')
    this.state = { ...this.state, ...change }
    this.#write('push')
    this.listener.viewChanged()
  }

  /** Replace the view by one that leaves out what a link named in vain, and note a sentence for each part left out. */
  correct(state: ViewState, sentences: string[]): void {
    if (!sentences.length) return
    this.notes = [...this.notes, ...sentences]
    this.replace(state)
  }

  /** Replace the view without a step of the browser's history. */
  replace(state: ViewState): void {
    this.state = state
    this.#write('replace')
  }

  /** Show the network of the only run, unless the address asks for something else. */
  openOnly(run: string): void {
    if (toAddress(this.state) !== '' || this.notes.length) return
    this.state = { ...START, view: 'network', run }
    this.#write('replace')
  }

  /** Move the hover to a neuron and a step. */
  point(neuron: number | null, step: number | null): void {
    if (neuron !== this.hover.neuron || step !== this.hover.step) this.hover = { neuron, step }
  }

  /** Select a range of the text; null selects nothing. */
  selectRange(range: Range | null): void {
    const now = this.state.range
    if (range?.first === now?.first && range?.last === now?.last) return
    this.go({ range, threshold: range ? this.state.threshold : null })
  }

  /** Move in the browser's history. Until the browser has moved, further calls wait and no address is written. */
  #travel(steps: number): void {
    clearTimeout(this.#addressTimer)
    this.#write('replace')
    this.#waiting = []
    this.#travelTimer = setTimeout(() => this.#arrive(), MAX_TRAVEL_MS)
    addressBar.now.travel(steps)
  }

  /** Defer a call while an undo or redo is under way. Returns whether one is. */
  #waits(call: () => void): boolean {
    this.#waiting?.push(call)
    return this.#waiting !== null
  }

  /** Make the calls that waited, in their order. */
  #arrive(): void {
    clearTimeout(this.#travelTimer)
    const calls = this.#waiting ?? []
    this.#waiting = null
    for (const call of calls) if (!this.#waits(call)) call()
  }

  #endSeries(): void {
    this.#series = { name: '', at: -Infinity }
  }

  #writeSoon(): void {
    this.#addressTimer = setTimeout(() => {
      const { state } = this
      // Browsers take milliseconds to write an address, which no letter must wait for.
      whenIdle(() => this.state === state && this.#write('replace'))
    }, ADDRESS_DELAY_MS)
  }

  #write(how: 'push' | 'replace'): void {
    if (this.#waiting) return
    const address = toAddress(this.state)
    const { text, beside } = this.state
    for (const words of [text, beside?.kind === 'text' ? beside.text : null])
      if (words !== null && words.length > MAX_ADDRESS_CHARACTERS) storeText(words)
    const bar = addressBar.now
    if (address === bar.search + bar.hash) return
    if (how === 'push') this.#last = ++this.#place
    bar.write(how, { place: this.#place }, address)
  }
}

/** Return the number of steps that a state of the browser's history has before it. */
function placeOf(state: unknown): number {
  const { place = 0 } = (state ?? {}) as { place?: number }
  return place
}
