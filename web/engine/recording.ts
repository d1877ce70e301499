// Recording: network and text in, arrays of signals out; what a text shares with the text before is computed once.
//
// T step, N neuron, V predicted value, K rank.
import { type Values, zeros } from './arrays'
import { type Check, type Checked, Checker, TOLERANCES } from './checking'
import type { Cell } from './cell'
import { EngineError } from './errors'
import { toLogProbabilities } from './head'
import { type Intervention, keyOf, unchangedSteps } from './interventions'
import type { EngineName } from './layer'
import { MAX_RECORDED_BYTES, MAX_TEXT_CHARACTERS, MAX_TEXT_STEPS, PIECE_PRODUCTS } from './limits'
import type { Network } from './network'
import { ranked } from './ranking'
import { stateAfter } from './recorded'
import { SPACE } from './splitting'

/** The most probable symbols or classes that are recorded. */
export const MAX_PREDICTIONS = 5
const PREDICTED_VALUES = 1 << 20
const HAS_TEXT = new RegExp(`[^${SPACE}]`, 'u')

/** The targets after each step of a sequence: ids (T,), or numbers (T, O); null if unknown. */
export type Answers = (sequence: string) => ArrayLike<number> | null

/** One recorded sequence. Arrays may be longer than T, so that a text can grow in place. */
export interface Sequence extends Checked {
  labels: string[]
  /** (T, K) ids and probabilities of the most probable symbols or classes; -1 and NaN without a prediction. */
  topTokens: Int32Array
  topProbabilities: Float32Array
  /** (T,): the target (-1 if unknown) and its log-probability (NaN if unknown), for symbols and classes. */
  targets: Int32Array
  logProbabilities: Float32Array
  /** (T, V) and (T, O), for numbers. */
  estimates: Float32Array
  values: Float32Array
  /** The number of steps that are recorded: all of them, unless the recording was given up. */
  recorded: number
  /** The number of steps whose predictions are those of the present targets. */
  predicted: number
}

/** The state of work that is done in pieces. */
export interface Progress {
  /** Steps. */
  done: number
  total: number
}

/** Work in pieces: it may be given up between two of them. `next(true)` asks it to end early. */
export type Work<R> = Generator<Progress, R, boolean | void>

/** Finish work without a pause. */
export function finished<R>(work: Work<R>): R {
  for (;;) {
    const piece = work.next()
    if (piece.done) return piece.value
  }
}

export interface Recording {
  sequences: Sequence[]
  unknown: string[]
  engines: EngineName[]
}

/** Cut a text into its sequences; a network that predicts once gets an end mark at the end of a text that has none. */
export function partsOf({ configuration: { vocabulary, readout } }: Network, text: string): string[] {
  const { end } = vocabulary
  const closed = end === null || readout.reads !== 'last step' || !HAS_TEXT.test(text) || text.endsWith(end)
  return vocabulary.split(closed ? text : text + end)
}

/** Records the texts of one network, one after the other. */
export class Recorder {
  readonly #checker: Checker
  #text: string | null = null
  #changes = ''
  #interventions: readonly Intervention[] = []
  #recording: Recording = { sequences: [], unknown: [], engines: [] }

  constructor(
    readonly network: Network,
    readonly answers: Answers = () => null,
    /** Whether the drives of all steps are held besides the signals. */
    readonly holdsDrives = false,
  ) {
    this.#checker = new Checker(network)
  }

  /** Return the recording of a text, which is not checked. The next call changes its arrays. */
  record(text: string, interventions: readonly Intervention[] = []): Recording {
    return finished(this.recordInPieces(text, interventions))
  }

