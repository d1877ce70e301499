// Requests in order: the newest of one kind, or a few at a time.

const SLOW_MS = 100
const TYPING_DELAY_MS = 80
/** A request that takes longer is given up as soon as a newer one waits. */
const PATIENCE_MS = 150

/**
 * Runs one request at a time, and then only the newest one that arrived meanwhile: answers never overtake each other.
 *
 * An answer that comes soon is shown although a newer request waits, so that the picture follows every letter.
 */
export class Latest {
  #busy = false
  #next: ((signal: AbortSignal) => Promise<void>) | null = null
  #lastDuration = 0
  #startedAt = 0
  #running: AbortController | null = null
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly patience = PATIENCE_MS) {}

  /**
   * Run a task as soon as the present one has ended, unless a newer one replaces it.
   *
   * The task handles its own failures. Its signal gives it up.
   */
  request(task: (signal: AbortSignal) => Promise<void>): void {
    this.#next = task
    if (!this.#busy) return void this.#run()
    const patience = Math.max(0, this.#startedAt + this.patience - performance.now())
    if (patience === 0) this.#running?.abort()
    else this.#timer ??= setTimeout(() => this.#running?.abort(), patience)
  }

  /** Give up the present task and the one that waits. */
  cancel(): void {
    this.#next = null
    this.#running?.abort()
  }

  async #run(): Promise<void> {
    this.#busy = true
    while (this.#next) {
      // Slow answers wait for a pause in the typing; quick ones follow every letter.
      if (this.#lastDuration > SLOW_MS) await new Promise((done) => setTimeout(done, TYPING_DELAY_MS))
      const task = this.#next
      if (!task) break
      this.#next = null
      this.#running = new AbortController()
      this.#startedAt = performance.now()
      await task(this.#running.signal)
      this.#lastDuration = performance.now() - this.#startedAt
      clearTimeout(this.#timer)
      this.#timer = undefined
      this.#running = null
    }
    this.#busy = false
  }
}

/** Runs a few jobs at a time, those that are in sight first, so that a full gallery does not send all its requests at once. */
export class Queue {
  #waiting: { job: () => Promise<void>; isVisible: () => boolean }[] = []
  #running = 0

  constructor(private readonly most: number) {}

  /** Add a job. `isVisible` is read when a job is chosen; the job handles its own failures. */
  add(job: () => Promise<void>, isVisible: () => boolean): void {
    this.#waiting.push({ job, isVisible })
    this.#start()
  }

  #start(): void {
    while (this.#running < this.most && this.#waiting.length) {
      const inSight = this.#waiting.findIndex(({ isVisible }) => isVisible())
      const [next] = this.#waiting.splice(Math.max(0, inSight), 1)
      this.#running++
      void next!.job().finally(() => {
        this.#running--
        this.#start()
      })
    }
  }
}
