// All paths along which one recurrent weight acts on one prediction, as products of partial derivatives.
//
// Rows and formulas are those of src/gatescope/studies/gradients/paths.py, which explains them. Beside their sum stands the
// derivative by finite differences, which knows no equation.
import { EngineError, shown } from './errors'
import type { ExactRecording } from './exact-recording'
import { lossGradient } from './head-gradient'
import { Jacobians, type Term } from './jacobians'
import type { Network } from './network'

/** Steps that are read, so that the list stays readable. */
const MAX_STEPS = 3
/** Neurons of a layer up to which each neuron of the last step has a row of its own. */
const MAX_SEPARATE_NEURONS = 3
const FLOAT64_DIGITS = 16

export interface WeightPathsRequest {
  layer: string
  drive: string
  to: number
  source: number
  step: number
}

interface Factor {
  name: string
  /** Its formula by the equations; "" if it is a value, or the gradient of the loss. */
  derived: string
  value: number
}

/** How the effect of the weight reaches the prediction. */
interface Path {
  kind: 'at once' | 'straight on' | 'through' | 'start'
  /** The place of the equations that it passes. */
  place?: string
  /** The neuron of the last step, if it is a single one. */
  neuron?: number
}

interface Row extends Path {
  step: number
  factors: Factor[]
}

export interface WeightPaths {
  columns: {
    step: number[]
    kind: Path['kind'][]
    place: string[]
    neuron: (number | null)[]
    formula: string[]
    names: string[][]
    derived: string[][]
    factors: number[][]
    value: number[]
  }
  about: { weight: string; layer: number; loss: number; total: number }
  /** The labels that were read, the next one, and the step of the text where reading begins. */
  read: string[]
  next: string
  first: number
  trained: number
  by_step: number[]
  /** The derivative by finite differences, and the leading decimal digits in which the total agrees. */
  differences: number
  digits: number
}

/** Return the paths of a weight. Throws an EngineError if there is no such weight, or no next symbol. */
export function weightPathsOf(recording: ExactRecording, request: WeightPathsRequest): WeightPaths {
  const { network, labels, sequences, firsts } = recording
  const layer = checkWeight(network, request)
  const step = recording.check(request.step)
  const number = recording.sequenceOf(step)
  const sequence = sequences[number]!
  const last = step - firsts[number]!
  const first = Math.max(0, last + 1 - MAX_STEPS)
  const ids = (sequence.inputs as Int32Array).slice(first, last + 2)
  if (last + 1 >= sequence.steps || ids.at(-1)! >= network.configuration.vocabulary.size)
    throw new EngineError('WEIGHT_PATHS_NEXT_UNKNOWN', { step })
  const { rows, loss } = new Paths(network, ids, layer, request).list()
  const values = rows.map(({ factors }) => factors.reduce((product, { value }) => product * value, 1))
  const total = values.reduce((sum, value) => sum + value, 0)
  const differences = derivative(network, ids, layer, request)
  return {
    columns: {
      step: rows.map((row) => row.step),
      kind: rows.map(({ kind }) => kind),
      place: rows.map(({ place = '' }) => place),
      neuron: rows.map(({ neuron = null }) => neuron),
      formula: rows.map(({ factors }) => factors.map(({ name }) => name).join(' · ')),
      names: rows.map(({ factors }) => factors.map(({ name }) => name)),
      derived: rows.map(({ factors }) => factors.map(({ derived }) => derived)),
      factors: rows.map(({ factors }) => factors.map(({ value }) => value)),
      value: values,
    },
    about: { weight: `U.${request.drive}[${request.to},${request.source}]`, layer, loss, total },
    read: labels.slice(firsts[number]! + first, step + 1),
    next: labels[step + 1]!,
    first: firsts[number]! + first,
    trained: network.step,
    by_step: Array.from({ length: ids.length - 1 }, (_, k) =>
      rows.reduce((sum, row, j) => sum + (row.step === k ? values[j]! : 0), 0),
    ),
    differences,
    digits: sameDigits(total, differences),
  }
}

