// Recording: network and text in, arrays of signals out; what a text shares with the text before is computed once.
//
// T step, N neuron, V predicted value, K rank.
import { type Values, zeros } from './arrays'
import { Checker, type Recorded } from './checking'
import { EngineError, shown } from './errors'
import { toLogProbabilities } from './head'
import type { Intervention } from './interventions'
import type { EngineName } from './layer'
import type { Network, State } from './network'
import { ranked } from './ranking'
import { SPACE } from './splitting'

/** The most probable symbols or classes that are recorded. */
export const MAX_PREDICTIONS = 5
export const MAX_TEXT_STEPS = 20_000
const MAX_TEXT_CHARACTERS = 2_000_000 // also of words, which may be long
const MAX_RECORDED_BYTES = 512 << 20
const PREDICTED_VALUES = 1 << 20
const HAS_TEXT = new RegExp(`[^${SPACE}]`, 'u')

/** The targets after each step of a sequence: ids (T,), or numbers (T, O); null if unknown. */
export type Answers = (sequence: string) => ArrayLike<number> | null

/** One recorded sequence. Arrays may be longer than T, so that a text can grow in place. */
export interface Sequence extends Recorded {
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
  /** The largest residual of each step. */
  residuals: Float64Array
  /** Whether rounding errors were subtracted from the residuals. */
  reduced: boolean
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

/** Whether the changes of a step do not depend on the number of steps and of sequences. */
function isLocal({ row, steps, shift }: Intervention): boolean {
  const { start, stop, step } = typeof steps === 'object' && steps !== null ? steps : {}
  const bounds = typeof steps === 'number' ? [steps] : [start, stop, step]
  return (row ?? null) === null && typeof (shift ?? 0) === 'number' && bounds.every((bound) => (bound ?? 0) >= 0)
}

/** Return a text that differs for different interventions. */
function keyOf(interventions: readonly Intervention[]): string {
  try {
    return JSON.stringify(interventions)
  } catch {
    // Values that are nested too deeply.
    throw new EngineError('INTERVENTION_INVALID', { name: 'intervention', value: shown(interventions) })
  }
}

/** Records the texts of one network, one after the other. */
export class Recorder {
  readonly #checker: Checker
  #text: string | null = null
  #changes = ''
  #recording: Recording = { sequences: [], unknown: [], engines: [] }

  constructor(
    readonly network: Network,
    readonly answers: Answers = () => null,
    readonly checked = true,
  ) {
    this.#checker = new Checker(network)
  }

  /** Return the recording of a text. The next call changes its arrays. */
  record(text: string, interventions: readonly Intervention[] = []): Recording {
    const changes = keyOf(interventions)
    if (text === this.#text && changes === this.#changes) return this.#recording
    const { vocabulary } = this.network.configuration
    if (text.length > MAX_TEXT_CHARACTERS)
      throw new EngineError('TEXT_TOO_LARGE', { characters: text.length, most: MAX_TEXT_CHARACTERS })
    const parts = partsOf(this.network, text)
    const labels = parts.map((part) => vocabulary.labels(part))
    const steps = labels.reduce((sum, part) => sum + part.length, 0)
    this.#checkSize(steps)
    const reusable = changes === this.#changes && interventions.every(isLocal) ? this.#recording.sequences : []
    const inputs = parts.map((part) => vocabulary.encode(part))
    const targets = parts.map((part) => this.answers(part))
    const total = Math.max(0, ...labels.map((part) => part.length))
    const before = matched(inputs, reusable)
    // The arrays of the recording before are changed from here on.
    this.#text = null
    const engines = new Set<EngineName>()
    const sequences = inputs.map((input, row) => {
      const old = before[row] ?? null
      const sequence = this.#begin(input, labels[row]!, targets[row]!, old)
      const from = shared(this.network, sequence, old)
      if (from < sequence.steps)
        this.#run(sequence, from, { interventions, total, row, ofRows: inputs.length }, engines)
      this.#predict(sequence, Math.min(from, firstDifference(sequence.targets, old?.targets ?? [])))
      this.#check(sequence, old, from)
      return sequence
    })
    const used = engines.size ? [...engines] : this.#recording.engines
    this.#recording = { sequences, unknown: vocabulary.unknownIn(text), engines: used }
    this.#text = text
    this.#changes = changes
    return this.#recording
  }

