// A network goes on with a text: the symbols that it writes, and what its neurons do while it reads them.
//
// The symbols are those of sampling.ts, and so of `gatescope.sample(network, sequence, stop=end)` in Python. The states
// after the text are those of its recording, so a long text is not read again.
import type { Values } from './arrays'
import { checkChoice, draw } from './choice'
import { EngineError, shown } from './errors'
import { toLogProbabilities } from './head'
import { changesOfText, type Hold, holdsAfter, interventionsOf } from './holds'
import type { Intervention } from './interventions'
import type { EngineName } from './layer'
import type { Network, Output, State } from './network'
import { Generator } from './random'
import { largest, ranked } from './ranking'
import { stateAfter } from './recorded'
import { MAX_PREDICTIONS, type Recorder, type Recording, type Sequence, type Work } from './recording'
import { beginningOf, checkWriter, STREAM } from './sampling'
import { checkRequest, encode } from './wire'
import { Writer } from './writer'

/** A request for the text with which a network continues another one. */
export interface WriteRequest {
  text: string
  /** The largest number of symbols to write. */
  length: number
  /** 0 always takes the most probable symbol. */
  temperature: number
  seed: number
  holds: readonly Hold[]
  /** The number of steps of the text that are read; all of them if missing. */
  steps?: number | null
  /** The ids of symbols that are read behind these steps before the network writes: those of a branch. */
  then?: readonly number[]
  /** The layer and the signals that are returned; none if missing. */
  layer?: string
  signals?: string[]
}

/** The symbols that were read behind the text: those of a branch, and those that the network wrote. S symbols. */
export interface Written {
  text: string
  /** The trace of these symbols, as wire.ts writes it. */
  trace: ArrayBuffer
  /** (S,): the log-probability of each symbol after everything before it. */
  logProbabilities: Float32Array
  /** The id of the most probable symbol after the text. */
  next: number
}

/** Where a network stands in a text: the symbol that it reads next, and its states before. */
export interface Place {
  reads: number
  state: State | null
  /** The number of that step in its sequence, and of the steps of the text before the sequence. */
  first: number
  before: number
}

/**
 * Return the place of the last of some steps. After an end mark, and without any step, the network starts a new sequence,
 * for which it reads the end mark (once more).
 */
export function placeAfter(network: Network, { sequences }: Recording, steps: number): Place {
  const { vocabulary } = network.configuration
  let before = 0
  for (const sequence of sequences) {
    const within = steps - before
    if (within > 0 && within <= sequence.steps) {
      const reads = (sequence.inputs as Int32Array)[within - 1]!
      if (vocabulary.end !== null && vocabulary.symbols[reads] === vocabulary.end) break
      return { reads, state: stateAfter(network, sequence, within - 1), first: within - 1, before }
    }
    before += sequence.steps
  }
  const reads = (vocabulary.encode(beginningOf(vocabulary)) as Int32Array)[0]!
  return { reads, state: null, first: 0, before: Math.max(0, steps - 1) }
}

/** Return the changes of some holds after a place. */
export const changesAfter = ({ before }: Place, holds: readonly Hold[]): Intervention[] =>
  interventionsOf(holdsAfter(holds, before), [])

function checkIds({ configuration: { vocabulary } }: Network, ids: unknown): readonly number[] {
  const isId = (id: unknown): boolean => Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabulary.size
  if (!Array.isArray(ids) || !ids.every(isId)) throw new EngineError('REQUEST_INVALID', { request: shown(ids) })
  return ids as number[]
}

/** Return the recording of a text, and how many of its steps a request is about. */
export function* recordedSteps(
  network: Network,
  recorder: Recorder,
  { text, steps = null, holds }: Pick<WriteRequest, 'text' | 'steps' | 'holds'>,
): Work<{ recording: Recording; steps: number }> {
  if (typeof text !== 'string') throw new EngineError('SAMPLING_PRIME_TYPE', { prime: shown(text) })
  const recording = yield* recorder.recordInPieces(text, changesOfText(network, text, holds))
  const total = recording.sequences.reduce((sum, sequence) => sum + sequence.steps, 0)
  if (steps !== null && !(Number.isInteger(steps) && steps >= 0 && steps <= total))
    throw new EngineError('REQUEST_INVALID', { request: shown({ steps }) })
  return { recording, steps: steps ?? total }
}

/**
 * Let a network write in pieces. `engine` names the engines that computed the answer. Work that ends early returns the
 * symbols that are written, as a request for so many symbols does.
 */
