// The engine in the browser as the page calls it: a worker that computes, and the kernels that it computes with.
import { EngineError } from '../../engine/errors'

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
  reject: (error: EngineError) => void
}

/** Calls the worker; every answer belongs to one call. The worker starts with the first call. */
export class EngineClient {
  readonly #pending = new Map<number, Pending>()
  #calls = 0
  #started: Promise<WorkerPort> | null = null
  /** The reason why the worker cannot be used; every later call fails for it. */
  #failure: EngineError | null = null
  #native = true

  constructor(
    private readonly startWorker: () => WorkerPort,
    private readonly loadKernels: () => Promise<KernelBytes>,
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
   * @throws EngineError if the engine refuses the call, or cannot be used in this browser
   */
  async call(call: EngineCall, transfer: Transferable[] = []): Promise<unknown> {
    this.#started ??= this.#start()
    return this.#send(await this.#started, call, transfer)
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
      worker.addEventListener('message', (event) => this.#receive(event.data as Answer))
      for (const type of ['error', 'messageerror'] as const)
        worker.addEventListener(type, (event) => {
          event.preventDefault()
          this.#fail(String((event as ErrorEvent).message ?? type))
        })
      await this.#send(worker, { call: 'kernels', ...kernels }, [kernels.plain, kernels.relaxed]).catch(() => {
        // Without WebAssembly, the worker computes with JavaScript.
        this.#native = false
      })
      return worker
    } catch (error) {
      throw this.#fail(String(error))
    }
  }

  #send(worker: WorkerPort, call: EngineCall, transfer: Transferable[]): Promise<unknown> {
    if (this.#failure) return Promise.reject(this.#failure)
    const id = ++this.#calls
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      worker.postMessage({ ...call, id }, transfer)
    })
  }

  #receive(answer: Answer): void {
    const pending = this.#pending.get(answer.id)
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
