// The tour: six steps on the controls of the strips page. It goes on by itself when a step was done.
import type { ViewState } from '../data/view'
import type { Code } from '../messages/text'
import type { Hover } from './navigation.svelte'
import { forget, remember, remembered } from '../messages/remembered'

/** What a step compares with what it was when the step began. */
interface Seen {
  readonly text: string
  readonly state: ViewState
  readonly hover: Hover
}

export interface TourStep {
  title: Code
  body: Code
  /** Selectors of the control, the first one in sight counts; on a phone it may be another one. */
  targets: string[]
  done: (now: Seen, before: Seen) => boolean
}

const id = (name: string): string => `[data-testid="${name}"]`

export const STEPS: readonly TourStep[] = [
  {
    title: 'TOUR_TYPE',
    body: 'TOUR_TYPE_BODY',
    targets: [id('text-row'), id('strips')],
    done: (now, before) => now.text !== before.text,
  },
  {
    title: 'TOUR_POINT',
    body: 'TOUR_POINT_BODY',
    targets: [id('strips-canvas')],
    done: ({ hover, state }, before) =>
      hover.step !== before.hover.step || hover.neuron !== before.hover.neuron || state.step !== before.state.step,
  },
  {
    title: 'TOUR_PIN',
    body: 'TOUR_PIN_BODY',
    targets: [id('strips-canvas')],
    done: ({ state }, before) =>
      state.step !== null && (state.step !== before.state.step || state.neuron !== before.state.neuron),
  },
  {
    title: 'TOUR_GATE',
    body: 'TOUR_GATE_BODY',
    targets: ['[role=group]:has(> [data-testid^="signal-"])', id('controls')],
    done: ({ state }, before) => state.signal !== before.state.signal,
  },
  {
    title: 'TOUR_HOLD',
    body: 'TOUR_HOLD_BODY',
    targets: [id('neuron-panel'), id('strips')],
    done: ({ state }, before) => state.holds.length > before.state.holds.length,
  },
  {
    title: 'TOUR_LABEL',
    body: 'TOUR_LABEL_BODY',
    targets: [id('filter'), id('find-labels'), id('controls')],
    done: ({ state }, before) => state.filter !== before.state.filter || state.feature !== before.state.feature,
  },
]

const STORAGE_KEY = 'gatescope.tour'

/** The tour of a page: where it is, and whether it is shown. */
export class Tour {
  /** The number of the step; null while the tour is closed. */
  step = $state<number | null>(null)
  #before = $state.raw<Seen | null>(null)

  constructor(private readonly explorer: Seen) {}

  /** The step at which the tour was left; 0 if it was never begun or came to its end. */
  static resumed(): number {
    const stored = Number(remembered(STORAGE_KEY))
    return Number.isInteger(stored) && stored > 0 && stored < STEPS.length ? stored : 0
  }

  /** Begin the tour, or go on where it was left. */
  start(): void {
    this.show(Tour.resumed())
  }

  /** Show a step; after the last one the tour ends. */
  show(step: number): void {
    if (step >= STEPS.length) {
      this.step = null
      forget(STORAGE_KEY)
      return
    }
    const { text, state, hover } = this.explorer
    this.#before = { text, state, hover }
    this.step = step
    remember(STORAGE_KEY, String(step))
  }

  /** Close the tour; it goes on at the same step next time. */
  close(): void {
    this.step = null
  }

  /** Whether what the present step asks for was done since it began. */
  get done(): boolean {
    return this.step !== null && this.#before !== null && STEPS[this.step]!.done(this.explorer, this.#before)
  }
}