/** Return the number of the layer of a weight. Throws an EngineError if its paths cannot be listed. */
function checkWeight({ configuration }: Network, { layer: name, drive, to, source }: WeightPathsRequest): number {
  const { names, layers, readout, bothWays, hidden } = configuration
  const layer = names.indexOf(name)
  if (layer < 0) throw new EngineError('LAYER_UNKNOWN', { layer: shown(name), layers: names.join(', ') })
  if (readout.kind !== 'symbols' || readout.reads !== 'every step' || bothWays)
    throw new EngineError('WEIGHT_PATHS_READOUT')
  if (layer !== layers.length - 1) throw new EngineError('WEIGHT_PATHS_LAYER', { last: names.at(-1)!, layer: name })
  if (layers.some(({ initial }) => initial)) throw new EngineError('WEIGHT_PATHS_INITIAL_STATE')
  if (hidden.length) throw new EngineError('WEIGHT_PATHS_HEAD')
  const { cell, neurons } = layers[layer]!
  if (!cell.recurrentDrives.includes(drive))
    throw new EngineError('WEIGHT_PATHS_DRIVE', { drives: cell.recurrentDrives.join(', ') || '-', drive: shown(drive) })
  if (![to, source].every((neuron) => Number.isInteger(neuron) && neuron >= 0 && neuron < neurons))
    throw new EngineError('WEIGHT_PATHS_NEURON', { last: neurons - 1, source: shown(source), to: shown(to) })
  return layer
}

/** Return the name of a signal of one neuron at one step, such as h₂[0]. */
const at = (name: string, step: number, neuron: number | string): string => `${name}${'₀₁₂'[step]}[${neuron}]`

/** The derivatives of one text, and their products along the paths of one weight. */
class Paths {
  readonly #jacobians: Jacobians
  /** The outputs of the last layer, (T, N). */
  readonly #h: Float64Array
  /** The gradient of the loss by the outputs of the last step, (N,). */
  readonly #arriving: Float64Array
  readonly #loss: number
  readonly #last: number

