// The networks that the engine in the browser has open: each is opened once, and again when its weights have changed.
import { EngineError } from '../../engine/errors'
import type { TextTargets } from '../../engine/text-targets'
import type { EngineClient } from './engine-client'
import type { Check, TraceRequest, Waiting } from './source'
import { Trace } from './trace'

/** The weights of all open networks together, in bytes. The ones used least recently are closed. */
const MAX_OPEN_BYTES = 64 << 20

/** One network: a run, and the state of its weights. */
export interface NetworkId {
  run: string
  /** A text that changes with the weights. */
  stamp: string
  /** The training step of a checkpoint; null for the best weights. */
  checkpoint: number | null
}

/** What the engine opens. */
export interface NetworkFiles {
  /** network.json. */
  network: unknown
  /** weights.safetensors; the engine takes the buffer over. */
  weights: ArrayBuffer
  /** The targets of some texts, for networks that do not predict the next symbol. */
  targets?: TextTargets[]
}

interface OpenNetwork {
  opening: Promise<void>
  /** The text of the last trace; null if there is none. */
  text: string | null
  catchingUp: boolean
  bytes: number
  ready: boolean
}

export class EngineNetworks {
  /** In the order of their last use. */
  readonly #networks = new Map<string, OpenNetwork>()

  constructor(
    readonly engine: EngineClient,
    private readonly load: (id: NetworkId) => Promise<NetworkFiles>,
  ) {}

  /** Whether a network can compute at once. */
  isOpen(id: NetworkId): boolean {
    return this.#networks.get(keyOf(id))?.ready ?? false
  }

  /**
   * Open a network, unless it is open. A network that was refused is not loaded again.
   *
   * @throws EngineError if the engine refuses the network; SourceError if its files cannot be loaded
   */
  open(id: NetworkId): Promise<void> {
    const key = keyOf(id)
    let network = this.#networks.get(key)
    if (!network) {
      network = { opening: Promise.resolve(), text: null, catchingUp: false, bytes: 0, ready: false }
      network.opening = this.#open(key, id, network)
    }
    this.#networks.delete(key)
    this.#networks.set(key, network)
    return network.opening
  }

  /** Return a trace, computed by the engine. Throws as `open`, and if the engine refuses the request. */
  async trace(id: NetworkId, request: TraceRequest, waiting: Waiting = {}): Promise<Trace> {
    const bytes = await this.call('trace', id, request, waiting)
    const network = this.#networks.get(keyOf(id))
    if (network) network.text = request.text
    return Trace.read(bytes as ArrayBuffer)
  }

  /** Check every equation of a text. Throws as `trace`, and if an equation does not hold. */
  async check(id: NetworkId, request: TraceRequest, waiting: Waiting = {}): Promise<Check> {
    const check = (await this.call('check', id, request, waiting)) as Check
    const { residual, tolerance } = check
    if (!(residual <= tolerance))
      throw new EngineError('CHECK_FAILED', { residual: residual.toExponential(1), tolerance: String(tolerance) })
    return check
  }

  /** Let the engine record a text that something else answers, so that the next edit of it costs little. */
  async catchUp(id: NetworkId, text: string, layer: string): Promise<void> {
    const network = this.#networks.get(keyOf(id))
    if (!network || network.catchingUp) return
    network.catchingUp = true
    const request = { text, layer, signals: [], neurons: [], drives: false, top: 1, checkpoint: null }
    await this.trace(id, request).catch(() => undefined)
    network.catchingUp = false
  }

  /** Whether the engine is recording a text that something else has answered. */
  isCatchingUp(id: NetworkId): boolean {
    return this.#networks.get(keyOf(id))?.catchingUp ?? false
  }

  /** Return the text that the engine recorded last; null if there is none. */
  recorded(id: NetworkId): string | null {
    return this.#networks.get(keyOf(id))?.text ?? null
  }

  /** Return the answer of the engine to any call about a network. */
  call(call: string, id: NetworkId, request: object, waiting: Waiting = {}): Promise<unknown> {
    const send = (): Promise<unknown> => this.engine.call({ call, run: keyOf(id), request }, [], waiting)
    const opening = this.open(id)
    // No turn of the event loop lies between a letter and the call about it.
    return this.isOpen(id) ? send() : opening.then(send)
  }

  async #open(key: string, id: NetworkId, network: OpenNetwork): Promise<void> {
    let files: NetworkFiles
    try {
      // What does not arrive now, a later call may load; what the engine then refuses stays refused.
      ;[files] = await Promise.all([this.load(id), this.engine.ready()])
    } catch (error) {
      this.#networks.delete(key)
      throw error
    }
    network.bytes = files.weights.byteLength
    this.#closeOthers(key, id)
    await this.engine.call({ call: 'open', run: key, ...files }, [files.weights])
    network.ready = true
  }

  /** Close former weights of the run, and the networks used least recently if all together are too large. */
  #closeOthers(key: string, { run, checkpoint }: NetworkId): void {
    let total = 0
    for (const [other, { bytes }] of [...this.#networks].reverse()) {
      total += bytes
      const former = JSON.parse(other) as [string, number | null, string]
      const replaced = former[0] === run && former[1] === checkpoint
      if (other !== key && (replaced || total > MAX_OPEN_BYTES)) {
        this.#networks.delete(other)
        void this.engine.call({ call: 'close', run: other }).catch(() => undefined)
      }
    }
  }
}

const keyOf = ({ run, checkpoint, stamp }: NetworkId): string => JSON.stringify([run, checkpoint, stamp])
