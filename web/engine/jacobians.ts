// The Jacobians of the steps of one layer: how each state depends on the states one step earlier, term by term.
//
// Definitions as in src/gatescope/studies/gradients/jacobians.py. T step, N neuron.
import { EngineError } from './errors'
import { type Forward, forwardOf, isDirect, type Place } from './forward-derivatives'
import type { Network } from './network'
import type { Sequence } from './recording'

const MAX_DERIVATIVE_VALUES = 1 << 24
/** Share of the size of its terms below which a derivative is only rounding. */
const CANCELLED = 1e-6

/** Output -> place in the equations -> (T, N), in the order of the text. */
export type Slopes = ReadonlyMap<string, ReadonlyMap<Place, Float64Array>>

/** One part of the derivative of a state by a state one step earlier: diag(factors), or diag(factors) · U_k. */
export interface Term {
  to: string
  source: string
  name: string
  /** The k of u.k; null for a diagonal term. */
  drive: string | null
  /** Whether the state enters the equation directly, not through a drive or a peephole. */
  direct: boolean
  formula: string
  /** (T, N). */
  factors: Float64Array
}

/** The values of one sequence, in float64. */
export type RecordedValues = Pick<Sequence, 'steps' | 'layers'>

/** Evaluate the forward derivatives of a layer at recorded values. */
export function slopesOf(
  network: Network,
  layer: number,
  sequence: RecordedValues,
): { forward: Forward; slopes: Slopes } {
  const { cell, neurons, reverse } = network.configuration.layers[layer]!
  const forward = forwardOf(cell)
  const size = sequence.steps * neurons
  if (forward.nodes.length * size > MAX_DERIVATIVE_VALUES)
    throw new EngineError('DERIVATIVES_TOO_MANY', { steps: sequence.steps, neurons })
  const slopes = forward.evaluate(size, (kind, label) => {
    const values = new Float64Array(size)
    if (kind === 'parameter') {
      const own = network.parameters[layer]!.neuronWeights.subarray(cell.parameters.indexOf(label) * neurons)
      return values.map((_, place) => own[place % neurons]!)
    }
    const recorded = sequence.layers[layer]!.get(label)!.subarray(0, size)
    if (kind !== 'state') return Float64Array.from(recorded)
    values.set(recorded.subarray(reverse ? neurons : 0, reverse ? size : size - neurons), reverse ? 0 : neurons)
    values.set(network.initial[layer]!.get(label) ?? [], reverse ? size - neurons : 0)
    return values
  })
  return { forward, slopes }
}

/** The Jacobians of one layer, which reads from the beginning, on one sequence. */
export class Jacobians {
  /** [later state, earlier state] -> the sum of the diagonal terms, and of the direct ones; (T, N) each. */
  readonly diagonals: Pair[]
  readonly bypass: Pair[]

  constructor(
    readonly states: readonly string[],
    readonly terms: readonly Term[],
    /** k -> U_k, (N, N). */
    readonly weights: ReadonlyMap<string, Float64Array>,
    readonly steps: number,
    readonly neurons: number,
  ) {
    this.diagonals = this.#sums(terms.filter((term) => term.drive === null))
    this.bypass = this.#sums(terms.filter((term) => term.direct))
  }

  /** Compute the Jacobians of a layer at recorded values. */
  static of(network: Network, layer: number, sequence: RecordedValues): Jacobians {
    const { cell, neurons } = network.configuration.layers[layer]!
    const { forward, slopes } = slopesOf(network, layer, sequence)
    const terms: Term[] = []
    for (const to of cell.states)
      for (const [place, factors] of slopes.get(to)!) {
        const drive = place.kind === 'drive' && place.label.startsWith('u.') ? place.label.slice(2) : null
        if (place.kind !== 'state' && drive === null) continue
        const source = drive === null ? place.label : 'h'
        const formula = forward.formula(to, place)
        terms.push({ to, source, name: place.name, drive, direct: isDirect(place), formula, factors })
      }
    const { recurrentWeights } = network.parameters[layer]!
    const matrix = neurons * neurons
    const weights = new Map(
      cell.recurrentDrives.map((k, number) => [
        k,
        Float64Array.from(recurrentWeights.subarray(number * matrix, (number + 1) * matrix)),
      ]),
    )
    return new Jacobians(cell.states, terms, weights, sequence.steps, neurons)
  }

