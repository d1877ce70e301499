// The worker: answers calls of the page about the networks that it was given. One worker serves one page.
import { EngineError, shown } from './errors'
import { chain, connections, gradientMap, weightPaths } from './gradient-calls'
import { changesOfText, continuation, type WriteRequest } from './holds'
import { type Kernels, loadKernels } from './kernels'
import type { EngineName } from './layer'
import { Network } from './network'
import { Recorder } from './recording'
import { sample, type SampleRequest } from './sampling'
import { answersOf, type TextTargets } from './text-targets'
import { type Host, type TrainRequest, Trainings } from './training/calls'
import { checkRequest, encode, type TraceRequest } from './wire'

export type Call =
  | { call: 'kernels'; plain: ArrayBuffer; relaxed: ArrayBuffer }
  | { call: 'open'; run: string; network: unknown; weights: ArrayBuffer; targets?: TextTargets[] }
  | { call: 'close'; run: string }
  | { call: 'trace'; run: string; request: TraceRequest }
  | { call: 'sample'; run: string; request: SampleRequest }
  | { call: 'write'; run: string; request: WriteRequest }
  | { call: 'gradients' | 'connections' | 'chain' | 'weightPaths'; run: string; request: object }
  | { call: 'train'; run: string; request: TrainRequest }

export type Message = Call & { id: number }

export type Answer =
  | { id: number; ok: true; value: unknown }
  | { id: number; ok: false; code: string; values: Record<string, string | number> }

/** An opened network, and the recordings of its last text: as it is, and with the changes of the last request. */
export interface OpenRun {
  network: Network
  recorder: Recorder
  changed?: Recorder
}

/** The part of a worker's global object that is used here. */
export interface Port {
  postMessage(message: unknown, transfer: Transferable[]): void
}

type GradientCall = Extract<Call, { call: 'gradients' | 'connections' | 'chain' | 'weightPaths' }>

type Handler = (engine: Engine, call: never) => unknown

/** What answers each call; other modules add theirs. */
export const HANDLERS = new Map<string, Handler>()

/** The networks of a worker, by run. */
export class Engine implements Host {
  readonly #runs = new Map<string, OpenRun>()
  readonly trainings = new Trainings()
  #kernels: Kernels | null = null

