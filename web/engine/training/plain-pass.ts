// A layer of any cell in training: the tape is evaluated forward, and differentiated line by line backward.
//
// T step, B row, N neuron, I input. Gradients are summed in double precision.
import { type Values, zeros } from '../arrays'
import type { Inputs, LayerRequest, Parameters } from '../drives'
import { Evaluator, leafName, runPlain } from '../plain'
import type { LayerPass, LayerStates, TrainedLayer } from './layer-pass'
import { PARTIALS } from './partials'
import type { Weights } from './weights'

export class PlainPass implements LayerPass {
  readonly hidden: Values
  readonly final: LayerStates
  readonly #parameters: Parameters
  readonly #values: ReadonlyMap<string, Values>

  constructor(
    readonly layer: TrainedLayer,
    readonly weights: Weights,
    readonly inputs: Inputs,
    readonly before: LayerStates,
    store: boolean,
  ) {
    const { cell, neurons, reverse, inputs: width, number } = layer
    const value = (name: string): Values => weights.value(`layers.${number}.${name}`)
    this.#parameters = {
      precision: weights.precision,
      neurons,
      inputs: width,
      inputWeights: value('input_weights'),
      biases: value('biases'),
      recurrentWeights: value('recurrent_weights'),
      neuronWeights: value('neuron_weights'),
    }
    const keep = store ? [...new Set([...cell.states, 'h', ...cell.drives])] : ['h']
    const request: LayerRequest = { cell, parameters: this.#parameters, inputs, state: before, reverse, keep, first: 0 }
    const { values, state } = runPlain(request, [])
    this.#values = values
    this.hidden = values.get('h')!
    this.final = state
  }