  #sums(terms: readonly Term[]): Pair[] {
    const sums = new Map<string, Pair>()
    for (const { to, source, factors } of terms) {
      const pair = sums.get(`${to} ${source}`)
      if (pair) factors.forEach((value, place) => (pair.factors[place]! += value))
      else
        sums.set(`${to} ${source}`, {
          to: this.states.indexOf(to),
          source: this.states.indexOf(source),
          factors: factors.slice(),
        })
    }
    return [...sums.values()]
  }

  /** Write the terms through the drives at one step as one matrix by h, (S, N, N), to `out`. */
  writeDense(step: number, out: Float64Array): void {
    const { neurons } = this
    out.fill(0)
    for (const { to, drive, factors } of this.terms) {
      if (drive === null) continue
      const weights = this.weights.get(drive)!
      const base = this.states.indexOf(to) * neurons * neurons
      for (let row = 0; row < neurons; row++) {
        const factor = factors[step * neurons + row]!
        for (let j = row * neurons; j < (row + 1) * neurons; j++) out[base + j]! += factor * weights[j]!
      }
    }
  }

  /**
   * Return the share of every term in the derivative of its pair of states, (T,) each, pair by pair.
   *
   * The share of a term A of a Jacobian J is <A, J> / <J, J>. NaN if J is 0, or if its terms cancel.
   */
  shares(): Map<Term, Float64Array> {
    const shares = new Map<Term, Float64Array>()
    for (const to of this.states)
      for (const source of this.states) {
        const terms = this.terms.filter((term) => term.to === to && term.source === source)
        this.#sharesOf(terms).forEach((share, k) => shares.set(terms[k]!, share))
      }
    return shares
  }

  /** Return the shares of all terms of one pair of states. */
  #sharesOf(terms: readonly Term[]): Float64Array[] {
    const [total, least] = [new Float64Array(this.steps), new Float64Array(this.steps)]
    const parts = terms.map(() => new Float64Array(this.steps))
    for (const [k, first] of terms.entries())
      for (const [j, second] of terms.entries()) {
        if (j < k) continue
        const product = this.#product(first, second)
        for (let step = 0; step < this.steps; step++) {
          const value = product[step]!
          parts[k]![step]! += value
          if (j !== k) parts[j]![step]! += value
          total[step]! += j === k ? value : 2 * value
          if (j === k) least[step]! += CANCELLED ** 2 * value
        }
      }
    return parts.map((part) => part.map((value, step) => (total[step]! > least[step]! ? value / total[step]! : NaN)))
  }

  /** Return the sum of the products of all entries of two terms at every step, (T,). */
  #product(first: Term, second: Term): Float64Array {
    const { neurons } = this
    const rows = new Float64Array(neurons).fill(1)
    const [a, b] = [first, second].map(({ drive }) => (drive === null ? null : this.weights.get(drive)!))
    for (let row = 0; row < neurons; row++) {
      if (a && b) {
        rows[row] = 0
        for (let j = row * neurons; j < (row + 1) * neurons; j++) rows[row]! += a[j]! * b[j]!
      } else if (a || b) rows[row] = (a ?? b)![row * neurons + row]!
    }
    const sums = new Float64Array(this.steps)
    for (let place = 0; place < this.steps * neurons; place++)
      sums[Math.floor(place / neurons)]! += first.factors[place]! * second.factors[place]! * rows[place % neurons]!
    return sums
  }
}

/** The sum of some diagonal terms between two states, given by their positions. */
export interface Pair {
  to: number
  source: number
  /** (T, N). */
  factors: Float64Array
}
