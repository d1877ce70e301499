// One request at a time, and after it only the newest that was asked for meanwhile: answers never arrive out of order.

const SLOW = 100

const PAUSE = 80

export class Latest {
  #busy = false
  #next: (() => Promise<void>) | null = null
  #took = 0

  /** `task` must handle its own failures. */
  ask(task: () => Promise<void>): void {
    this.#next = task
    if (!this.#busy) void this.#work()
  }

  async #work(): Promise<void> {
    this.#busy = true
    while (this.#next) {
      // Where answers take long, wait for a pause in the typing; where they are quick, every letter is followed.
      if (this.#took > SLOW) await new Promise((done) => setTimeout(done, PAUSE))
      const task = this.#next
      this.#next = null
      const began = performance.now()
      await task()
      this.#took = performance.now() - began
    }
    this.#busy = false
  }
}

/** Jobs one after the other; the pictures of a full gallery must not arrive at the server all at once. */
export class Queue {
  #last: Promise<void> = Promise.resolve()

  add(job: () => Promise<void>): void {
    this.#last = this.#last.then(job)
  }
}
