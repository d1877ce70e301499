// Changes of the holds of the view: a signal of a neuron that is held, moved, locked or released.
import type { Hold } from '../data/view'
import { actingHold, type HeldSignal, shortFloat, withHold } from '../model/holds'
import type { Navigation } from './navigation.svelte'

/** The steps of a hold: the step of the cursor, all steps from it on, or the whole text. */
export type HoldSteps = 'step' | 'from' | 'all'

export class Holding {
  constructor(private readonly navigation: Navigation) {}

  /** Hold a signal, in place of a hold of the same signal over the same steps. */
  hold(hold: Hold): void {
    this.#change(withHold(this.#holds, { ...hold, value: shortFloat(hold.value) }))
  }

  /**
   * Move the value of a signal at a step: that of the hold that acts there, or else of a new one of this step alone.
   *
   * @param drag the number of the drag, whose moves are one step of the browser's history; null for a key
   */
  slide(cell: HeldSignal, step: number, value: number, drag: number | null): void {
    const acting = actingHold(this.#holds, cell, step)
    const hold: Hold = { ...(acting ?? { ...cell, first: step, last: step }), value: shortFloat(value) }
    const holds = acting ? this.#holds.map((one) => (one === acting ? hold : one)) : [...this.#holds, hold]
    const place = { neuron: cell.neuron, step, holds }
    const { layer, neuron, signal, first, last } = hold
    if (drag === null) this.navigation.continue(`slide ${layer} ${neuron} ${signal} ${first} ${last}`, place)
    else this.navigation.continue(`drag ${drag}`, place, Infinity)
  }

  /** Hold a signal at its value at a step, or remove the hold that acts there. */
  toggle(cell: HeldSignal, step: number, value: number): void {
    if (!this.removeAt(cell, step)) this.hold({ ...cell, value, first: step, last: step })
  }

  /** Hold a signal, or move the hold that acts at a step, to a value over some steps. */
  choose(cell: HeldSignal, step: number, value: number, steps: HoldSteps): void {
    const acting = actingHold(this.#holds, cell, step)
    const others = this.#holds.filter((one) => one !== acting)
    const [first, last] = [steps === 'all' ? 0 : step, steps === 'step' ? step : null]
    this.#change(withHold(others, { ...cell, value: shortFloat(value), first, last }))
  }

  /** Remove the hold that acts on a signal at a step. Returns whether there was one. */
  removeAt(cell: HeldSignal, step: number): boolean {
    const acting = actingHold(this.#holds, cell, step)
    if (acting) this.#change(this.#holds.filter((one) => one !== acting))
    return acting !== null
  }

  /** Remove one hold; without a place, all of them. */
  remove(place: number | null): void {
    if (this.#holds.length) this.#change(place === null ? [] : this.#holds.filter((_, k) => k !== place))
  }

  get #holds(): readonly Hold[] {
    return this.navigation.state.holds
  }

  #change(holds: readonly Hold[]): void {
    this.navigation.go({ holds })
  }
}