  /** Record a text in pieces. What was recorded before the work is given up is not recorded again. */
  *recordInPieces(text: string, interventions: readonly Intervention[] = []): Work<Recording> {
    const changes = keyOf(interventions)
    if (text === this.#text && changes === this.#changes) return this.#recording
    const { vocabulary } = this.network.configuration
    if (text.length > MAX_TEXT_CHARACTERS)
      throw new EngineError('TEXT_TOO_LARGE', { characters: text.length, most: MAX_TEXT_CHARACTERS })
    const parts = partsOf(this.network, text)
    const labels = parts.map((part) => vocabulary.labels(part))
    const total = labels.reduce((sum, part) => sum + part.length, 0)
    this.#checkSize(total)
    const unchanged = unchangedSteps(interventions, this.#interventions)
    const reusable = unchanged > 0 ? this.#recording.sequences : []
    const inputs = parts.map((part) => vocabulary.encode(part))
    const targets = parts.map((part) => this.answers(part))
    const longest = Math.max(0, ...labels.map((part) => part.length))
    const before = matched(inputs, reusable)
    // The arrays of the recording before are changed from here on.
    this.#text = null
    const sequences = inputs.map((input, row) =>
      this.#begin(input, labels[row]!, targets[row]!, before[row] ?? null, unchanged),
    )
    const recording = { sequences, unknown: vocabulary.unknownIn(text), engines: this.#recording.engines }
    this.#recording = recording
    this.#changes = changes
    this.#interventions = interventions
    const engines = new Set<EngineName>()
    let done = sequences.reduce((sum, sequence) => sum + sequence.recorded, 0)
    for (const [row, sequence] of sequences.entries()) {
      this.#predict(sequence, sequence.recorded)
      while (sequence.recorded < sequence.steps) {
        const from = sequence.recorded
        const to = Math.min(sequence.steps, from + this.#pieceSteps(sequence.steps))
        this.#run(sequence, from, to, { interventions, total: longest, row, ofRows: inputs.length }, engines)
        sequence.recorded = to
        this.#predict(sequence, to)
        done += to - from
        if (done < total) yield { done, total }
        if (this.#recording !== recording) throw new EngineError('SUPERSEDED')
      }
    }
    if (engines.size) recording.engines = [...engines]
    this.#text = text
    return recording
  }

  /** Check the recording of the last text in pieces. Throws an EngineError if another text is recorded meanwhile. */
  *check(): Work<Check> {
    const recording = this.#recording
    if (this.#text === null) throw new EngineError('SUPERSEDED')
    const total = recording.sequences.reduce((sum, sequence) => sum + sequence.steps, 0)
    let before = 0
    for (const sequence of recording.sequences) {
      for (const checked of this.#checker.inPieces(sequence)) {
        yield { done: before + checked, total }
        if (this.#recording !== recording) throw new EngineError('SUPERSEDED')
      }
      before += sequence.steps
    }
    const residual = largestResidual(recording.sequences)
    return { residual, tolerance: TOLERANCES[total ? this.network.precision : 'float32'], steps: total }
  }

  /** Return how many steps are recorded in one piece. */
  #pieceSteps(steps: number): number {
    // What reads from the end needs all steps.
    if (this.network.configuration.bothWays) return steps
    return Math.max(1, Math.floor(PIECE_PRODUCTS / this.network.productsOfStep))
  }

  #checkSize(steps: number): void {
    const { layers } = this.network.configuration
    const numbers = layers.reduce((sum, { cell, neurons }) => sum + this.#held(cell).length * neurons, 0)
    const bytes = numbers * (this.network.precision === 'float32' ? 4 : 8)
    const most = Math.min(MAX_TEXT_STEPS, Math.floor(MAX_RECORDED_BYTES / bytes))
    if (steps > most) throw new EngineError('TEXT_TOO_LONG', { steps, most })
  }

  /** Return the signals, and the drives if they are held. */
  #held(cell: Cell): string[] {
    return [...cell.signals.keys(), ...(this.holdsDrives ? cell.drives : [])]
  }

  /** Return a sequence with room for its steps, which begins with the arrays of the sequence before. */
  #begin(
    inputs: Sequence['inputs'],
    labels: string[],
    answers: ArrayLike<number> | null,
    old: Sequence | null,
    /** The number of first steps at which the changes are those of the sequence before. */
    unchanged: number,
  ): Sequence {
    const { network } = this
    const { layers, readout, predicted } = network.configuration
    const steps = labels.length
    const grown = <A extends Values | Int32Array>(
      array: A | undefined,
      empty: (size: number) => A,
      width: number,
    ): A => {
      if (array && array.length >= steps * width) return array
      // Half as many steps again: a text that grows letter by letter is rarely copied.
      const larger = empty(width * Math.ceil(1.5 * steps))
      if (array) larger.set(array)
      return larger
    }
    const floats = (size: number): Float32Array => new Float32Array(size)
    const integers = (size: number): Int32Array => new Int32Array(size)
    const ranks = readout.kind === 'numbers' ? 0 : Math.min(MAX_PREDICTIONS, predicted)
    const estimated = readout.kind === 'numbers' ? predicted : 0
    const sequence: Sequence = {
      steps,
      inputs,
      labels,
      layers: layers.map(
        ({ cell, neurons }, k) =>
          new Map(
            this.#held(cell).map((name) => [
              name,
              grown<Values>(old?.layers[k]!.get(name), (size) => zeros(network.precision, size), neurons),
            ]),
          ),
      ),
      topTokens: grown(old?.topTokens, integers, ranks),
      topProbabilities: grown(old?.topProbabilities, floats, ranks),
      targets: this.#targets(inputs, steps, answers),
      logProbabilities: grown(old?.logProbabilities, floats, 1),
      estimates: grown(old?.estimates, floats, estimated),
      values: this.#values(steps, answers),
      recorded: 0,
      predicted: 0,
      residuals: new Float64Array(steps).fill(NaN),
      checked: 0,
      reduced: new Set(),
    }
    sequence.recorded = Math.min(shared(network, sequence, old, unchanged), old?.recorded ?? 0)
    const sameTargets = firstDifference(sequence.targets, old?.targets ?? [])
    sequence.predicted = Math.min(sequence.recorded, old?.predicted ?? 0, sameTargets)
    // Whether rounding errors are subtracted depends on all steps.
    if (old && !old.reduced.size) sequence.checked = Math.min(sequence.recorded, old.checked)
    if (old) sequence.residuals.set(old.residuals.subarray(0, sequence.checked))
    return sequence
  }

  /** Return the target of each step: the next symbol, or the answers of classes; -1 if unknown. */
  #targets(inputs: Sequence['inputs'], steps: number, answers: ArrayLike<number> | null): Int32Array {
    const targets = new Int32Array(steps).fill(-1)
    const { kind } = this.network.configuration.readout
    if (kind === 'symbols') targets.set((inputs as Int32Array).subarray(1))
    else if (kind === 'classes' && answers !== null) targets.set(checkCount(answers, steps, 1))
    return targets
  }

  /** Return the target numbers, (T, O); NaN if unknown. */
  #values(steps: number, answers: ArrayLike<number> | null): Float32Array {
    const { kind, names } = this.network.configuration.readout
    if (kind !== 'numbers') return new Float32Array()
    const values = new Float32Array(steps * names.length).fill(NaN)
    if (answers !== null) values.set(checkCount(answers, steps, names.length))
    return values
  }

