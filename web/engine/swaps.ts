// What a network would predict if one symbol of a text were another: every symbol of the vocabulary is tried.
//
// T step, B symbols that are tried together.
import { type Values } from './arrays'
import { EngineError, shown } from './errors'
import { toLogProbabilities } from './head'
import { changesOfText, type Hold, holdsAfter, interventionsOf } from './holds'
import type { Intervention } from './interventions'
import { PIECE_PRODUCTS } from './limits'
import type { Network, State } from './network'
import { ranked } from './ranking'
import { stateAfter } from './recorded'
import type { Recorder, Sequence, Work } from './recording'

export interface SwapRequest {
  text: string
  /** The step of the text whose symbol is exchanged. */
  step: number
  holds?: readonly Hold[]
}

export interface Swap {
  symbol: string
  /** The probability of each class with it. */
  probabilities: number[]
}

export interface Swaps {
  /** The class that is predicted now, and the probability of each class. */
  predicted: number
  probabilities: number[]
  /** The symbols that lower the probability of that class most, and those that raise it most. */
  against: Swap[]
  towards: Swap[]
  /** The number of symbols that were tried, and of those that change the predicted class. */
  tried: number
  changing: number
}

const MAX_ROWS = 128
const LISTED = 8
/** More products of weights would take longer than a reader waits. */
const MAX_PRODUCTS = 2 ** 34

/** Try symbols in place of one of a text, in pieces. */
export function* swaps(network: Network, recorder: Recorder, request: SwapRequest): Work<Swaps> {
  const { text, step, holds = [] } = request
  const { vocabulary, readout, bothWays } = network.configuration
  if (readout.kind !== 'classes' || vocabulary.unit === 'number' || !Number.isInteger(step))
    throw new EngineError('REQUEST_INVALID', { request: shown({ step }) })
  const recording = yield* recorder.recordInPieces(text, changesOfText(network, text, holds))
  let [before, sequence] = [0, recording.sequences[0]]
  for (const next of recording.sequences) {
    sequence = next
    if (step < before + next.steps) break
    before += next.steps
  }
  const place = step - before
  if (!sequence || place < 0 || place >= sequence.steps)
    throw new EngineError('REQUEST_INVALID', { request: shown({ step }) })
  const own = (sequence.inputs as Int32Array)[place]!
  const isMark = (symbol: string): boolean => symbol === vocabulary.end || symbol === vocabulary.other
  const ids = vocabulary.symbols.flatMap((symbol, id) => (isMark(symbol) || id === own ? [] : [id]))
  const once = readout.reads === 'last step'
  const range = { first: bothWays ? 0 : place, end: once || bothWays ? sequence.steps : place + 1 }
  const steps = range.end - range.first
  const affordable = Math.floor(MAX_PRODUCTS / (steps * network.productsOfStep))
  const tried = ids.slice(0, Math.max(1, affordable))
  const rows = Math.max(1, Math.min(MAX_ROWS, Math.floor(PIECE_PRODUCTS / (steps * network.productsOfStep))))
  const changes = interventionsOf(holdsAfter(holds, before), [])
  const run = new SwapRun(network, sequence, place, range, changes)
  const present = run.probabilities([own])[0]!
  const predicted = ranked(present, 1)[0]!
  const all: Swap[] = []
  for (let first = 0; first < tried.length; first += rows) {
    const part = tried.slice(first, first + rows)
    run
      .probabilities(part)
      .forEach((probabilities, k) => all.push({ symbol: vocabulary.symbols[part[k]!]!, probabilities }))
    yield { done: Math.min(first + rows, tried.length), total: tried.length }
  }
  all.sort((a, b) => a.probabilities[predicted]! - b.probabilities[predicted]!)
  return {
    predicted,
    probabilities: present,
    against: all.slice(0, LISTED),
    towards: all.slice(-Math.min(LISTED, Math.max(0, all.length - LISTED))).reverse(),
    tried: tried.length,
    changing: all.filter(({ probabilities }) => ranked(probabilities, 1)[0] !== predicted).length,
  }
}

/** Runs one sequence with other symbols at one place, several at a time. */
class SwapRun {
  readonly #state: State | null

  constructor(
    readonly network: Network,
    readonly sequence: Sequence,
    readonly place: number,
    /** The steps that are run: what lies before them is as it was recorded. */
    readonly range: { first: number; end: number },
    readonly interventions: readonly Intervention[],
  ) {
    this.#state = stateAfter(network, sequence, range.first)
  }

  /** Return the probability of each class with each of some symbols. */
  probabilities(ids: readonly number[]): number[][] {
    const { network, sequence, place, range } = this
    const { readout, predicted } = network.configuration
    const rows = ids.length
    const inputs = sequence.inputs as Int32Array
    const steps = range.end - range.first
    const batch = Int32Array.from({ length: steps * rows }, (_, k) => {
      const step = range.first + Math.floor(k / rows)
      return step === place ? ids[k % rows]! : inputs[step]!
    })
    const read = network.inputs(batch, rows)
    const { top } = network.run(read, {
      state: this.#state && repeated(this.#state, rows),
      first: range.first,
      total: sequence.steps,
      interventions: this.interventions,
    })
    const width = top.length / (steps * rows)
    const at = (place - range.first) * rows * width
    const last = readout.reads === 'last step' ? network.atLastStep(top, read) : top.subarray(at, at + rows * width)
    const logits = network.readOut(last, rows)
    toLogProbabilities(logits, rows)
    return ids.map((_, row) => Array.from(logits.subarray(row * predicted, (row + 1) * predicted), Math.exp))
  }
}

/** Return a state of one row as that of several. */
const repeated = (state: State, rows: number): State =>
  state.map(
    (states) =>
      new Map(
        [...states].map(([name, values]): [string, Values] => {
          const all =
            values instanceof Float32Array
              ? new Float32Array(values.length * rows)
              : new Float64Array(values.length * rows)
          for (let row = 0; row < rows; row++) all.set(values, row * values.length)
          return [name, all]
        }),
      ),
  )
