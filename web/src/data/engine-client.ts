// The engine in the browser as the page calls it: a worker that computes, and the kernels that it computes with.
import { EngineError } from '../../engine/errors'
import { Mailbox } from '../../engine/mailbox'
import type { Matching, MatchRequest } from '../../engine/matching'
import type { Progress } from '../../engine/recording'
import type { Waiting } from './source'

/** The kernels as WebAssembly: for every browser with SIMD, and for those with relaxed SIMD. */
export interface KernelBytes {
  plain: ArrayBuffer
  relaxed: ArrayBuffer
}

/** The part of a Worker that is used here. */
export interface WorkerPort {
  postMessage(message: unknown, transfer: Transferable[]): void
  addEventListener(type: 'message', listener: (event: MessageEvent) => void): void
  addEventListener(type: 'error' | 'messageerror', listener: (event: Event) => void): void
  terminate(): void
}

/** One call of the worker; engine/worker.ts lists all of them. */
export interface EngineCall {
  call: string
  [field: string]: unknown
}

type Answer =
  | { id: number; ok: true; value: unknown }
  | { id: number; ok: false; code: string; values: Record<string, string | number> }

interface Pending {
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
  onProgress?: ((progress: Progress) => void) | undefined
}

type Report = Answer | { id: number; progress: Progress }

/** Calls the worker; every answer belongs to one call. The worker starts with the first call. */
export class EngineClient {
  readonly #pending = new Map<number, Pending>()
  #calls = 0
  #started: Promise<WorkerPort> | null = null
  /** The worker, once it is started. */
  #worker: WorkerPort | null = null
  /** The reason why the worker cannot be used; every later call fails for it. */
  #failure: EngineError | null = null
  #native = true

  constructor(
    private readonly startWorker: () => WorkerPort,
    private readonly loadKernels: () => Promise<KernelBytes>,
    private readonly mailbox = Mailbox.create(),
  ) {}

  /** Whether the kernels are used: false once the worker or WebAssembly turned out to be unusable in this browser. */
  get native(): boolean {
    return this.#native && this.#failure === null
  }

  /**
   * Return the answer to a call.
   *
   * @param call the call
   * @param transfer buffers of the call that the worker takes over instead of copying them
   * @param waiting how the caller waits for the answer
   * @throws EngineError if the engine refuses the call, or cannot be used in this browser
   */
  call(call: EngineCall, transfer: Transferable[] = [], waiting: Waiting = {}): Promise<unknown> {
    // A worker that runs gets the call at once, before the page is rendered.
    if (this.#worker) return this.#send(this.#worker, call, transfer, waiting)
    this.#started ??= this.#start()
    return this.#started.then((worker) => this.#send(worker, call, transfer, waiting))
  }

  /** Pair the neurons of two networks. Throws an EngineError if there are too many. */
  async match(request: MatchRequest): Promise<Matching> {
    return (await this.call({ call: 'match', request })) as Matching
  }

  /** Start the worker. Throws an EngineError if the kernels do not arrive, or the worker cannot be used. */
  async ready(): Promise<void> {
    await (this.#started ??= this.#start())
  }

  async #start(): Promise<WorkerPort> {
    let kernels: KernelBytes
    try {
      kernels = await this.loadKernels()
    } catch (error) {
      // The kernels may arrive at the next call.
      this.#started = null
      throw new EngineError('ENGINE_STOPPED', { error: String(error) })
    }
    try {
      const worker = this.startWorker()
      worker.addEventListener('message', (event) => this.#receive(event.data as Report))
      for (const type of ['error', 'messageerror'] as const)
        worker.addEventListener(type, (event) => {
          event.preventDefault()
          this.#fail(String((event as ErrorEvent).message ?? type))
        })
      if (this.mailbox) worker.postMessage({ mailbox: this.mailbox.memory }, [])
      await this.#send(worker, { call: 'kernels', ...kernels }, [kernels.plain, kernels.relaxed]).catch(() => {
        // Without WebAssembly, the worker computes with JavaScript.
        this.#native = false
      })
      this.#worker = worker
      return worker
    } catch (error) {
      throw this.#fail(String(error))
    }
  }

  #send(worker: WorkerPort, call: EngineCall, transfer: Transferable[], waiting: Waiting = {}): Promise<unknown> {
    if (this.#failure) return Promise.reject(this.#failure)
    const { signal, enough, onProgress } = waiting
    const id = ++this.#calls
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const giveUp = (): void => {
        if (!this.#pending.delete(id)) return
        worker.postMessage({ cancel: id }, [])
        reject(signal!.reason)
      }
      signal?.addEventListener('abort', giveUp, { once: true })
      const finish = (): void => worker.postMessage({ finish: id }, [])
      enough?.addEventListener('abort', finish)
      const ended =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          signal?.removeEventListener('abort', giveUp)
          enough?.removeEventListener('abort', finish)
          settle(value)
        }
      this.#pending.set(id, { resolve: ended(resolve), reject: ended(reject), onProgress })
      worker.postMessage({ ...call, id }, transfer)
      if (this.mailbox && call.call === 'trace') requestAnimationFrame(() => this.#readMailbox())
    })
  }

  /** Receive the answer in the mailbox, if there is one. */
  #readMailbox(): void {
    const mail = this.mailbox?.take()
    if (mail) this.#receive({ id: mail.call, ok: true, value: mail.answer })
  }

  #receive(answer: Report): void {
    const pending = this.#pending.get(answer.id)
    if ('progress' in answer) return pending?.onProgress?.(answer.progress)
    this.mailbox?.discard(answer.id)
    this.#pending.delete(answer.id)
    if (answer.ok) pending?.resolve(answer.value)
    else pending?.reject(new EngineError(answer.code, answer.values))
  }

  #fail(error: string): EngineError {
    this.#failure ??= new EngineError('ENGINE_STOPPED', { error })
    for (const { reject } of this.#pending.values()) reject(this.#failure)
    this.#pending.clear()
    return this.#failure
  }
}
