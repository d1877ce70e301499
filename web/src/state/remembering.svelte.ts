// Which neuron of the playground's network follows what its task must remember, and since which update.
import type { Layer, Signal } from '../data/run'
import { experimentText } from '../model/experiment'
import { bestFollower, type Follower, FOLLOWS, shuffledScore } from '../model/remembered'
import type { Playground, Weights } from './playground.svelte'

export interface Remembers extends Follower {
  layer: Layer
  signal: Signal
  /** The best score of any neuron of the layer on shuffled strings; null if there is none. */
  chance: number | null
}

export class Remembering {
  /** The best neuron with the best weights; null before it is measured, or if no quantity can be followed. */
  found = $state.raw<Remembers | null>(null)
  /** The first update whose weights have a neuron that follows; null if there is none. */
  since = $state<number | null>(null)
  working = $state(false)
  /** Scores by training step: the same experiment has the same ones. */
  #scores = new Map<number, number>()
  #experiment = ''
  #measured = ''

  constructor(private readonly playground: Playground) {}

  /** Measure the present network, unless it was measured or is about to change. */
  async measure(): Promise<void> {
    const { playground } = this
    const { experiment, bundle, progress, phase } = playground
    if (!experiment || !bundle?.remembered || !progress || (phase !== 'paused' && phase !== 'ended')) return
    const words = experimentText(experiment)
    const key = JSON.stringify([words, progress.step])
    if (key === this.#measured) return
    if (words !== this.#experiment) this.forget()
    this.#experiment = words
    this.#measured = key
    const isCurrent = (): boolean => this.#measured === key && playground.phase === phase
    this.working = true
    const found = await this.#best(playground.bestWeights, true)
    if (isCurrent()) this.found = found
    let since: number | null = null
    for (const step of [...progress.checkpoints, progress.step]) {
      if (!isCurrent()) break
      const known = this.#scores.get(step) ?? (await this.#best(step, false))?.score ?? 0
      this.#scores.set(step, known)
      if (known >= FOLLOWS) {
        since = step
        break
      }
    }
    if (isCurrent()) this.since = since
    else if (this.#measured === key) this.#measured = ''
    this.working = false
  }

  /** Forget what was measured: the training begins anew. */
  forget(): void {
    this.found = null
    this.since = null
    this.#measured = ''
    this.#scores.clear()
  }

  /** Return the best follower of any layer. */
  async #best(weights: Weights, withChance: boolean): Promise<Remembers | null> {
    const { remembered } = this.playground.bundle!
    let most: Remembers | null = null
    const present = weights === this.playground.progress?.step ? 'present' : weights
    for (const { layer, signal, values } of await this.playground.read(present, remembered!.strings.join(''))) {
      const follower = bestFollower(values, remembered!)
      if (!follower || (most && follower.score <= most.score)) continue
      most = { ...follower, layer, signal, chance: withChance ? shuffledScore(values, remembered!) : null }
    }
    return most
  }
}
