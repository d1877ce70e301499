// The worker: answers calls of the page about the networks that it was given. One worker serves one page.
import { complete, type CompleteRequest } from './completion'
import { continuation, type WriteRequest } from './continuation'
import { EngineError, shown } from './errors'
import { chain, connections, gradientMap, weightPaths } from './gradient-calls'
import { changesOfText } from './holds'
import { type Kernels, loadKernels } from './kernels'
import type { EngineName } from './layer'
import { layerMatrices, type MatricesRequest } from './layer-matrices'
import { type MatchRequest, matchNeurons } from './matching'
import { Network } from './network'
import { finished, Recorder, type Progress, type Recording, type Work } from './recording'
import { sample, type SampleRequest } from './sampling'
import { type SwapRequest, swaps } from './swaps'
import { answersOf, type TextTargets } from './text-targets'
import { type Host, type TrainRequest, Trainings } from './training/calls'
import { type CheckedRequest, checkRequest, encode, type TraceRequest } from './wire'

export type Call =
  | { call: 'kernels'; plain: ArrayBuffer; relaxed: ArrayBuffer }
  | { call: 'open'; run: string; network: unknown; weights: ArrayBuffer; targets?: TextTargets[] }
  | { call: 'close'; run: string }
  | { call: 'targets'; run: string; request: { targets: TextTargets[] } }
  | { call: 'trace' | 'check'; run: string; request: TraceRequest }
  | { call: 'sample'; run: string; request: SampleRequest }
  | { call: 'write'; run: string; request: WriteRequest }
  | { call: 'complete'; run: string; request: CompleteRequest }
  | { call: 'swaps'; run: string; request: SwapRequest }
  | { call: 'gradients' | 'connections' | 'chain' | 'weightPaths'; run: string; request: object }
  | { call: 'matrices'; run: string; request: MatricesRequest }
  | { call: 'train'; run: string; request: TrainRequest }
  | { call: 'match'; request: MatchRequest }

/** A call, the number of one to give up or to end early, or the memory of a mailbox. */
export type Message = (Call & { id: number }) | Cancel | { finish: number } | { mailbox: SharedArrayBuffer }

export interface Cancel {
  cancel: number
}

export type Answer =
  | { id: number; ok: true; value: unknown }
  | { id: number; ok: false; code: string; values: Record<string, string | number> }

/** How far long work is; an answer follows. */
export interface ProgressReport {
  id: number
  progress: Progress
}

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

type TraceCall = Extract<Call, { call: 'trace' | 'check' }>
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

HANDLERS.set('targets', (engine, { run, request }: Extract<Call, { call: 'targets' }>) => {
  const { network } = engine.opened(run)
  engine.open(run, { network, recorder: new Recorder(network, answersOf(network, request.targets)) })
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

/** Record the text of a request. */
function* recorded(opened: OpenRun, request: CheckedRequest): Work<{ recorder: Recorder; recording: Recording }> {
  const interventions = [...request.interventions, ...changesOfText(opened.network, request.text, request.holds)]
  const recorder = recorderOf(opened, interventions.length > 0)
  return { recorder, recording: yield* recorder.recordInPieces(request.text, interventions) }
}

HANDLERS.set('trace', function* (engine, call: TraceCall) {
  const opened = engine.opened(call.run)
  const request = checkRequest(opened.network, call.request)
  const { recording } = yield* recorded(opened, request)
  return encode(opened.network, recording, request, engine.code(recording.engines))
})

HANDLERS.set('check', function* (engine, call: TraceCall) {
  const opened = engine.opened(call.run)
  const { recorder } = yield* recorded(opened, checkRequest(opened.network, call.request))
  return yield* recorder.check()
})

HANDLERS.set('sample', (engine, call: Extract<Call, { call: 'sample' }>) =>
  Array.from(sample(engine.opened(call.run).network, call.request)).join(''),
)

HANDLERS.set('write', function* (engine, call: Extract<Call, { call: 'write' }>) {
  const opened = engine.opened(call.run)
  const recorder = recorderOf(opened, call.request.holds.length > 0)
  return yield* continuation(opened.network, recorder, call.request, (engines) => engine.code(engines))
})

HANDLERS.set('complete', (engine, { run, request }: Extract<Call, { call: 'complete' }>) => {
  const opened = engine.opened(run)
  return complete(opened.network, recorderOf(opened, request.holds.length > 0), request)
})

HANDLERS.set('swaps', (engine, { run, request }: Extract<Call, { call: 'swaps' }>) => {
  const opened = engine.opened(run)
  return swaps(opened.network, recorderOf(opened, (request.holds ?? []).length > 0), request)
})

HANDLERS.set('gradients', (engine, { run, request }: GradientCall) => gradientMap(engine.opened(run).network, request))
HANDLERS.set('connections', (engine, { run, request }: GradientCall) =>
  connections(engine.opened(run).network, request),
)
HANDLERS.set('chain', (engine, { run, request }: GradientCall) => chain(engine.opened(run).network, request))
HANDLERS.set('weightPaths', (engine, { run, request }: GradientCall) =>
  weightPaths(engine.opened(run).network, request),
)

HANDLERS.set('matrices', (engine, { run, request }: Extract<Call, { call: 'matrices' }>) =>
  layerMatrices(engine.opened(run).network, request),
)

HANDLERS.set('train', (engine, { run, request }: Extract<Call, { call: 'train' }>) =>
  engine.trainings.answer(engine, run, request),
)

HANDLERS.set('match', (_, { request }: Extract<Call, { call: 'match' }>) => matchNeurons(request))

/** Begin the work of a call: return its answer, a promise of it, or work in pieces. */
export function begin(engine: Engine, message: Call & { id: number }): unknown {
  const handler = HANDLERS.get(message.call)
  if (!handler) throw new EngineError('CALL_UNKNOWN', { call: shown(message.call) })
  return handler(engine, message as never)
}

/** Return the answer that an error is: a code, never a stack. */
export function failure(id: number, error: unknown): Answer {
  if (error instanceof EngineError) return { id, ok: false, code: error.code, values: error.values }
  return { id, ok: false, code: 'ENGINE_FAILED', values: { error: shown(String(error)) } }
}

/** Whether a value is work in pieces. */
export const isWork = (value: unknown): value is Work<unknown> =>
  typeof value === 'object' && value !== null && 'next' in value && Symbol.iterator in value

/** Return the answer to one message, without a pause. */
export async function answer(engine: Engine, message: Call & { id: number }): Promise<Answer> {
  try {
    const value = begin(engine, message)
    return { id: message.id, ok: true, value: isWork(value) ? finished(value) : await value }
  } catch (error) {
    return failure(message.id, error)
  }
}