  /** Run the network over some steps, and record what is held. */
  #run(
    sequence: Sequence,
    from: number,
    to: number,
    changes: { interventions: readonly Intervention[]; total: number; row: number; ofRows: number },
    engines: Set<EngineName>,
  ): void {
    const { network } = this
    const { layers, vocabulary } = network.configuration
    const width = vocabulary.unit === 'number' ? vocabulary.size : 1
    const output = network.run(network.inputs(sequence.inputs.subarray(from * width, to * width)), {
      ...changes,
      state: stateAfter(network, sequence, from),
      keep: sequence.layers.map((arrays) => [...arrays.keys()]),
      first: from,
    })
    for (const [k, arrays] of sequence.layers.entries())
      for (const [name, array] of arrays) array.set(output.signals[k]!.get(name)!, from * layers[k]!.neurons)
    output.engines.forEach((engine) => engines.add(engine))
  }

  /** Record the predictions up to a step that are not those of the present targets. */
  #predict(sequence: Sequence, to: number): void {
    const { network } = this
    const { readout, predicted, bothWays, inputs } = network.configuration
    const atEnd = bothWays && readout.reads === 'last step'
    const piece = Math.max(1, Math.floor(PREDICTED_VALUES / predicted))
    const width = inputs.at(-1)!
    for (let first = sequence.predicted; first < to; first += piece) {
      const steps = Math.min(piece, to - first)
      const top = zeros(network.precision, steps * width)
      this.#readTop(sequence, first, top, atEnd)
      const logits = network.readOut(top, steps)
      for (let k = 0; k < steps; k++) {
        // A network that reads from the end and predicts once would have to be run again for each earlier step.
        const predicts = !atEnd || first + k === sequence.steps - 1
        this.#recordPrediction(sequence, first + k, logits.subarray(k * predicted, (k + 1) * predicted), predicts)
      }
    }
    sequence.predicted = to
  }

  /** Write the hidden states of the highest level side by side; `atEnd`: each at the step that it reads last. */
  #readTop(sequence: Sequence, first: number, top: Values, atEnd: boolean): void {
    const { layers, levels, inputs } = this.network.configuration
    const width = inputs.at(-1)!
    let column = 0
    for (const k of levels.at(-1)!) {
      const { neurons, reverse } = layers[k]!
      const h = sequence.layers[k]!.get('h')!
      for (let step = 0; step * width < top.length; step++) {
        const from = atEnd && reverse ? 0 : first + step
        top.set(h.subarray(from * neurons, (from + 1) * neurons), step * width + column)
      }
      column += neurons
    }
  }

  /** Record one prediction from its logits or estimates, which are changed. */
  #recordPrediction(sequence: Sequence, step: number, values: Values, predicts: boolean): void {
    const { readout, predicted } = this.network.configuration
    if (readout.kind === 'numbers') {
      for (let k = 0; k < predicted; k++) sequence.estimates[step * predicted + k] = predicts ? values[k]! : NaN
      return
    }
    const ranks = Math.min(MAX_PREDICTIONS, predicted)
    // By the logits, as a text is written: rounding may make log-probabilities equal.
    const best = predicts ? ranked(values, ranks) : []
    toLogProbabilities(values, 1)
    for (let rank = 0; rank < ranks; rank++) {
      const id = best[rank]
      sequence.topTokens[step * ranks + rank] = id ?? -1
      sequence.topProbabilities[step * ranks + rank] = id === undefined ? NaN : Math.exp(values[id]!)
    }
    const target = sequence.targets[step]!
    const known = predicts && target >= 0 && target < predicted
    sequence.logProbabilities[step] = known ? values[target]! : NaN
  }
}

