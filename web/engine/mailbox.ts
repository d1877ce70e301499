// Shared memory by which a worker hands an answer to the page within a frame.
//
// After a key, browsers hold messages back until the next frame is painted, so an answer that came by message is painted
// one frame later. What lies in shared memory is read while that frame is made. Every answer comes by message as well.

const CAPACITY_BYTES = 2 << 20
const HEAD_BYTES = 8
/** The states of the box besides the number of the call whose answer lies in it. */
const [FREE, BUSY] = [0, -1]

export class Mailbox {
  readonly #head: Int32Array
  readonly #bytes: Uint8Array

  constructor(readonly memory: SharedArrayBuffer) {
    this.#head = new Int32Array(memory, 0, 2)
    this.#bytes = new Uint8Array(memory, HEAD_BYTES)
  }

  /** Return a new mailbox; null where memory may not be shared. */
  static create(): Mailbox | null {
    const { crossOriginIsolated } = globalThis as { crossOriginIsolated?: boolean }
    return crossOriginIsolated ? new Mailbox(new SharedArrayBuffer(HEAD_BYTES + CAPACITY_BYTES)) : null
  }

  /** Put the answer to a call into the box, if it fits and the box is free. */
  put(call: number, answer: ArrayBuffer): void {
    if (answer.byteLength > this.#bytes.length || Atomics.compareExchange(this.#head, 0, FREE, BUSY) !== FREE) return
    this.#bytes.set(new Uint8Array(answer))
    this.#head[1] = answer.byteLength
    Atomics.store(this.#head, 0, call)
  }

  /** Take the answer out of the box; null if there is none. */
  take(): { call: number; answer: ArrayBuffer } | null {
    const call = Atomics.load(this.#head, 0)
    if (call <= 0) return null
    const answer = this.#bytes.slice(0, this.#head[1]).buffer as ArrayBuffer
    Atomics.store(this.#head, 0, FREE)
    return { call, answer }
  }

  /** Empty the box if it holds the answer to a call, which came by message. */
  discard(call: number): void {
    Atomics.compareExchange(this.#head, 0, call, FREE)
  }
}