  backward(dHidden: Values): Values | null {
    const { steps } = this.inputs
    const gradients = new Gradients(this.layer, this.#parameters, this.inputs)
    const step = new StepBack(this.layer, this.#parameters, this.inputs.rows)
    for (let k = 0; k < steps; k++) {
      const t = this.layer.reverse ? k : steps - 1 - k
      this.#load(step, t)
      step.run(dHidden, t, this.#isActive(t))
      gradients.add(step, t)
    }
    const gradient = (name: string): Values => this.weights.gradient(`layers.${this.layer.number}.${name}`)
    gradient('input_weights').set(gradients.input)
    gradient('biases').set(gradients.biases)
    gradient('recurrent_weights').set(gradients.recurrent)
    gradient('neuron_weights').set(gradients.neuron)
    return gradients.vectors
  }

  free(): void {
    // Its arrays are those of JavaScript.
  }

  /** Return, for each row, whether its sequence has a step t. */
  #isActive(t: number): boolean[] {
    const { rows, lengths } = this.inputs
    return Array.from({ length: rows }, (_, row) => lengths === null || t < lengths[row]!)
  }

  /** Fill the drives of a step, and the states before it. */
  #load(step: StepBack, t: number): void {
    const { cell, neurons, reverse } = this.layer
    const { steps, rows } = this.inputs
    const size = rows * neurons
    for (const drive of cell.drives)
      step.leaves.get(drive)!.set(this.#values.get(drive)!.subarray(t * size, (t + 1) * size))
    const earlier = reverse ? t + 1 : t - 1
    const hasEarlier = this.#isActive(earlier)
    for (const name of cell.states)
      for (let row = 0; row < rows; row++) {
        const inside = earlier >= 0 && earlier < steps && hasEarlier[row]!
        const [from, at] = [inside ? this.#values.get(name)! : this.before.get(name)!, row * neurons]
        const place = (inside ? earlier * size : 0) + at
        step.states.get(name)!.set(from.subarray(place, place + neurons), at)
      }
  }
}

/** One step of a tape, backward: from the gradients of its signals to those of its leaves. */
class StepBack {
  /** Leaf of the tape -> (B, N): "x.k", "u.k", "p.k" and "s.k". */
  readonly leaves = new Map<string, Values>()
  /** State -> its value before the step, (B, N); also where the tape does not read it but a recurrent drive does. */
  readonly states = new Map<string, Values>()
  /** Leaf -> dL/d leaf of the step that ran last, (B, N); 0 for rows whose sequence has ended. */
  readonly dLeaves = new Map<string, Float64Array>()
  readonly #evaluator: Evaluator
  readonly #gradients: Float64Array[]
  /** State -> dL/d state after the step, then before it, (B, N). */
  readonly #dStates = new Map<string, Float64Array>()

  constructor(
    readonly layer: TrainedLayer,
    readonly parameters: Parameters,
    readonly rows: number,
  ) {
    const { cell, neurons } = layer
    const size = rows * neurons
    const { precision } = parameters
    for (const drive of cell.drives) this.leaves.set(drive, zeros(precision, size))
    for (const name of cell.states) {
      this.states.set(name, zeros(precision, size))
      this.leaves.set(`s.${name}`, this.states.get(name)!)
      this.#dStates.set(name, new Float64Array(size))
    }
    for (const [k, name] of cell.parameters.entries()) {
      const values = parameters.neuronWeights.subarray(k * neurons, (k + 1) * neurons)
      const repeated = zeros(precision, size)
      for (let row = 0; row < rows; row++) repeated.set(values, row * neurons)
      this.leaves.set(`p.${name}`, repeated)
    }
    this.#evaluator = new Evaluator(cell, precision, size, this.leaves, false)
    this.#gradients = cell.nodes.map(() => new Float64Array(size))
    for (const [line, { kind, label }] of cell.nodes.entries())
      if (kind !== 'constant' && label !== '') this.dLeaves.set(leafName(kind, String(label)), this.#gradients[line]!)
  }

  /** Differentiate a step, given the gradient of all hidden states (T, B, N), and carry the states' gradient back. */
  run(dHidden: Values, t: number, active: readonly boolean[]): void {
    const { cell, neurons } = this.layer
    const size = this.rows * neurons
    this.#evaluator.run(null)
    for (const gradient of this.#gradients) gradient.fill(0)
    for (const [row, isActive] of active.entries()) {
      if (!isActive) continue
      for (let k = row * neurons; k < (row + 1) * neurons; k++) {
        this.#gradients[cell.signals.get('h')!]![k]! += dHidden[t * size + k]!
        for (const name of cell.states) this.#gradients[cell.signals.get(name)!]![k]! += this.#dStates.get(name)![k]!
      }
    }
    for (let line = cell.nodes.length - 1; line >= 0; line--) this.#differentiate(line)
    for (const name of cell.states) {
      const carried = this.#dStates.get(name)!
      const before = this.dLeaves.get(`s.${name}`)
      for (const [row, isActive] of active.entries())
        for (let k = row * neurons; isActive && k < (row + 1) * neurons; k++) carried[k] = before?.[k] ?? 0
    }
    for (const [drive, name] of cell.recurrentDrives.entries()) {
      const matrix = this.parameters.recurrentWeights.subarray(drive * neurons ** 2, (drive + 1) * neurons ** 2)
      addTransposed(matrix, this.dLeaves.get(`u.${name}`)!, this.#dStates.get('h')!, neurons, neurons)
    }
  }

  /** Add the gradient of a line to those of its arguments. */
  #differentiate(line: number): void {
    const { kind, arguments: operands } = this.layer.cell.nodes[line]!
    const [gradient, y] = [this.#gradients[line]!, this.#evaluator.line(line)]
    const [a, b] = [this.#evaluator.line(operands[0] ?? 0), this.#evaluator.line(operands[1] ?? operands[0] ?? 0)]
    for (const [place, operand] of operands.entries()) {
      const partial = PARTIALS.get(kind)![place]!
      const out = this.#gradients[operand]!
      // A slope may be infinite where nothing depends on the line, as behind the end of a row.
      for (let k = 0; k < out.length; k++) if (gradient[k] !== 0) out[k]! += gradient[k]! * partial(y[k]!, a[k]!, b[k]!)
    }
  }
}

/** The sums of the gradients of a layer over all steps and rows. */
class Gradients {
  readonly input: Float64Array
  readonly biases: Float64Array
  readonly recurrent: Float64Array
  readonly neuron: Float64Array
  /** (T, B, I); null if the inputs are ids. */
  readonly vectors: Values | null

  constructor(
    readonly layer: TrainedLayer,
    readonly parameters: Parameters,
    readonly inputs: Inputs,
  ) {
    this.input = new Float64Array(parameters.inputWeights.length)
    this.biases = new Float64Array(parameters.biases.length)
    this.recurrent = new Float64Array(parameters.recurrentWeights.length)
    this.neuron = new Float64Array(parameters.neuronWeights.length)
    this.vectors = inputs.vectors === null ? null : zeros(parameters.precision, inputs.vectors.length)
  }

  /** Add the gradients of a step. */
  add(step: StepBack, t: number): void {
    const { cell, neurons } = this.layer
    const { rows } = this.inputs
    for (const [k, name] of cell.inputDrives.entries()) this.#addInput(step.dLeaves.get(`x.${name}`)!, k, t)
    for (const [k, name] of cell.recurrentDrives.entries()) {
      const gradient = step.dLeaves.get(`u.${name}`)!
      const [h, at] = [step.states.get('h')!, k * neurons * neurons]
      for (let row = 0; row < rows; row++)
        addOuter(this.recurrent, at, gradient, row * neurons, neurons, h, row * neurons, neurons)
    }
    for (const [k, name] of cell.parameters.entries())
      step.dLeaves.get(`p.${name}`)!.forEach((value, place) => {
        this.neuron[k * neurons + (place % neurons)]! += value
      })
  }

  #addInput(gradient: Float64Array, drive: number, t: number): void {
    const { neurons, inputs: width } = this.layer
    const { rows, ids, vectors } = this.inputs
    gradient.forEach((value, place) => {
      this.biases[drive * neurons + (place % neurons)]! += value
    })
    const at = drive * neurons * width
    if (vectors === null) {
      for (let row = 0; row < rows; row++) {
        const id = ids![t * rows + row]!
        if (id < 0 || id >= width) continue
        for (let n = 0; n < neurons; n++) this.input[at + n * width + id]! += gradient[row * neurons + n]!
      }
      return
    }
    for (let row = 0; row < rows; row++)
      addOuter(this.input, at, gradient, row * neurons, neurons, vectors, (t * rows + row) * width, width)
    const matrix = this.parameters.inputWeights.subarray(at, at + neurons * width)
    const from = t * rows * width
    addTransposed(matrix, gradient, this.vectors!.subarray(from, from + rows * width), neurons, width)
  }
}

/** Add the product of a column and a row to a matrix (rows, columns) that begins at `at`. */
function addOuter(
  out: Float64Array,
  at: number,
  column: Float64Array,
  c: number,
  rows: number,
  row: Values,
  r: number,
  columns: number,
): void {
  for (let n = 0; n < rows; n++) {
    const factor = column[c + n]!
    for (let k = 0; factor !== 0 && k < columns; k++) out[at + n * columns + k]! += factor * row[r + k]!
  }
}

/** Add to each row of `out` (B, columns) the product of a row of `values` (B, rows) and a matrix (rows, columns). */
function addTransposed(matrix: Values, values: Float64Array, out: Values, rows: number, columns: number): void {
  for (let b = 0; b * rows < values.length; b++)
    for (let n = 0; n < rows; n++) {
      const factor = values[b * rows + n]!
      for (let k = 0; factor !== 0 && k < columns; k++) out[b * columns + k]! += factor * matrix[n * columns + k]!
    }
}