  #checkSize(steps: number): void {
    const { layers, bothWays } = this.network.configuration
    const numbers = layers.reduce(
      (sum, { cell, neurons }) => sum + (cell.signals.size + cell.drives.length) * neurons,
      0,
    )
    const bytes = numbers * (this.network.precision === 'float32' ? 4 : 8) * (bothWays ? 2 : 1)
    const most = Math.min(MAX_TEXT_STEPS, Math.floor(MAX_RECORDED_BYTES / bytes))
    if (steps > most) throw new EngineError('TEXT_TOO_LONG', { steps, most })
  }

  /** Return a sequence with room for its steps, which begins with the arrays of the sequence before. */
  #begin(
    inputs: Sequence['inputs'],
    labels: string[],
    answers: ArrayLike<number> | null,
    old: Sequence | null,
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
    return {
      steps,
      inputs,
      labels,
      layers: layers.map(
        ({ cell, neurons }, k) =>
          new Map(
            [...cell.signals.keys(), ...cell.drives].map((name) => [
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
      residuals: new Float64Array(steps),
      reduced: false,
    }
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

  /** Run the network from a step on, and record all signals and drives. */
  #run(
    sequence: Sequence,
    from: number,
    changes: { interventions: readonly Intervention[]; total: number; row: number; ofRows: number },
    engines: Set<EngineName>,
  ): void {
    const { network } = this
    const { layers, vocabulary } = network.configuration
    const width = vocabulary.unit === 'number' ? vocabulary.size : 1
    const state: State = layers.map(({ cell, neurons }, k) => {
      const recorded = sequence.layers[k]!
      return new Map(
        cell.states.map((name) => [name, recorded.get(name)!.subarray((from - 1) * neurons, from * neurons)]),
      )
    })
    const output = network.run(network.inputs(sequence.inputs.subarray(from * width)), {
      ...changes,
      state: from ? state : null,
      keep: sequence.layers.map((arrays) => [...arrays.keys()]),
      first: from,
    })
    for (const [k, arrays] of sequence.layers.entries())
      for (const [name, array] of arrays) array.set(output.signals[k]!.get(name)!, from * layers[k]!.neurons)
    output.engines.forEach((engine) => engines.add(engine))
  }

  /** Record the predictions from a step on. */
  #predict(sequence: Sequence, from: number): void {
    const { network } = this
    const { readout, predicted, bothWays, inputs } = network.configuration
    const atEnd = bothWays && readout.reads === 'last step'
    const piece = Math.max(1, Math.floor(PREDICTED_VALUES / predicted))
    const width = inputs.at(-1)!
    for (let first = from; first < sequence.steps; first += piece) {
      const steps = Math.min(piece, sequence.steps - first)
      const top = zeros(network.precision, steps * width)
      this.#readTop(sequence, first, top, atEnd)
      const logits = network.readOut(top, steps)
      for (let k = 0; k < steps; k++) {
        // A network that reads from the end and predicts once would have to be run again for each earlier step.
        const predicts = !atEnd || first + k === sequence.steps - 1
        this.#recordPrediction(sequence, first + k, logits.subarray(k * predicted, (k + 1) * predicted), predicts)
      }
    }
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

  #check(sequence: Sequence, old: Sequence | null, from: number): void {
    if (!this.checked) {
      sequence.residuals.fill(NaN)
      return
    }
    const begin = old?.reduced ? 0 : from
    let { residuals, reduced } = this.#checker.check(sequence, begin)
    if (reduced && begin) ({ residuals, reduced } = this.#checker.check(sequence, 0))
    else if (old && begin) sequence.residuals.set(old.residuals.subarray(0, begin))
    sequence.residuals.set(residuals, sequence.steps - residuals.length)
    sequence.reduced = reduced
  }
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
function shared({ configuration }: Network, sequence: Sequence, old: Sequence | null): number {
  if (old === null) return 0
  const width = configuration.vocabulary.unit === 'number' ? configuration.vocabulary.size : 1
  const steps = Math.floor(firstDifference(sequence.inputs, old.inputs) / width)
  // What reads from the end depends on every later step.
  return configuration.bothWays && (steps < old.steps || steps < sequence.steps) ? 0 : steps
}
