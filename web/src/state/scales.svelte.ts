// The colour scales of the strips: one for all neurons, or one for each.
import type { Signal } from '../data/run'
import type { ViewState } from '../data/view'
import { text } from '../messages/text'
import type { Picture } from '../model/picture'
import { chooseScale, joinedScale, ownScale, type Scale, tickText } from '../model/scale'

/** What is on the screen: the values of a signal, with and without the holds, and what these change. */
interface Shown {
  readonly state: ViewState
  readonly picture: Picture | null
  readonly shownSignal: Signal | null
  readonly values: Float32Array
  readonly original: Float32Array | null
  readonly differences: Float32Array | null
  readonly steps: number
  go: (change: Partial<ViewState>) => void
}

export class Scales {
  constructor(private readonly shown: Shown) {}

  /** Whether each neuron has a scale of its own. */
  areOwn = $derived.by(() => this.shown.state.scale === 'neuron')
  readonly #range = $derived.by(() => this.shown.shownSignal?.range ?? ([null, null] as const))
  /** The scale that covers the values of all neurons. */
  all = $derived.by<Scale>(() => {
    const { values, original } = this.shown
    const scale = chooseScale(this.#range, values)
    // One scale for both, so that a colour means the same with and without the holds.
    return original ? joinedScale(scale, chooseScale(this.#range, original)) : scale
  })
  /** The scale of what the holds change, for all neurons. */
  differences = $derived.by<Scale>(() => chooseScale([null, null], this.shown.differences ?? []))
  readonly #own = $derived.by<Scale[]>(() => {
    const { values, original } = this.shown
    return this.#each((row) => ownScale(this.#range, row(values), ...(original ? [row(original)] : [])))
  })
  readonly #ownDifferences = $derived.by<Scale[]>(() => {
    const { differences } = this.shown
    return differences ? this.#each((row) => ownScale([null, null], row(differences))) : []
  })

  /** Return the scale of a neuron. */
  of(neuron: number): Scale {
    return (this.areOwn && this.#own[neuron]) || this.all
  }

  /** Return the scale of what the holds change in a neuron. */
  differencesOf(neuron: number): Scale {
    return (this.areOwn && this.#ownDifferences[neuron]) || this.differences
  }

  /** Return a sentence with the ends of the scale of a row, if each row has one of its own. */
  lines(neuron: number | string, { kind, low, high }: Scale): string[] {
    if (!this.areOwn) return []
    return [text('SCALE_ENDS', { neuron, low: tickText(low), high: tickText(high, kind === 'two') })]
  }

  /** Use one scale for all neurons, or one for each if all have one. */
  toggle(): void {
    this.shown.go({ scale: this.areOwn ? 'all' : 'neuron' })
  }

  #each(scaleOf: (row: (all: Float32Array) => Float32Array) => Scale): Scale[] {
    const { picture, steps } = this.shown
    return Array.from({ length: picture?.layer.neurons ?? 0 }, (_, n) =>
      scaleOf((all) => all.subarray(n * steps, (n + 1) * steps)),
    )
  }
}