export function* continuation(
  network: Network,
  recorder: Recorder,
  request: WriteRequest,
  engine: (engines: readonly EngineName[]) => string,
): Work<Written> {
  const { text, length, temperature, seed, holds, layer, signals = [] } = request
  const { vocabulary } = network.configuration
  checkWriter(network, length)
  const choice = { temperature: temperature || 1, topK: null, topP: null, greedy: temperature === 0 }
  checkChoice(choice)
  const checked = checkRequest(network, { text, signals, ...(layer === undefined ? {} : { layer }) })
  const then = checkIds(network, request.then ?? [])
  const generator = new Generator(seed, STREAM)
  const { recording, steps } = yield* recordedSteps(network, recorder, request)
  const place = placeAfter(network, recording, steps)
  // A part of a text ends with a whole word.
  const writer = new Writer(vocabulary, vocabulary.end, request.steps == null ? text : steps ? 'x' : '')
  const log = new WrittenSteps(network, checked.layer, checked.names)
  const interventions = changesAfter(place, holds)
  let most = then.length + length
  let { reads, state, first } = place
  let [written, next] = ['', -1]
  for (let count = 0; ; count++) {
    const options = { state, first, total: place.first + most + 1, interventions, keep: log.keep }
    const output = network.run(network.inputs(Int32Array.of(reads)), options)
    const logits = network.readOut(output.top, 1)
    if (count) log.read(reads, output, logits)
    else next = largest(logits)
    if (writer.ended || count === most) break
    reads = then[count] ?? draw(logits, choice, generator)
    log.write(reads, logits)
    written += writer.write(reads)
    state = output.state
    first++
    if (yield { done: count + 1, total: most }) most = Math.max(count + 1, then.length)
  }
  const sequence = log.sequence()
  const trace = encode(
    network,
    { sequences: [sequence], unknown: [], engines: log.engines },
    checked,
    engine(log.engines),
  )
  return { text: written + writer.rest(), trace, logProbabilities: Float32Array.from(log.logProbabilities), next }
}

/** What a network did while it read the symbols behind a text. */
class WrittenSteps {
  /** For each layer, the signals that are recorded. */
  readonly keep: string[][]
  readonly logProbabilities: number[] = []
  engines: EngineName[] = []
  readonly #ids: number[] = []
  readonly #signals: ReadonlyMap<string, Values>[] = []
  readonly #ranks: number
  readonly #tops: { id: number; probability: number }[] = []

  constructor(
    readonly network: Network,
    readonly layer: number,
    readonly names: readonly string[],
  ) {
    this.keep = network.configuration.layers.map((_, k) => (k === layer ? [...names] : []))
    this.#ranks = Math.min(MAX_PREDICTIONS, network.configuration.predicted)
  }

  /** Add a symbol, with the probability that it had. */
  write(id: number, logits: Values): void {
    this.logProbabilities.push(logProbabilitiesOf(logits)[id]!)
  }

  /** Add what the network did when it read a symbol. */
  read(id: number, output: Output, logits: Values): void {
    this.#ids.push(id)
    this.#signals.push(output.signals[this.layer]!)
    this.engines = output.engines
    const logProbabilities = logProbabilitiesOf(logits)
    for (const id of ranked(logits, this.#ranks)) this.#tops.push({ id, probability: Math.exp(logProbabilities[id]!) })
  }

  /** Return these steps as one recorded sequence. */
  sequence(): Sequence {
    const { layers, vocabulary } = this.network.configuration
    const steps = this.#ids.length
    const signals = (name: string): Values => {
      const { neurons } = layers[this.layer]!
      const values = new Float32Array(steps * neurons)
      this.#signals.forEach((read, step) => values.set(read.get(name)!, step * neurons))
      return values
    }
    return {
      steps,
      inputs: Int32Array.from(this.#ids),
      labels: this.#ids.map((id) => vocabulary.labelOf(id)),
      layers: layers.map((_, k) => new Map(k === this.layer ? this.names.map((name) => [name, signals(name)]) : [])),
      topTokens: Int32Array.from(this.#tops, ({ id }) => id),
      topProbabilities: Float32Array.from(this.#tops, ({ probability }) => probability),
      targets: Int32Array.from({ length: steps }, (_, step) => this.#ids[step + 1] ?? -1),
      logProbabilities: Float32Array.from({ length: steps }, (_, step) => this.logProbabilities[step + 1] ?? NaN),
      estimates: new Float32Array(),
      values: new Float32Array(),
      recorded: steps,
      predicted: steps,
      residuals: new Float64Array(steps).fill(NaN),
      checked: 0,
      reduced: new Set(),
    }
  }
}

function logProbabilitiesOf(logits: Values): Values {
  const values = logits.slice()
  toLogProbabilities(values, 1)
  return values
}