  open(run: string, opened: OpenRun): void {
    this.#runs.get(run)?.network.use(null)
    opened.network.use(this.#kernels)
    this.#runs.set(run, opened)
  }

  /** Forget a network, and free its memory. */
  close(run: string): void {
    this.#runs.get(run)?.network.use(null)
    this.#runs.delete(run)
    this.trainings.close(run)
  }

  /** The kernels; null before they are loaded. */
  get kernels(): Kernels | null {
    return this.#kernels
  }

  /** Show a network that is trained here in the traces of a run. */
  show(run: string, network: Network): void {
    this.open(run, { network, recorder: new Recorder(network, answersOf(network, [])) })
  }

  /** Compute with the kernels from now on, also in the networks that are open. */
  use(kernels: Kernels): void {
    this.#kernels = kernels
    for (const { network } of this.#runs.values()) network.use(kernels)
  }

  /** Return the code of the engines that computed a recording, such as "browser-native-relaxed". */
  code(engines: readonly EngineName[]): string {
    const native = this.#kernels?.relaxed ? 'browser-native-relaxed' : 'browser-native'
    return [...new Set(engines)].map((engine) => (engine === 'native' ? native : 'browser-plain')).join(', ')
  }

  /** Return an opened network. Throws an EngineError if the run was not opened. */
  opened(run: string): OpenRun {
    const opened = this.#runs.get(run)
    if (!opened) throw new EngineError('RUN_NOT_OPEN', { run: shown(run) })
    return opened
  }
}

HANDLERS.set('open', (engine, call: Extract<Call, { call: 'open' }>) => {
  const network = Network.open(call.network, call.weights)
  engine.open(call.run, { network, recorder: new Recorder(network, answersOf(network, call.targets ?? [])) })
  return null
})

HANDLERS.set('close', (engine, call: Extract<Call, { call: 'close' }>) => {
  engine.close(call.run)
  return null
})

HANDLERS.set('kernels', async (engine, call: Extract<Call, { call: 'kernels' }>) => {
  engine.use(await loadKernels(call.plain, call.relaxed))
  return null
})

/** Return the recorder of a request. Changed texts have one of their own, so that both grow letter by letter. */
function recorderOf(opened: OpenRun, changed: boolean): Recorder {
  if (!changed) return opened.recorder
  return (opened.changed ??= new Recorder(opened.network, opened.recorder.answers))
}

HANDLERS.set('trace', (engine, call: Extract<Call, { call: 'trace' }>) => {
  const opened = engine.opened(call.run)
  const { network } = opened
  const request = checkRequest(network, call.request)
  const interventions = [...request.interventions, ...changesOfText(network, request.text, request.holds)]
  const recording = recorderOf(opened, interventions.length > 0).record(request.text, interventions)
  return encode(network, recording, request, engine.code(recording.engines))
})

HANDLERS.set('sample', (engine, call: Extract<Call, { call: 'sample' }>) =>
  Array.from(sample(engine.opened(call.run).network, call.request)).join(''),
)

HANDLERS.set('write', (engine, call: Extract<Call, { call: 'write' }>) =>
  continuation(engine.opened(call.run).network, call.request),
)

HANDLERS.set('gradients', (engine, { run, request }: GradientCall) => gradientMap(engine.opened(run).network, request))
HANDLERS.set('connections', (engine, { run, request }: GradientCall) =>
  connections(engine.opened(run).network, request),
)
HANDLERS.set('chain', (engine, { run, request }: GradientCall) => chain(engine.opened(run).network, request))
HANDLERS.set('weightPaths', (engine, { run, request }: GradientCall) =>
  weightPaths(engine.opened(run).network, request),
)

HANDLERS.set('train', (engine, { run, request }: Extract<Call, { call: 'train' }>) =>
  engine.trainings.answer(engine, run, request),
)

/** Return the answer to one message: an error has a code, never a stack. */
export async function answer(engine: Engine, message: Message): Promise<Answer> {
  const { id, call } = message
  try {
    const handler = HANDLERS.get(call)
    if (!handler) throw new EngineError('CALL_UNKNOWN', { call: shown(call) })
    return { id, ok: true, value: await handler(engine, message as never) }
  } catch (error) {
    if (error instanceof EngineError) return { id, ok: false, code: error.code, values: error.values }
    return { id, ok: false, code: 'ENGINE_FAILED', values: { error: shown(String(error)) } }
  }
}

/** Return the text that a request is about, if any. */
function textOf(message: Message): unknown {
  const request = ('request' in message ? message.request : {}) as { text?: unknown; prime?: unknown }
  return request.text ?? request.prime
}

/** Whether a newer message makes an older one useless: the same question about another text of the same run. */
function supersedes(newer: Message, older: Message): boolean {
  return (
    'request' in newer &&
    older.call === newer.call &&
    'run' in older &&
    older.run === newer.run &&
    textOf(older) !== textOf(newer)
  )
}

/** Answer the messages of a port, one after the other; the newest text wins. */
export function serve(port: Port): (message: Message) => void {
  const engine = new Engine()
  const channel = new MessageChannel()
  let waiting: Message[] = []
  let working = false
  const send = (reply: Answer): void => {
    port.postMessage(reply, reply.ok && reply.value instanceof ArrayBuffer ? [reply.value] : [])
  }
  // A turn of the event loop lies between two answers, in which newer messages arrive.
  channel.port1.onmessage = async () => {
    const message = waiting.shift()
    if (message) send(await answer(engine, message))
    working = waiting.length > 0
    if (working) channel.port2.postMessage(null)
  }
  return (message) => {
    for (const older of waiting.filter((other) => supersedes(message, other)))
      send({ id: older.id, ok: false, code: 'SUPERSEDED', values: {} })
    waiting = [...waiting.filter((other) => !supersedes(message, other)), message]
    if (!working) channel.port2.postMessage(null)
    working = true
  }
}
