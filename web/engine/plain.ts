// The plain engine: the tape of any cell, evaluated on typed arrays, step after step.
//
// T step, B row of the batch, I input, N neuron. Every line of the tape has one array of B · N numbers; each result is
// rounded to the precision of the layer.
import { type Precision, type Values, zeros } from './arrays'
import type { Cell } from './cell'
import { apply, type Change } from './interventions'
import { emptyResult, type LayerRequest, type LayerResult, multiplyDrives, writeInputDrive } from './drives'
import { OPERATIONS } from './operations'

/** The evaluation of one step of a tape on arrays of one size. */
export class Evaluator {
  readonly #values: Values[]
  readonly #lines: { apply: (a: number, b: number) => number; out: Values; a: Values; b: Values; line: number }[] = []
  /** Leaves that are signals: a change must not reach the array of the leaf itself. */
  readonly #copies: { from: Values; to: Values; line: number }[] = []

  /**
   * `leaves` has the array of each drive ("x.k"), parameter ("p.k") and state ("s.k") of the cell. They are read again
   * at every step, so the caller fills them before each call.
   */
  constructor(
    readonly cell: Cell,
    precision: Precision,
    readonly size: number,
    leaves: ReadonlyMap<string, Values>,
    changed: boolean,
  ) {
    this.#values = []
    for (const [line, node] of cell.nodes.entries()) {
      const operation = OPERATIONS.get(node.kind)
      if (operation) {
        const out = zeros(precision, size)
        const [a = 0, b = a] = node.arguments
        this.#lines.push({ apply: operation.apply, out, a: this.#values[a]!, b: this.#values[b]!, line })
        this.#values.push(out)
        continue
      }
      if (node.kind === 'constant') {
        this.#values.push(zeros(precision, size).fill(node.label as number))
        continue
      }
      const leaf = leaves.get(leafName(node.kind, String(node.label)))!
      const copy = changed && cell.stops.has(line)
      const value = copy ? zeros(precision, size) : leaf
      if (copy) this.#copies.push({ from: leaf, to: value, line })
      this.#values.push(value)
    }
  }

  /** Return the array of a signal, which the next call overwrites. */
  signal(name: string): Values {
    return this.#values[this.cell.signals.get(name)!]!
  }

  /** Return the array of a line, which the next call overwrites. */
  line(number: number): Values {
    return this.#values[number]!
  }

  /** Compute all signals of one step; `change` is called with the name and values of each signal. */
  run(change: ((signal: string, values: Values) => void) | null): void {
    const { stops } = this.cell
    for (const { from, to, line } of this.#copies) {
      to.set(from)
      change?.(stops.get(line)!, to)
    }
    for (const { apply: operation, out, a, b, line } of this.#lines) {
      for (let k = 0; k < out.length; k++) out[k] = operation(a[k]!, b[k]!)
      if (change && stops.has(line)) change(stops.get(line)!, out)
    }
  }
}

/** Return the name of a leaf among all leaves: drives have a prefix already. */
export function leafName(kind: string, label: string): string {
  return kind === 'drive' ? label : `${kind === 'state' ? 's' : 'p'}.${label}`
}

/** Run one layer; see `LayerRequest`. */
export function runPlain(request: LayerRequest, changes: readonly Change[]): LayerResult {
  const { cell, parameters, inputs, keep, reverse, first } = request
  const { precision, neurons } = parameters
  const { steps, rows } = inputs
  const size = rows * neurons
  const leaves = new Map<string, Values>()
  for (const drive of cell.drives) leaves.set(drive, zeros(precision, size))
  for (const [k, name] of cell.parameters.entries()) {
    const values = parameters.neuronWeights.subarray(k * neurons, (k + 1) * neurons)
    const repeated = zeros(precision, size)
    for (let row = 0; row < rows; row++) repeated.set(values, row * neurons)
    leaves.set(`p.${name}`, repeated)
  }
  const state = new Map<string, Values>()
  for (const name of cell.states) {
    state.set(name, zeros(precision, size))
    const before = request.state?.get(name)
    if (before) state.get(name)!.set(before)
    leaves.set(`s.${name}`, state.get(name)!)
  }
  const evaluator = new Evaluator(cell, precision, size, leaves, changes.length > 0)
  const result = emptyResult(request, state)
  // States that are the leaf of another state: they must be copied before that one is overwritten.
  const leavesOfStates = new Set(state.values())
  const overwritten = new Set(cell.states.filter((name) => leavesOfStates.has(evaluator.signal(name))))
  for (let k = 0; k < steps; k++) {
    const t = reverse ? steps - 1 - k : k
    for (const [drive, name] of cell.inputDrives.entries())
      writeInputDrive(request, drive, t, leaves.get(`x.${name}`)!, 0)
    for (const [drive, name] of cell.recurrentDrives.entries())
      multiplyDrives(parameters, drive, rows, state.get('h')!, 0, leaves.get(`u.${name}`)!, 0)
    evaluator.run(changes.length ? (signal, values) => apply(changes, signal, first + t, values, neurons) : null)
    for (const name of keep)
      copyInside(
        inputs.lengths,
        t,
        cell.signals.has(name) ? evaluator.signal(name) : leaves.get(name)!,
        result.values.get(name)!,
        t * size,
        neurons,
      )
    const after = cell.states.map((name) =>
      overwritten.has(name) ? evaluator.signal(name).slice() : evaluator.signal(name),
    )
    cell.states.forEach((name, j) => copyInside(inputs.lengths, t, after[j]!, state.get(name)!, 0, neurons))
  }
  return result
}

/** Copy the rows (B, N) whose sequence has not ended at a step to `out` from `at` on. */
function copyInside(
  lengths: Int32Array | null,
  t: number,
  values: Values,
  out: Values,
  at: number,
  neurons: number,
): void {
  if (lengths === null) {
    out.set(values, at)
    return
  }
  lengths.forEach((length, row) => {
    if (t < length) out.set(values.subarray(row * neurons, (row + 1) * neurons), at + row * neurons)
  })
}
