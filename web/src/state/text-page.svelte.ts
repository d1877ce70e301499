// The page of text: the neurons that colour it, and its cursor.
import type { Form, ViewState } from '../data/view'
import { MAX_PAGE_NEURONS } from '../data/view'
import type { Run } from '../data/run'
import type { Picture } from '../model/picture'
import type { Hover } from './navigation.svelte'

/** What the page of text reads and changes of the explorer. */
interface Explored {
  readonly state: ViewState
  readonly run: Run | null
  readonly picture: Picture | null
  readonly order: { readonly neurons: readonly number[] }
  readonly hover: Hover
  readonly cursor: Hover
  readonly pinned: boolean
  readonly loader: { reveal: number }
  go: (change: Partial<ViewState>) => void
  point: (neuron: number | null, step: number | null) => void
  unpin: () => void
}

/** The text as a page, coloured by some neurons. */
export class TextPage {
  /** The neurons of the page: the chosen ones, or the one of the cursor. */
  neurons = $derived.by<readonly number[]>(() => {
    const { state, picture, order } = this.explorer
    const { view, neuron } = state
    const count = picture?.layer.neurons ?? 0
    const chosen = state.neurons.filter((one) => one < count)
    if (view === 'neuron') {
      const own = Math.min(neuron ?? 0, Math.max(0, count - 1))
      return [own, ...chosen.filter((one) => one !== own)].slice(0, MAX_PAGE_NEURONS)
    }
    return chosen.length ? chosen : [neuron ?? order.neurons[0] ?? 0]
  })
  /** Whether the text is shown as a page; numbers have no text. */
  open = $derived.by(() => this.explorer.state.as === 'page' && this.explorer.run?.unit !== 'number')

  constructor(private readonly explorer: Explored) {}

  /** Return the neuron of the page of text that the cursor is in. */
  cursorNeuron(): number | null {
    const { state, hover, pinned } = this.explorer
    if (pinned && state.view !== 'neuron') return state.neuron
    return this.neurons.find((neuron) => neuron === hover.neuron) ?? this.neurons[0] ?? null
  }

  /** Show the text as strips or as a page; the page begins with the neuron of the cursor. */
  showAs(form: Form): void {
    const { neuron } = this.explorer.cursor
    const needsNeuron = form === 'page' && this.explorer.state.view === 'network' && !this.explorer.state.neurons.length
    this.explorer.go({ as: form, ...(needsNeuron && neuron !== null ? { neurons: [neuron] } : {}) })
    this.explorer.loader.reveal++
  }

  /** Add a neuron to the page of text, or take it out. */
  toggle(neuron: number): void {
    const { neurons, as, view } = this.explorer.state
    const shown = as === 'page' && view === 'network' ? this.neurons : neurons
    if (shown.includes(neuron)) this.explorer.go({ neurons: shown.filter((one) => one !== neuron) })
    else if (shown.length < MAX_PAGE_NEURONS) this.explorer.go({ neurons: [...shown, neuron] })
  }

  /** Move the cursor on the page of text; when it is pinned, the pin moves. */
  move(neuron: number, step: number): void {
    const inNetwork = this.explorer.state.view === 'network'
    this.explorer.point(neuron, step)
    if (this.explorer.state.step !== null) this.explorer.go(inNetwork ? { neuron, step } : { step })
    this.explorer.loader.reveal++
  }

  /** Pin the cursor on the page of text, or unpin it; the neurons of the page stay. */
  pin(neuron: number, step: number): void {
    this.explorer.point(neuron, step)
    const inNetwork = this.explorer.state.view === 'network'
    if (step === this.explorer.state.step && (!inNetwork || neuron === this.explorer.state.neuron))
      this.explorer.unpin()
    else this.explorer.go(inNetwork ? { neuron, step, neurons: this.neurons } : { step })
  }

  /** Go to the neuron before or after the cursor's: the next one of the page, or, if it has one only, of the order. */
  turn(by: number): void {
    const { neuron, step } = this.explorer.cursor
    const { neurons } = this
    if (neuron === null || step === null) return
    const list = neurons.length > 1 ? neurons : this.explorer.order.neurons
    const next = list[(list.indexOf(neuron) + by + list.length) % list.length]
    if (next === undefined || next === neuron) return
    if (neurons.length > 1) this.move(next, step)
    else if (this.explorer.state.view === 'neuron') this.explorer.go({ neuron: next })
    else this.explorer.go({ neurons: [next], neuron: this.explorer.pinned ? next : this.explorer.state.neuron })
  }
}
