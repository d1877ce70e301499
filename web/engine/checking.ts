// The self-check: every equation evaluated again in float64 on the recorded values, and every drive from the weights.
//
// Residuals are defined as in src/gatescope/checking.py. T step, N neuron.
import { multiply, type Precision, type Values } from './arrays'
import type { Cell } from './cell'
import type { Network } from './network'
import { OPERATIONS } from './operations'

/** The largest residual that the rounding of recorded values explains. */
export const TOLERANCES: Record<Precision, number> = { float32: 1e-5, float64: 1e-12 }

/** The largest relative rounding error of a recorded value. */
const EPSILONS: Record<Precision, number> = { float32: 2 ** -24, float64: 2 ** -53 }
const CHUNK_STEPS = 256

/** One sequence as it was recorded. */
export interface Recorded {
  steps: number
  /** The ids, or the numbers (T, I). */
  inputs: Int32Array | Float32Array | Float64Array
  /** For each layer, signals and drives, (T, N) or longer. */
  layers: ReadonlyMap<string, Values>[]
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

  /**
   * Return the largest residual of each step from `from` on, and whether rounding errors were subtracted.
   *
   * They are subtracted from an equation that exceeds the tolerance, which is a property of all steps: the caller then
   * checks from step 0.
   */
  check(recorded: Recorded, from: number): { residuals: Float64Array; reduced: boolean } {
    const residuals = new Float64Array(recorded.steps - from)
    let reduced = false
    for (const k of this.network.configuration.layers.keys()) {
      this.#checkDrives(recorded, k, from, residuals)
      for (const equation of this.#equations[k]!)
        if (this.#checkEquation(recorded, k, equation, from, residuals)) reduced = true
    }
    return { residuals, reduced }
  }

  #checkEquation(recorded: Recorded, k: number, equation: Equation, from: number, out: Float64Array): boolean {
    const { neurons } = this.network.configuration.layers[k]!
    const array = recorded.layers[k]!.get(equation.signal)!
    const precision = this.network.precision
    const own = new Float64Array(recorded.steps - from)
    const visit = (allowances: boolean): void => {
      own.fill(0)
      for (let first = from; first < recorded.steps; first += CHUNK_STEPS) {
        const steps = Math.min(CHUNK_STEPS, recorded.steps - first)
        const size = steps * neurons
        const values = new Map(equation.leaves.map((leaf) => [leaf, this.#leaf(recorded, k, leaf, first, steps)]))
        const recomputed = equation.evaluate(values, size)
        const allowance = allowances ? equation.rounding(values, size, EPSILONS[precision]) : null
        for (let place = 0; place < size; place++) {
          const step = first - from + Math.floor(place / neurons)
          const off = residual(array[first * neurons + place]!, recomputed[place]!, allowance?.[place] ?? 0)
          own[step] = Math.max(own[step]!, off)
        }
      }
    }
    visit(false)
    // Infinite residuals do not count here: no rounding explains them.
    const exceeds = own.some((value) => value > TOLERANCES[precision] && Number.isFinite(value))
    if (exceeds) visit(true)
    for (let step = 0; step < own.length; step++) out[step] = Math.max(out[step]!, own[step]!)
    return exceeds
  }

  /** Return the recorded values of one leaf, (steps, N). */
  #leaf(recorded: Recorded, k: number, leaf: string, first: number, steps: number): Float64Array {
    const { neurons, cell } = this.network.configuration.layers[k]!
    const [kind, name] = leaf.split(' ') as [string, string]
    if (kind === 'state') return this.#before(recorded, k, name, first, steps)
    if (kind !== 'parameter')
      return Float64Array.from(recorded.layers[k]!.get(name)!.subarray(first * neurons, (first + steps) * neurons))
    const values = new Float64Array(steps * neurons)
    const from = cell.parameters.indexOf(name) * neurons
    const own = this.network.parameters[k]!.neuronWeights.subarray(from, from + neurons)
    for (let step = 0; step < steps; step++) values.set(own, step * neurons)
    return values
  }

  /** Return a state at the step that was read before each of some steps, (steps, N). */
  #before(recorded: Recorded, k: number, state: string, first: number, steps: number): Float64Array {
    const { neurons, reverse } = this.network.configuration.layers[k]!
    const array = recorded.layers[k]!.get(state)!
    const values = new Float64Array(steps * neurons)
    for (let step = 0; step < steps; step++) {
      const before = reverse ? first + step + 1 : first + step - 1
      const own = this.network.initial[k]!.get(state)
      if (before >= 0 && before < recorded.steps)
        values.set(array.subarray(before * neurons, (before + 1) * neurons), step * neurons)
      else if (own) values.set(own, step * neurons)
    }
    return values
  }

  #checkDrives(recorded: Recorded, k: number, from: number, out: Float64Array): void {
    const { neurons, cell } = this.network.configuration.layers[k]!
    const { biases, recurrentWeights } = this.network.parameters[k]!
    const recomputed = new Float64Array(neurons)
    const compare = (drive: string, step: number): void => {
      const array = recorded.layers[k]!.get(drive)!
      for (let n = 0; n < neurons; n++)
        out[step - from] = Math.max(out[step - from]!, residual(array[step * neurons + n]!, recomputed[n]!, 0))
    }
    for (let step = from; step < recorded.steps; step++) {
      const vector = this.#input(recorded, k, step)
      for (const [drive, name] of cell.inputDrives.entries()) {
        this.#multiplyInput(k, drive, vector, recorded.inputs[step]!, recomputed)
        for (let n = 0; n < neurons; n++) recomputed[n]! += biases[drive * neurons + n]!
        compare(`x.${name}`, step)
      }
      if (!cell.recurrentDrives.length) continue
      const before = this.#before(recorded, k, 'h', step, 1)
      for (const [drive, name] of cell.recurrentDrives.entries()) {
        multiply(recurrentWeights, drive * neurons * neurons, neurons, neurons, before, 0, null, 0, recomputed, 0)
        compare(`u.${name}`, step)
      }
    }
  }

  /** Return what a layer reads at a step: the vector, or null for a one-hot symbol. */
  #input(recorded: Recorded, k: number, step: number): Float64Array | null {
    const { configuration, embedding } = this.network
    const level = configuration.levels.findIndex((layers) => layers.includes(k))
    const width = configuration.inputs[k]!
    if (level > 0)
      return Float64Array.from(
        configuration.levels[level - 1]!.flatMap((lower) => {
          const { neurons } = configuration.layers[lower]!
          return [...recorded.layers[lower]!.get('h')!.subarray(step * neurons, (step + 1) * neurons)]
        }),
      )
    if (!(recorded.inputs instanceof Int32Array))
      return Float64Array.from(recorded.inputs.subarray(step * width, (step + 1) * width))
    if (embedding === null) return null
    const id = recorded.inputs[step]!
    const known = id >= 0 && id < configuration.vocabulary.size
    return known ? Float64Array.from(embedding.subarray(id * width, (id + 1) * width)) : new Float64Array(width)
  }

  #multiplyInput(k: number, drive: number, vector: Float64Array | null, id: number, out: Float64Array): void {
    const { neurons, inputs, inputWeights } = this.network.parameters[k]!
    const matrix = drive * neurons * inputs
    if (vector !== null) multiply(inputWeights, matrix, neurons, inputs, vector, 0, null, 0, out, 0)
    else for (let n = 0; n < neurons; n++) out[n] = id >= 0 && id < inputs ? inputWeights[matrix + n * inputs + id]! : 0
  }
}
