// The diagram of a cell, and how many of its operations are done.
import type { ViewState } from '../data/view'
import { type CellGraph, cellGraph } from '../model/cell-graph'
import type { Picture } from '../model/picture'

const OPERATION_MS = 800

/** What the diagram reads and changes of the explorer. */
interface Explored {
  readonly state: ViewState
  readonly picture: Picture | null
  go: (change: Partial<ViewState>) => void
}

export class Diagram {
  /** Whether the operations are played. */
  playing = $state(false)
  /** Whether it fills a dialog. */
  enlarged = $state(false)
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(private readonly explorer: Explored) {}

  /** Whether it is on the page. */
  open = $derived.by(() => {
    const { panel, view } = this.explorer.state
    return panel === 'diagram' && (view === 'network' || view === 'neuron') && this.explorer.picture !== null
  })
  graph = $derived.by<CellGraph>(() => cellGraph(this.explorer.picture?.layer.signals ?? []))
  /** How many operations there are, and how many of them are done. */
  count = $derived.by(() => this.graph.operations.length)
  done = $derived.by(() => Math.min(this.explorer.state.operation ?? this.count, this.count))
  /** The operation that was done last; null if none or all of them are done. */
  current = $derived.by(() => (this.done === this.count ? null : (this.graph.operations[this.done - 1] ?? null)))

  /** Show the diagram after some operations. */
  show(done: number): void {
    const bounded = Math.max(0, Math.min(this.count, done))
    if (bounded !== this.done) this.explorer.go({ operation: bounded === this.count ? null : bounded })
  }

  /** Go on or back by some operations. From the end, the first operation follows. */
  step(by: number): void {
    this.pause()
    this.show(by > 0 && this.done === this.count ? 1 : this.done + by)
  }

  /** Play the operations, one after the other. */
  play(): void {
    this.pause()
    if (this.done === this.count) this.show(0)
    this.playing = true
    this.#timer = setInterval(() => {
      if (this.open) this.show(this.done + 1)
      if (!this.open || this.done === this.count) this.pause()
    }, OPERATION_MS)
  }

  pause(): void {
    clearInterval(this.#timer)
    this.playing = false
  }
}
