// Answers of one kind: the newest one is shown, and the last ones are cached.
import { SourceError } from '../data/source'
import { sentenceOf } from '../data/source-error'
import { Latest } from './requests'

const CACHED_ANSWERS = 24

/** The newest answer of one kind; the former one stays until the new one is loaded. */
export class Answers<T> {
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
        this.problem = sentenceOf(error)
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
