// Requests in order: the newest of one kind, or one job after the other.

const SLOW_MS = 100
const TYPING_DELAY_MS = 80

/** Runs one request at a time, and then only the newest one that arrived meanwhile: answers never overtake each other. */
export class Latest {
  #busy = false
  #next: (() => Promise<void>) | null = null
  #lastDuration = 0

  /** Run a task as soon as the present one has ended, unless a newer one replaces it; it handles its own failures. */
  request(task: () => Promise<void>): void {
    this.#next = task
    if (!this.#busy) void this.#run()
  }

  async #run(): Promise<void> {
    this.#busy = true
    while (this.#next) {
      // Slow answers wait for a pause in the typing; quick ones follow every letter.
      if (this.#lastDuration > SLOW_MS) await new Promise((done) => setTimeout(done, TYPING_DELAY_MS))
      const task = this.#next
      this.#next = null
      const start = performance.now()
      await task()
      this.#lastDuration = performance.now() - start
    }
    this.#busy = false
  }
}

/** Runs jobs one after the other, so that a full gallery does not send all its requests at once. */
export class Queue {
  #last: Promise<void> = Promise.resolve()

  add(job: () => Promise<void>): void {
    this.#last = this.#last.then(job)
  }
}
