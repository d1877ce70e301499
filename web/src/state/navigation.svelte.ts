// The view and the address of the page: each follows the other, and the browser's history leads back.
import { type Range, START, type ViewState } from '../data/view'
import { fromAddress, toAddress } from './address'
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
] as const
const ADDRESS_DELAY_MS = 300
/** Two changes of one series with a longer pause between them are two steps of the browser's history. */
const SERIES_PAUSE_MS = 1500
/** The series of the letters that are typed. */
const TYPING = 'text'

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
/** A step of the history that takes longer was dropped. */
const TRAVEL_MS = 1500

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

  constructor(private readonly listener: NavigationListener) {}

  /** Read the address, and follow it from now on. Returns a function that stops. */
  open(): () => void {
    const read = (): void => {
      clearTimeout(this.#addressTimer)
      const before = this.state
      const notes: string[] = []
      this.state = fromAddress(location.search, location.hash, (sentence) => notes.push(sentence))
      this.notes = notes
      this.#endSeries()
      this.#place = placeOf(history.state)
      this.hover = { neuron: null, step: null }
      this.listener.linkOpened(before)
      // What was left out leaves the address too.
      if (notes.length) this.#writeSoon()
    }
    read()
    const leave = (): void => this.#write('replace')
    addEventListener('popstate', read)
    addEventListener('pagehide', leave)
    return () => {
      removeEventListener('popstate', read)
      removeEventListener('pagehide', leave)
    }
  }

  /**
   * Change the view. A change of page or run, of text, layer, signal, order, feature or holds becomes a step of the browser's
   * history, so that Back undoes it; a move of the cursor does not.
   */
  go(change: Partial<ViewState>): void {
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
  changeText(text: string | null, typed: boolean, change: Partial<ViewState> = {}): void {
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
    if (this.#place === 0) return
    clearTimeout(this.#addressTimer)
    this.#write('replace')
    this.#travel(() => history.back())
  }

  /** Take the last undoing back. */
  redo(): void {
    this.#travel(() => history.forward())
  }

  /** Change the view as a step of the browser's history, whatever changes. */
  jump(change: Partial<ViewState>): void {
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

  /** Move in the browser's history. A busy browser may drop the request; it is then sent once more. */
  #travel(go: () => void): void {
    const place = this.#place
    const again = setTimeout(() => this.#place === place && go(), TRAVEL_MS)
    addEventListener('popstate', () => clearTimeout(again), { once: true })
    go()
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
    const address = toAddress(this.state)
    const { text, beside } = this.state
    for (const words of [text, beside?.kind === 'text' ? beside.text : null])
      if (words !== null && words.length > MAX_ADDRESS_CHARACTERS) storeText(words)
    if (address === location.search + location.hash) return
    if (how === 'push') history.pushState({ place: ++this.#place }, '', address || location.pathname)
    else history.replaceState({ place: this.#place }, '', address || location.pathname)
  }
}

/** Return the number of steps that a state of the browser's history has before it. */
function placeOf(state: unknown): number {
  const { place = 0 } = (state ?? {}) as { place?: number }
  return place
}
