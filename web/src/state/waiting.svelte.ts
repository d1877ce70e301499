// The wait for an answer: nothing at first, then what is read and how far it is.
import type { Progress } from '../data/source'

/** An answer that comes sooner is not announced. */
const ANNOUNCED_AFTER_MS = 150

/** What the page waits for. */
export interface Awaited {
  text: string
  /** Null if it is not known how far the work is. */
  progress: Progress | null
}

export class Wait {
  /** What the page has been waiting for, once it takes long; null otherwise. */
  now = $state.raw<Awaited | null>(null)
  #timer: ReturnType<typeof setTimeout> | undefined
  #text: string | null = null

  /** Begin, or go on with another text. */
  begin(text: string): void {
    this.#text = text
    if (this.now) this.now = { text, progress: null }
    else this.#timer ??= setTimeout(() => this.#announce(null), ANNOUNCED_AFTER_MS)
  }

  report(progress: Progress): void {
    if (this.now) this.#announce(progress)
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#text = null
    this.now = null
  }

  #announce(progress: Progress | null): void {
    if (this.#text !== null) this.now = { text: this.#text, progress }
  }
}