/** Return the largest residual of some sequences; NaN if a step was not checked. */
export function largestResidual(sequences: readonly Sequence[]): number {
  let largest = 0
  for (const { residuals } of sequences) for (const value of residuals) largest = Math.max(largest, value)
  return largest
}

function checkCount(answers: ArrayLike<number>, steps: number, width: number): ArrayLike<number> {
  if (answers.length !== steps * width)
    throw new EngineError('ANSWERS_COUNT_WRONG', { count: answers.length, expected: steps * width })
  return answers
}

const same = (a: ArrayLike<number>, b: ArrayLike<number>): boolean =>
  a.length === b.length && firstDifference(a, b) === a.length

/** Return for each sequence the one before that it continues or repeats: equal ones at both ends stay what they were. */
function matched(inputs: readonly Sequence['inputs'][], old: readonly Sequence[]): (Sequence | null)[] {
  const most = Math.min(inputs.length, old.length)
  let [start, end] = [0, 0]
  while (start < most && same(inputs[start]!, old[start]!.inputs)) start++
  while (start + end < most && same(inputs.at(-1 - end)!, old.at(-1 - end)!.inputs)) end++
  return inputs.map((_, k) => {
    if (k < start) return old[k]!
    if (k >= inputs.length - end) return old[old.length - inputs.length + k]!
    return k < old.length - end ? old[k]! : null
  })
}

/** Return the first place at which two arrays differ. */
function firstDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const most = Math.min(a.length, b.length)
  let place = 0
  while (place < most && a[place] === b[place]) place++
  return place
}

/** Return how many steps of a sequence are those of the sequence before. */
function shared({ configuration }: Network, sequence: Sequence, old: Sequence | null, unchanged: number): number {
  if (old === null) return 0
  const width = configuration.vocabulary.unit === 'number' ? configuration.vocabulary.size : 1
  const steps = Math.min(unchanged, Math.floor(firstDifference(sequence.inputs, old.inputs) / width))
  // What reads from the end depends on every later step.
  return configuration.bothWays && (steps < old.steps || steps < sequence.steps) ? 0 : steps
}
