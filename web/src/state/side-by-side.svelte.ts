// Networks beside that of the playground: trained in turn on the same data, with one control and one cursor for all.
import type { LevelShare, TaskBundle } from '../data/playground'
import type { PairMap } from '../data/gradients'
import type { PlaygroundSource } from '../data/source'
import { sentenceOf } from '../data/source-error'
import { text } from '../messages/text'
import { type Experiment, experimentText } from '../model/experiment'
import { besideText, MAX_NETWORKS, parseBeside } from '../model/side-by-side'
import { lasting } from './lasting.svelte'
import { Playground, type Sight } from './playground.svelte'

/** Levels of the table of strings that are right. */
export const TABLE_LEVELS = 20

/** The cell under the pointer, in the strips of all networks. */
export interface LinkedSpot {
  row: number
  step: number
}

/** What is computed of a network while no training goes on. */
export class Measures {
  map = $state.raw<PairMap | null>(null)
  /** Why there is no map. */
  problem = $state<string | null>(null)
  levels = $state.raw<LevelShare[]>([])
  /** The weights that it is computed of. */
  key = ''
  bundle: TaskBundle | null = null
}

const groups = new WeakMap<Playground, SideBySide>()

/** Return the networks beside that of a playground. */
export function besideOf(first: Playground, source: PlaygroundSource): SideBySide {
  const group = groups.get(first) ?? lasting(() => new SideBySide(first, source))
  groups.set(first, group)
  return group
}

export class SideBySide {
  /** All networks, the first one first. */
  networks = $state.raw<readonly Playground[]>([])
  problem = $state<string | null>(null)
  spot = $state.raw<LinkedSpot | null>(null)
  /** How far all strips are scrolled. */
  left = $state(0)
  /** Measurements under way. */
  #measuring = $state(0)
  readonly #pool: readonly Playground[]
  readonly #measures: ReadonlyMap<Playground, Measures>

  constructor(
    readonly first: Playground,
    source: PlaygroundSource,
  ) {
    this.networks = [first]
    this.#pool = Array.from({ length: MAX_NETWORKS - 1 }, (_, k) => new Playground(source, `playground ${k + 1}`))
    this.#measures = new Map([first, ...this.#pool].map((network) => [network, new Measures()]))
  }

  /** Whether there is more than one network. */
  several = $derived.by(() => this.networks.length > 1)
  experiments = $derived.by<Experiment[]>(() => this.networks.flatMap(({ experiment }) => experiment ?? []))
  /** The words of the networks beside the first one. */
  words = $derived.by<string[]>(() => this.experiments.slice(1).map(besideText))
  /** Whether every network stands after the same number of updates, and none is being trained. */
  isAtRest = $derived.by(() => {
    const step = this.first.progress?.step
    const rests = ({ phase, progress }: Playground): boolean => phase === 'failed' || progress?.step === step
    return !['training', 'loading'].includes(this.first.phase) && step !== undefined && this.networks.every(rests)
  })

  /** Whether the measures are those of the weights in the pictures. */
  isMeasured = $derived.by(() => this.isAtRest && !this.#measuring)

  /** Follow the words of an address. The first network follows its own before. */
  async follow(words: readonly string[], pasted: string | null): Promise<void> {
    const { experiment: first, index } = this.first
    if (!first || !index) return
    const parsed = words.map((one) => parseBeside(one, first, index))
    const wrong = words.find((_, k) => !parsed[k] || k >= MAX_NETWORKS - 1)
    const values = { words: wrong?.slice(0, 60) ?? '', most: MAX_NETWORKS - 1 }
    this.problem = wrong === undefined ? null : text('PLAYGROUND_BESIDE_WRONG', values)
    const experiments = parsed.filter((one) => one !== null).slice(0, MAX_NETWORKS - 1)
    const partners = this.#assign(experiments)
    this.first.partners = partners
    for (const network of partners) network.sight = this.first.sight
    const begun = partners.map((network, k) => network.follow(experimentText(experiments[k]!), pasted))
    this.networks = [this.first, ...partners]
    await Promise.all(begun)
    await this.first.alignPartners()
  }

  /** Return a network for each experiment. One that is there already goes on, in whatever place it is now. */
  #assign(experiments: readonly Experiment[]): Playground[] {
    const free = new Set(this.#pool)
    const take = (network: Playground | undefined): Playground | undefined => {
      if (network) free.delete(network)
      return network
    }
    const same = experiments.map((experiment) =>
      take([...free].find((one) => one.experiment && experimentText(one.experiment) === experimentText(experiment))),
    )
    return same.map((network) => network ?? take([...free][0])!)
  }

  /** Begin again with all networks. */
  async startOver(): Promise<void> {
    await Promise.all(this.networks.map((network) => network.startOver()))
  }

  look(sight: Sight): void {
    for (const network of this.networks.slice(1)) network.look(sight)
  }

  /** Show the weights of a training step of every network; null for the best ones of each. */
  async choose(step: number | null): Promise<void> {
    await this.first.pause()
    await Promise.all(this.networks.filter(({ steps }) => steps.includes(step)).map((network) => network.choose(step)))
  }

  /** Return what is computed of a network. */
  measuresOf(network: Playground): Measures {
    return this.#measures.get(network)!
  }

  /** Compute the gradients and the strings that are right, with the weights in the pictures. */
  async measure(): Promise<void> {
    this.#measuring++
    for (const network of this.networks) await this.#measure(network)
    this.#measuring--
  }

  async #measure(network: Playground): Promise<void> {
    const { bundle, picture, weights } = network
    const key = keyOf(network)
    const measures = this.measuresOf(network)
    if (key === measures.key && bundle === measures.bundle) return
    measures.key = key ?? ''
    measures.bundle = bundle
    if (!bundle || !picture || key === null) {
      measures.map = measures.problem = null
      measures.levels = []
      return
    }
    const request = { text: network.sight.text ?? bundle.examples[0] ?? '', layer: picture.layer.name }
    const [map, levels] = await network.ask((training) =>
      Promise.allSettled([training.gradients(request), training.levels(weights, TABLE_LEVELS)]),
    )
    // A training that went on meanwhile has other weights.
    if (measures.key !== key || keyOf(network) !== key) {
      if (measures.key === key) measures.key = ''
      return
    }
    measures.map = map.status === 'fulfilled' ? map.value : null
    measures.problem = map.status === 'fulfilled' ? null : sentenceOf(map.reason)
    measures.levels = levels.status === 'fulfilled' ? levels.value : []
  }
}

/** Return which weights and which text a network shows; null if it has no picture. */
function keyOf({ experiment, picture, progress, weights, sight, phase }: Playground): string | null {
  if (!experiment || !picture || !progress || phase === 'failed') return null
  const { step, best } = progress
  return JSON.stringify([experimentText(experiment), weights, step, best, sight.text, picture.layer.name])
}
