// A worker of the tests: it lists the messages that it gets, and answers when a test says so.
import type { KernelBytes, WorkerPort } from '../../src/data/engine-client'

export interface FakeMessage {
  id: number
  call: string
  [field: string]: unknown
}

export class FakeWorker implements WorkerPort {
  readonly messages: FakeMessage[] = []
  terminated = false
  /** What answers a call at once; calls without an entry wait for `answer` or `refuse`. */
  readonly replies = new Map<string, (message: FakeMessage) => unknown>([
    ['kernels', () => null],
    ['open', () => null],
    ['close', () => null],
  ])
  readonly #listeners = new Map<string, ((event: never) => void)[]>()

  postMessage(message: unknown): void {
    const received = message as FakeMessage
    this.messages.push(received)
    const reply = this.replies.get(received.call)
    if (!reply) return
    const value = reply(received)
    if (value instanceof Error) this.refuse(received.id, value.message)
    else this.answer(received.id, value)
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener])
  }

  terminate(): void {
    this.terminated = true
  }

  answer(id: number, value: unknown): void {
    this.emit('message', { data: { id, ok: true, value } })
  }

  refuse(id: number, code: string, values: Record<string, string | number> = {}): void {
    this.emit('message', { data: { id, ok: false, code, values } })
  }

  emit(type: string, event: object): void {
    const preventDefault = (): void => undefined
    for (const listener of this.#listeners.get(type) ?? []) listener({ preventDefault, ...event } as never)
  }

  /** The messages of one call. */
  sent(call: string): FakeMessage[] {
    return this.messages.filter((message) => message.call === call)
  }
}

export const kernels = (): Promise<KernelBytes> =>
  Promise.resolve({ plain: new ArrayBuffer(1), relaxed: new ArrayBuffer(2) })

/** Let everything happen that is not waiting for an answer. */
export const settled = async (): Promise<void> => {
  for (let k = 0; k < 20; k++) await Promise.resolve()
}
