// The views of runs that somebody kept with a star: listed, added, changed, moved, removed, and brought back.
import { sentenceOf } from '../data/source-error'
import { type Acts, parametersOf, type RemovedStar, type Star, viewOf } from '../data/acts'
import type { ViewState } from '../data/view'
import { fromAddress, toAddress } from './address'

export class Stars {
  /** Run -> its stars, in their order; a run that was not loaded is missing. */
  byRun = $state.raw<ReadonlyMap<string, Star[]>>(new Map())
  problem = $state<string | null>(null)
  /** The star that was removed last. */
  removed = $state.raw<{ run: string; star: RemovedStar } | null>(null)

  constructor(private readonly acts: Acts) {}

  async load(run: string): Promise<void> {
    await this.#try(run, () => this.acts.stars(run))
  }

  /** Keep a view with a sentence. Returns whether it was kept. */
  add(state: ViewState, sentence: string): Promise<boolean> {
    const run = state.run!
    const view = viewOf(new URLSearchParams(toAddress(state).replace(/#.*/, '')), state.text)
    return this.#try(run, async () => (await this.acts.addStar(run, view, sentence)).stars)
  }

  change(run: string, id: string, sentence: string): Promise<boolean> {
    return this.#try(run, () => this.acts.changeStar(run, id, sentence))
  }

  move(run: string, id: string, position: number): Promise<boolean> {
    return this.#try(run, () => this.acts.moveStar(run, id, position))
  }

  remove(run: string, id: string): Promise<boolean> {
    return this.#try(run, async () => {
      const { stars, removed } = await this.acts.removeStar(run, id)
      this.removed = { run, star: removed }
      return stars
    })
  }

  async undo(): Promise<void> {
    const { removed } = this
    if (removed && (await this.#try(removed.run, () => this.acts.restoreStar(removed.run, removed.star))))
      this.removed = null
  }

  async #try(run: string, act: () => Promise<Star[]>): Promise<boolean> {
    this.problem = null
    try {
      // The map is read after the answer: an effect that loads must not depend on it, and stars of other runs stay.
      const stars = await act()
      this.byRun = new Map(this.byRun).set(run, stars)
      return true
    } catch (error) {
      this.problem = sentenceOf(error)
      return false
    }
  }
}

/** Return the view that a star keeps. */
export function viewOfStar(run: string, star: Star): ViewState {
  return fromAddress(`?${parametersOf(run, star.view)}`)
}
