// The answers of the page about gradients: the map of a text, one chain of factors, what a prediction hangs on.
import { type Chain, type Connected, type PairMap, readConnections, readMap, rowOf } from '../data/gradients'
import { type Source, SourceError } from '../data/source'
import { Latest } from './requests'

const KEPT = 24

/** One kind of answer: the newest that was asked for, the last ones kept. Until a new one is here, the old one stays. */
class Answers<T> {
  value = $state.raw<T | null>(null)
  problem = $state<string | null>(null)
  busy = $state(false)
  readonly #latest = new Latest()
  readonly #kept = new Map<string, T>()
  #wanted = ''

  ask(key: string, fetch: () => Promise<T>): void {
    if (key === this.#wanted) return
    this.#wanted = key
    const kept = this.#kept.get(key)
    if (kept !== undefined) return this.#show(kept)
    this.busy = true
    this.#latest.ask(async () => {
      if (this.#wanted !== key) return
      try {
        const found = this.#kept.get(key) ?? (await fetch())
        this.#kept.set(key, found)
        for (const old of this.#kept.keys()) if (this.#kept.size > KEPT) this.#kept.delete(old)
        if (this.#wanted === key) this.#show(found)
      } catch (error) {
        if (this.#wanted !== key) return
        this.value = null
        this.busy = false
        this.problem = error instanceof Error ? error.message : String(error)
        // When the program is back, the same is asked for again.
        if (error instanceof SourceError && error.lost) this.#wanted = ''
      }
    })
  }

  clear(): void {
    this.#wanted = ''
    this.value = null
    this.problem = null
    this.busy = false
  }

  #show(found: T): void {
    this.value = found
    this.problem = null
    this.busy = false
  }
}

export interface Asked {
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
  readonly connected = new Answers<Connected>()

  constructor(readonly source: Source) {}

  askMap({ run, version, text, layer, checkpoint }: Asked): void {
    this.map.ask(JSON.stringify([run, version, text, layer, checkpoint]), async () =>
      readMap(await this.source.arrays(run, 'gradients', { text, layer, checkpoint })),
    )
  }

  askChain(asked: Asked, state: string, neuron: number, before: number, after: number): void {
    const { run, text, layer, checkpoint } = asked
    this.chain.ask(JSON.stringify([asked, state, neuron, before, after]), () =>
      this.source.chain(run, { text, layer, checkpoint, state, neuron, before, after }),
    )
  }

  askConnections(asked: Asked, by: string, step: number): void {
    const { run, version, text, checkpoint } = asked
    const known = this.connected.value
    const about = JSON.stringify([run, version, text, checkpoint, by])
    if (about === this.#about && known && rowOf(known, step)) return
    // One answer is about many steps; which ones is for the server to say.
    this.connected.ask(`${about} ${step}`, async () => {
      const found = readConnections(await this.source.arrays(run, 'connections', { text, checkpoint, by, step }))
      this.#about = about
      return found
    })
  }
  #about = ''
}
