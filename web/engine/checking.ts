// The self-check: every equation evaluated again in float64 on the recorded values, and every drive from the weights.
//
// Residuals are defined as in src/gatescope/checking.py. T step, N neuron.
import { cast, type Precision } from './arrays'
import type { Cell } from './cell'
import type { Network } from './network'
import { OPERATIONS } from './operations'
import { DrivesOfSteps, type Recorded, stateBefore } from './recorded'

/** The largest residual that the rounding of recorded values explains. */
export const TOLERANCES: Record<Precision, number> = { float32: 1e-5, float64: 1e-12 }

/** The largest relative rounding error of a recorded value. */
const EPSILONS: Record<Precision, number> = { float32: 2 ** -24, float64: 2 ** -53 }
/** The steps that are checked together: at most so many, and so many products of weights and steps. */
const MAX_PIECE_STEPS = 256
const MIN_PIECE_STEPS = 2
const PIECE_PRODUCTS = 1 << 23

/** The result of the check of a text. */
export interface Check {
  /** The largest residual. */
  residual: number
  /** The largest residual that rounding explains. */
  tolerance: number
  /** The number of steps that were checked. */
  steps: number
}

/** A sequence, and how far it was checked. */
export interface Checked extends Recorded {
  /** The largest residual of each step. */
  residuals: Float64Array
  /** The number of steps that were checked. */
  checked: number
  /** The equations from whose residuals rounding errors are subtracted, by layer and signal. */
  reduced: ReadonlySet<string>
}

type Arrays = ReadonlyMap<string, Float64Array>

/** The equation of one signal, in which every other signal is replaced by its recorded values. */
export class Equation {
  /** The values that it reads: "signal f", "state c", "drive x.i", "parameter i". */
  readonly leaves: readonly string[]
  readonly #lines: { line: number; leaf: string | null }[] = []
  readonly #own: number