  constructor(
    network: Network,
    ids: Int32Array,
    layer: number,
    readonly request: WeightPathsRequest,
  ) {
    const { layers } = network.configuration
    const keep = layers.map(({ cell }) => [...cell.signals.keys(), ...cell.drives])
    const { signals } = network.run(network.inputs(ids), { keep })
    this.#jacobians = Jacobians.of(network, layer, {
      steps: ids.length,
      layers: signals as Map<string, Float64Array>[],
    })
    this.#h = signals[layer]!.get('h') as Float64Array
    this.#last = ids.length - 2
    const { neurons } = this.#jacobians
    const read = this.#h.subarray(this.#last * neurons, (this.#last + 1) * neurons)
    const { loss, gradient } = lossGradient(network.readout, read, ids.at(-1)!)
    this.#loss = loss
    this.#arriving = gradient
  }

  /** Return the paths, the last step first, and the loss. */
  list(): { rows: Row[]; loss: number } {
    const [last, { to, source }] = [this.#last, this.request]
    const rows: Row[] = []
    if (last > 0) rows.push({ step: last, kind: 'at once', factors: [this.#arrives(to), ...this.#first('h', last)] })
    if (last > 1)
      for (const term of this.#jacobians.terms)
        if (term.to === 'h' && this.#acts(term.source)) rows.push(...this.#through(term, last - 1))
    const start = { name: `h₋₁[${source}]`, derived: '', value: 0 }
    return { rows: [...rows, { step: 0, kind: 'start', factors: [start] }], loss: this.#loss }
  }

  /** Return the term by which the weight's drive acts on a state, if there is one. */
  #acts(state: string): Term | undefined {
    return this.#jacobians.terms.find(({ to, drive }) => to === state && drive === this.request.drive)
  }

  /** Return the factors of the weight's effect on a state of one step: the slope, and the input of the weight. */
  #first(state: string, step: number): Factor[] {
    const { drive, to, source } = this.request
    const term = this.#acts(state)
    const name = `∂${at(state, step, to)}/∂${at(`u.${drive}`, step, to)}`
    const slope = term ? this.#slope(name, term, step, to) : { name, derived: '0', value: 0 }
    const input = this.#h[(step - 1) * this.#jacobians.neurons + source]!
    return [slope, { name: at('h', step - 1, source), derived: '', value: input }]
  }

  #slope(name: string, { formula, factors }: Term, step: number, neuron: number): Factor {
    return { name, derived: formula, value: factors[step * this.#jacobians.neurons + neuron]! }
  }

  #arrives(neuron: number): Factor {
    return { name: `∂L/∂${at('h', this.#last, neuron)}`, derived: '', value: this.#arriving[neuron]! }
  }

  /** Return the paths that start at one step and continue through one term of the last step. */
  #through(term: Term, step: number): Row[] {
    const [last, { to }, { neurons }] = [this.#last, this.request, this.#jacobians]
    const effect = this.#first(term.source, step)
    if (term.drive === null) {
      const name = `∂${at('h', last, to)}/∂${at(term.source, step, to)}${term.direct ? '' : ` through ${term.name}`}`
      const path: Path = term.direct ? { kind: 'straight on' } : { kind: 'through', place: term.name }
      return [{ step, ...path, factors: [this.#arrives(to), this.#slope(name, term, last, to), ...effect] }]
    }
    const weights = this.#jacobians.weights.get(term.drive)!
    const weightOf = (neuron: number): number => weights[neuron * neurons + to]!
    const all = [...Array(neurons).keys()]
    if (neurons <= MAX_SEPARATE_NEURONS)
      return all.map((neuron) => {
        const name = `∂${at('h', last, neuron)}/∂${at(term.name, last, neuron)}`
        const weight = { name: `U.${term.drive}[${neuron},${to}]`, derived: '', value: weightOf(neuron) }
        const factors = [this.#arrives(neuron), this.#slope(name, term, last, neuron), weight, ...effect]
        return { step, kind: 'through', place: term.name, neuron, factors }
      })
    const [h, u] = [at('h', last, 'j'), at(term.name, last, 'j')]
    const value = all.reduce((sum, n) => sum + this.#arriving[n]! * term.factors[last * neurons + n]! * weightOf(n), 0)
    const name = `Σⱼ(∂L/∂${h} · ∂${h}/∂${u} · U.${term.drive}[j,${to}])`
    const derived = term.formula ? `∂${h}/∂${u} = ${term.formula}` : ''
    return [{ step, kind: 'through', place: term.name, factors: [{ name, derived, value }, ...effect] }]
  }
}

/** Return the derivative of the loss by a weight: central differences, extrapolated to a distance of 0 (Richardson). */
function derivative(network: Network, ids: Int32Array, layer: number, request: WeightPathsRequest): number {
  const { cell, neurons } = network.configuration.layers[layer]!
  const weights = network.parameters[layer]!.recurrentWeights
  const place = (cell.recurrentDrives.indexOf(request.drive) * neurons + request.to) * neurons + request.source
  const weight = weights[place]!
  const lossAt = (change: number): number => {
    weights[place] = weight + change
    const { top } = network.run(network.inputs(ids.subarray(0, -1)))
    return lossGradient(network.readout, top.subarray(-neurons), ids.at(-1)!).loss
  }
  try {
    const slopes = [2 ** -4, 2 ** -5, 2 ** -6, 2 ** -7].map(
      (change) => (lossAt(change) - lossAt(-change)) / (2 * change),
    )
    for (let power = 4; slopes.length > 1; power *= 4)
      slopes.splice(0, slopes.length, ...slopes.slice(1).map((slope, k) => slope + (slope - slopes[k]!) / (power - 1)))
    return slopes[0]!
  } finally {
    weights[place] = weight
  }
}

/** Return the number of leading decimal digits in which two numbers agree. */
function sameDigits(first: number, second: number): number {
  if (first === second) return FLOAT64_DIGITS
  const difference = Math.abs(first - second) / Math.max(Math.abs(first), Math.abs(second))
  return Math.min(FLOAT64_DIGITS, Math.max(0, Math.floor(-Math.log10(difference))))
}
