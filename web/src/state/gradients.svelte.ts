// The answers of the page of gradients: the map of a text, one chain of factors, and the connections of predictions.
import {
  type Chain,
  type Connections,
  type PairMap,
  readConnections,
  readPairMap,
  connectionsOf,
} from '../data/gradients'
import { type Source, SourceError } from '../data/source'
import { Latest } from './requests'

const CACHED_ANSWERS = 24

/** The newest answer of one kind; the former one stays until the new one is loaded. */
class Answers<T> {
  value = $state.raw<T | null>(null)
  problem = $state<string | null>(null)
  busy = $state(false)
  readonly #requests = new Latest()
  readonly #cache = new Map<string, T>()
  #key = ''

  /** Show the answer of a key, from the cache or else from `fetch`. */
  request(key: string, fetch: () => Promise<T>): void {
    if (key === this.#key) return
    this.#key = key
    const cached = this.#cache.get(key)
    if (cached !== undefined) return this.#show(cached)
    this.busy = true
    this.#requests.request(async () => {
      if (this.#key !== key) return
      try {
        const answer = this.#cache.get(key) ?? (await fetch())
        this.#cache.set(key, answer)
        for (const oldest of this.#cache.keys()) if (this.#cache.size > CACHED_ANSWERS) this.#cache.delete(oldest)
        if (this.#key === key) this.#show(answer)
      } catch (error) {
        if (this.#key !== key) return
        this.value = null
        this.busy = false
        this.problem = error instanceof Error ? error.message : String(error)
        // The same request may be repeated when the server is back.
        if (error instanceof SourceError && error.lost) this.#key = ''
      }
    })
  }

  clear(): void {
    this.#key = ''
    this.value = null
    this.problem = null
    this.busy = false
  }

  #show(answer: T): void {
    this.value = answer
    this.problem = null
    this.busy = false
  }
}

/** The text, the layer and the weights that gradients are computed of. */
export interface GradientSubject {
  run: string
  /** Changes when the best weights do. */
  version: number
  text: string
  layer: string
  checkpoint: number | null
}

export class Gradients {
  readonly map = new Answers<PairMap>()
  readonly chain = new Answers<Chain>()
  readonly connections = new Answers<Connections>()
  /** The subject and the measure of the shown connections. */
  #connectionsKey = ''

  constructor(readonly source: Source) {}

  requestMap({ run, version, text, layer, checkpoint }: GradientSubject): void {
    this.map.request(JSON.stringify([run, version, text, layer, checkpoint]), async () =>
      readPairMap(await this.source.arrays(run, 'gradients', { text, layer, checkpoint })),
    )
  }

  requestChain(subject: GradientSubject, state: string, neuron: number, before: number, after: number): void {
    const { run, text, layer, checkpoint } = subject
    this.chain.request(JSON.stringify([subject, state, neuron, before, after]), () =>
      this.source.chain(run, { text, layer, checkpoint, state, neuron, before, after }),
    )
  }

  requestConnections(subject: GradientSubject, by: string, step: number): void {
    const { run, version, text, checkpoint } = subject
    const shown = this.connections.value
    const key = JSON.stringify([run, version, text, checkpoint, by])
    if (key === this.#connectionsKey && shown && connectionsOf(shown, step)) return
    // One answer covers many steps; the server chooses which.
    this.connections.request(`${key} ${step}`, async () => {
      const answer = readConnections(await this.source.arrays(run, 'connections', { text, checkpoint, by, step }))
      this.#connectionsKey = key
      return answer
    })
  }
}