  constructor(
    readonly cell: Cell,
    readonly signal: string,
  ) {
    this.#own = cell.signals.get(signal)!
    const needed = new Set<number>()
    const visit = (line: number): void => {
      if (needed.has(line)) return
      needed.add(line)
      if (line === this.#own || !cell.stops.has(line)) cell.nodes[line]!.arguments.forEach(visit)
    }
    visit(this.#own)
    for (const line of [...needed].sort((a, b) => a - b)) {
      const node = cell.nodes[line]!
      const other = line !== this.#own && cell.stops.has(line)
      const isLeaf = node.kind !== 'constant' && !OPERATIONS.has(node.kind)
      const leaf = other ? `signal ${cell.stops.get(line)!}` : isLeaf ? `${node.kind} ${node.label}` : null
      this.#lines.push({ line, leaf })
    }
    this.leaves = this.#lines.flatMap(({ leaf }) => leaf ?? [])
  }

  /** Return the signal, of `size` numbers. */
  evaluate(values: Arrays, size: number): Float64Array {
    const results = new Map<number, Float64Array>()
    for (const { line, leaf } of this.#lines) {
      const node = this.cell.nodes[line]!
      if (leaf !== null) results.set(line, values.get(leaf)!)
      else if (node.kind === 'constant') results.set(line, new Float64Array(size).fill(node.label as number))
      else {
        const [a, b = a] = node.arguments.map((argument) => results.get(argument)!)
        const { apply } = OPERATIONS.get(node.kind)!
        const out = new Float64Array(size)
        for (let k = 0; k < size; k++) out[k] = apply(a![k]!, b![k]!)
        results.set(line, out)
      }
    }
    return results.get(this.#own)!
  }

  /**
   * Return the error of the signal that the rounding of the recorded values explains.
   *
   * Several errors together can exceed the sum of their effects, so all values are also moved together, first in the
   * directions that raise the result, then in the opposite ones.
   */
  rounding(values: Arrays, size: number, epsilon: number): Float64Array {
    const exact = this.evaluate(values, size)
    const total = new Float64Array(size)
    const rising = new Map<string, Float64Array>()
    for (const leaf of this.leaves) {
      const value = values.get(leaf)!
      const moved = this.evaluate(new Map([...values, [leaf, value.map((entry) => entry * (1 + epsilon))]]), size)
      const signs = moved.map((entry, k) => Math.sign(entry - exact[k]!) || 0)
      rising.set(leaf, signs)
      for (let k = 0; k < size; k++) total[k]! += Math.abs(moved[k]! - exact[k]!)
    }
    for (const side of [epsilon, -epsilon]) {
      const moved = this.leaves.map((leaf): [string, Float64Array] => {
        const signs = rising.get(leaf)!
        return [leaf, values.get(leaf)!.map((entry, k) => entry * (1 + side * signs[k]!))]
      })
      const together = this.evaluate(new Map(moved), size)
      for (let k = 0; k < size; k++) {
        const off = Math.abs(together[k]! - exact[k]!)
        if (Number.isFinite(off)) total[k] = Math.max(total[k]!, off)
      }
    }
    return total.map((entry) => (Number.isFinite(entry) ? entry : 0))
  }
}

const residual = (recorded: number, recomputed: number, allowance: number): number => {
  const value = Math.max(Math.abs(recomputed - recorded) - allowance, 0) / Math.max(1, Math.abs(recorded))
  return Number.isFinite(value) ? value : Infinity
}

/** The check of one network. */
export class Checker {
  readonly #equations: Equation[][]

  constructor(readonly network: Network) {
    this.#equations = network.configuration.layers.map(({ cell }) =>
      [...cell.signals.keys()].map((signal) => new Equation(cell, signal)),
    )
  }

  /** Return the largest residual of each step from `from` on, and whether rounding errors were subtracted. */
  check(recorded: Recorded, from: number): { residuals: Float64Array; reduced: boolean } {
    const residuals = new Float64Array(recorded.steps)
    const sequence: Checked = { ...recorded, residuals, checked: from, reduced: new Set() }
    for (const _ of this.inPieces(sequence, from)) continue
    return { residuals: residuals.subarray(from), reduced: sequence.reduced.size > 0 }
  }

  /**
   * Check the steps of a sequence that were not checked, and yield how many were.
   *
   * Rounding errors are subtracted from an equation that exceeds the tolerance, which is a property of all steps: the
   * check then begins again at step `begin`.
   */
  *inPieces(sequence: Checked, begin = 0): Generator<number, void, void> {
    const { neurons } = this.network.configuration.layers.reduce((a, b) => (a.neurons > b.neurons ? a : b))
    const most = Math.floor(PIECE_PRODUCTS / Math.max(this.network.productsOfStep, neurons))
    const piece = Math.min(MAX_PIECE_STEPS, Math.max(MIN_PIECE_STEPS, most))
    while (sequence.checked < sequence.steps) {
      const from = sequence.checked
      const steps = Math.min(piece, sequence.steps - from)
      const out = new Float64Array(steps)
      const exceeding = this.#checkSteps(sequence, from, steps, out)
      if (exceeding.length) {
        sequence.reduced = new Set([...sequence.reduced, ...exceeding])
        sequence.checked = begin
      } else {
        sequence.residuals.set(out, from)
        sequence.checked = from + steps
      }
      yield sequence.checked
    }
  }

  /** Write the residuals of some steps, and return the equations that exceed the tolerance. */
  #checkSteps(sequence: Checked, from: number, steps: number, out: Float64Array): string[] {
    const { layers, names } = this.network.configuration
    const exceeding: string[] = []
    for (const [k, equations] of this.#equations.entries()) {
      const values = this.#leaves(sequence, k, from, steps, out)
      for (const equation of equations) {
        const name = `${names[k]}.${equation.signal}`
        const isReduced = sequence.reduced.has(name)
        const own = this.#residuals(equation, values, steps * layers[k]!.neurons, isReduced)
        let exceeds = false
        for (const [place, value] of own.entries()) {
          const step = Math.floor(place / layers[k]!.neurons)
          out[step] = Math.max(out[step]!, value)
          // Infinite residuals do not count here: no rounding explains them.
          exceeds ||= value > TOLERANCES[this.network.precision] && Number.isFinite(value)
        }
        if (exceeds && !isReduced) exceeding.push(name)
      }
    }
    return exceeding
  }

  /** Return the residuals of an equation. */
  #residuals(equation: Equation, values: Arrays, size: number, isReduced: boolean): Float64Array {
    const recorded = values.get(`signal ${equation.signal}`)!
    const recomputed = equation.evaluate(values, size)
    const allowance = isReduced ? equation.rounding(values, size, EPSILONS[this.network.precision]) : null
    return recomputed.map((value, place) => residual(recorded[place]!, value, allowance?.[place] ?? 0))
  }

  /**
   * Return all values that the equations of a layer read at some steps, (S, N) each.
   *
   * The drives are computed from the weights. Where they are held, the held ones are read, and their residuals written.
   */
  #leaves(sequence: Checked, k: number, first: number, steps: number, out: Float64Array): Arrays {
    const { network } = this
    const { neurons, cell } = network.configuration.layers[k]!
    const values = new Map<string, Float64Array>()
    const held = (name: string): Float64Array | null => {
      const array = sequence.layers[k]!.get(name)
      return array ? Float64Array.from(array.subarray(first * neurons, (first + steps) * neurons)) : null
    }
    for (const signal of cell.signals.keys()) values.set(`signal ${signal}`, held(signal)!)
    for (const state of cell.states)
      values.set(`state ${state}`, stateBefore(network, sequence, k, state, first, steps))
    for (const [place, name] of cell.parameters.entries()) {
      const own = network.parameters[k]!.neuronWeights.subarray(place * neurons, (place + 1) * neurons)
      const repeated = new Float64Array(steps * neurons)
      for (let step = 0; step < steps; step++) repeated.set(own, step * neurons)
      values.set(`parameter ${name}`, repeated)
    }
    const drives = new DrivesOfSteps(network, sequence, k, first, steps)
    for (const name of cell.drives) {
      const recomputed = drives.all(name)
      const recorded = held(name)
      recorded?.forEach((value, place) => {
        const step = Math.floor(place / neurons)
        out[step] = Math.max(out[step]!, residual(value, recomputed[place]!, 0))
      })
      // As the page shows them: rounded to the precision of the network.
      values.set(`drive ${name}`, recorded ?? Float64Array.from(cast(network.precision, recomputed)))
    }
    return values
  }
}
