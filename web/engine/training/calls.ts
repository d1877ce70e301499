// The calls of the worker that train a network. The page asks for one stretch of updates after the other, so that it can
// show each, pause between two, and go on typing meanwhile.
import { EngineError, shown } from '../errors'
import type { Kernels } from '../kernels'
import type { EngineName } from '../layer'
import { Network } from '../network'
import { readBundle } from './bundle'
import type { Recipe } from './recipe'
import type { Resumption } from './resumption'
import type { LevelShare } from './score'
import { type End, type Entry, Training } from './training'

export type TrainRequest =
  /** Begin with the initial weights of a seed, or with those of a file; the same seed gives the same training. */
  | {
      action: 'start'
      bundle: unknown
      network?: unknown
      recipe?: Partial<Recipe>
      seed?: number
      weights?: ArrayBuffer
    }
  /** Do updates: `updates` of them, or as many as fit into some milliseconds. One update is a single step. */
  | { action: 'advance'; updates?: number; milliseconds?: number }
  /** Show the weights of a checkpoint, the best or the present ones, in traces; the training itself does not change. */
  | { action: 'show'; step: number | 'best' | 'present' }
  /** Return the bytes of weights.safetensors that are shown. */
  | { action: 'weights'; step: number | 'best' | 'present' }
  /** Return what Python needs to go on from the present weights. */
  | { action: 'resumption' }
  /** Return how many strings of the first `most` levels are right with these weights. */
  | { action: 'levels'; step: number | 'best' | 'present'; most: number }

/** An entry of the history, and the time of all updates up to it. */
export type TimedEntry = Entry & { seconds: number }

export interface Progress {
  /** The number of updates, and the most there will be. */
  step: number
  steps: number
  ended: End | null
  /** The entries of the history since the answer before. */
  entries: TimedEntry[]
  /** The steps whose weights can be shown. */
  checkpoints: number[]
  /** The step of the best weights so far; null before the first validation. */
  best: number | null
  /** The code of the engines that train, as for traces. */
  engine: string
  /** The time of all updates so far. */
  seconds: number
}

/** What the worker gives to a training: its kernels, and a place to show a network. */
export interface Host {
  readonly kernels: Kernels | null
  /** Return the code of engines. */
  code(engines: readonly EngineName[]): string
  /** Make a network the one that traces of a run show. */
  show(run: string, network: Network): void
}

const MAX_MILLISECONDS = 10_000

/** The trainings of a worker, by run. */
export class Trainings {
  readonly #runs = new Map<string, { training: Training; seconds: number; reported: number }>()

  /** Answer a call: progress, or what “weights”, “resumption” and “levels” return. */
  answer(host: Host, run: string, request: TrainRequest): Progress | ArrayBuffer | Resumption | LevelShare[] {
    if (request.action === 'start') this.#start(host, run, request)
    const entry = this.#runs.get(run)
    if (!entry) throw new EngineError('TRAINING_NOT_STARTED', { run: shown(run) })
    const { training } = entry
    switch (request.action) {
      case 'start':
        show(host, run, training, training.bytes())
        break
      case 'advance':
        entry.seconds += advance(training, request)
        show(host, run, training, training.bytes())
        break
      case 'show':
        show(host, run, training, bytesOf(training, request.step))
        break
      case 'weights':
        return bytesOf(training, request.step)
      case 'resumption':
        return training.resumption()
      case 'levels':
        return training.levelShares(request.step, request.most)
      default:
        throw new EngineError('CALL_UNKNOWN', { call: shown(request) })
    }
    const { seconds } = entry
    const entries = training.history.slice(entry.reported).map((record) => ({ ...record, seconds }))
    entry.reported = training.history.length
    return {
      step: training.step,
      steps: training.recipe.steps,
      ended: training.ended,
      entries,
      checkpoints: training.checkpoints.steps,
      best: training.bestStep,
      engine: host.code(training.engines),
      seconds,
    }
  }

  /** Forget the training of a run. */
  close(run: string): void {
    this.#runs.delete(run)
  }

  #start(host: Host, run: string, request: Extract<TrainRequest, { action: 'start' }>): void {
    const { network, recipe, seed, weights } = request
    const options = {
      ...(network === undefined ? {} : { network }),
      ...(recipe === undefined ? {} : { recipe }),
      ...(seed === undefined ? {} : { seed }),
      ...(weights === undefined ? {} : { weights }),
    }
    const training = new Training(readBundle(request.bundle), host.kernels, options)
    this.#runs.set(run, { training, seconds: 0, reported: 0 })
  }
}

/** Do updates until enough are done, the time is over or training ends; return the seconds that it took. */
function advance(training: Training, { updates, milliseconds }: { updates?: number; milliseconds?: number }): number {
  const most = updates ?? (milliseconds === undefined ? 1 : Infinity)
  const limit = Math.min(milliseconds ?? MAX_MILLISECONDS, MAX_MILLISECONDS)
  if (!(most >= 1 && limit > 0))
    throw new EngineError('TRAINING_AMOUNT_INVALID', { updates: String(updates), milliseconds: String(milliseconds) })
  const began = performance.now()
  for (let done = 0; done < most && training.ended === null; done++) {
    training.advance()
    if (performance.now() - began >= limit) break
  }
  return (performance.now() - began) / 1000
}

function bytesOf(training: Training, step: number | 'best' | 'present'): ArrayBuffer {
  if (step === 'present') return training.bytes()
  if (step !== 'best') return training.bytes(step)
  if (training.bestStep === null) throw new EngineError('TRAINING_CHECKPOINT_MISSING', { step: 'best' })
  return training.bestBytes()
}

function show(host: Host, run: string, training: Training, bytes: ArrayBuffer): void {
  host.show(run, Network.open(training.network, bytes))
}
