// The native engine: layers of the built-in cells, run by the kernels in WebAssembly.
import type { Values } from './arrays'
import type { BuiltinCell } from './builtin-cells'
import {
  emptyResult,
  type LayerRequest,
  type LayerResult,
  type Parameters,
  multiplyDrives,
  writeInputDrive,
} from './drives'
import { type Change, joined } from './interventions'
import type { Block, Kernels, Precision, Weights } from './kernels'

/** One layer whose weights are in the memory of the kernels, so that a short run does not copy them. */
export class NativeLayer {
  readonly #weights: Weights<Block<Precision>>

  constructor(
    readonly kernels: Kernels,
    readonly cell: BuiltinCell,
    parameters: Parameters,
  ) {
    const copied: Block<Precision>[] = []
    const copy = (values: Values): Block<Precision> => {
      copied.push(kernels.memory.copy(values))
      return copied.at(-1)!
    }
    try {
      this.#weights = {
        input: copy(parameters.inputWeights),
        biases: copy(parameters.biases),
        recurrent: copy(parameters.recurrentWeights),
        neuron: copy(parameters.neuronWeights),
      }
    } catch (error) {
      for (const block of copied) kernels.memory.free(block)
      throw error
    }
  }

  /** Free the weights; the layer cannot run any more. */
  free(): void {
    for (const block of Object.values(this.#weights)) this.kernels.memory.free(block as Block)
  }

  /** Run the layer; see `LayerRequest`. */
  run(request: LayerRequest, changes: readonly Change[]): LayerResult {
    const { keep, inputs, parameters } = request
    const needsHidden = keep.some((name) => name.startsWith('u.'))
    const signals = this.cell.signals.filter((name) => keep.includes(name) || (needsHidden && name === 'h'))
    const result = this.#signals({ ...request, keep: signals }, changes)
    const drives = keep.filter((name) => !this.cell.signals.includes(name))
    const { values } = emptyResult({ ...request, keep: drives }, result.state)
    for (const name of drives) writeDrive(request, name, result.values.get('h'), values.get(name)!)
    const size = inputs.rows * parameters.neurons
    if (inputs.lengths !== null)
      for (const array of values.values()) clearPadding(array, inputs.lengths, size, parameters.neurons)
    return {
      values: new Map([...result.values, ...values].filter(([name]) => keep.includes(name))),
      state: result.state,
    }
  }

  #signals(request: LayerRequest, changes: readonly Change[]): LayerResult {
    const { inputs, parameters, keep, state, reverse, first } = request
    const { precision, neurons } = parameters
    const { steps, rows } = inputs
    const { memory } = this.kernels
    return memory.scoped((free) => {
      const copy = (values: Values): Block<Precision> => free(memory.copy(values))
      const take = (size: number): Block<Precision> => free(memory.take(precision, size))
      const each = <A>(names: readonly string[], make: (name: string) => A): Record<string, A> =>
        Object.fromEntries(names.map((name) => [name, make(name)]))
      const acting = joined(changes, precision, first, steps, rows, neurons)
      const pass = {
        cell: this.cell,
        precision,
        steps,
        rows,
        inputs: parameters.inputs,
        neurons,
        reverse,
        vectors: inputs.vectors === null ? null : copy(inputs.vectors),
        ids: inputs.ids === null ? null : free(memory.copyIntegers(inputs.ids)),
        lengths: inputs.lengths === null ? null : free(memory.copyIntegers(inputs.lengths)),
        weights: this.#weights,
        initial: state === null ? {} : each(this.cell.states, (name) => copy(state.get(name)!)),
        changes: each([...acting.keys()], (name) => {
          const { scale, shift, byStep, byRow } = acting.get(name)!
          const rowStride = byRow ? neurons : 0
          const stepStride = byStep ? (byRow ? rows : 1) * neurons : 0
          return { scale: copy(scale), shift: copy(shift), stepStride, rowStride }
        }),
        signals: each(keep, () => take(steps * rows * neurons)),
        final: each(this.cell.states, () => take(rows * neurons)),
      }
      this.kernels.runForward(pass)
      const read = (blocks: Record<string, Block<Precision>>): Map<string, Values> =>
        new Map(Object.entries(blocks).map(([name, block]) => [name, block.view.slice() as Values]))
      return { values: read(pass.signals), state: read(pass.final) }
    })
  }
}

/** Write a drive of all steps, (T, B, N), from the inputs or from the hidden states (T, B, N). */
function writeDrive(request: LayerRequest, name: string, hidden: Values | undefined, out: Values): void {
  const { cell, inputs, parameters, reverse, state } = request
  const size = inputs.rows * parameters.neurons
  const label = name.slice(2)
  if (name.startsWith('x.')) {
    const drive = cell.inputDrives.indexOf(label)
    for (let t = 0; t < inputs.steps; t++) writeInputDrive(request, drive, t, out, t * size)
    return
  }
  const drive = cell.recurrentDrives.indexOf(label)
  for (let t = 0; t < inputs.steps; t++) {
    const before = stateBefore(request, hidden!, state?.get('h') ?? null, reverse ? t + 1 : t - 1, t)
    if (before !== null) multiplyDrives(parameters, drive, inputs.rows, before, 0, out, t * size)
  }
}

/** Return the hidden states (B, N) that a step reads: those of step `before`, or the first ones; null if these are 0. */
function stateBefore(
  { inputs, parameters, reverse }: LayerRequest,
  hidden: Values,
  start: Values | null,
  before: number,
  t: number,
): Values | null {
  const { neurons } = parameters
  const size = inputs.rows * neurons
  if (before < 0 || before >= inputs.steps) return start
  const states = hidden.subarray(before * size, (before + 1) * size)
  const { lengths } = inputs
  if (!reverse || lengths === null || lengths.every((length) => t !== length - 1)) return states
  // A row that is read from its end begins at its last step.
  const mixed = states.slice()
  lengths.forEach((length, row) => {
    if (t !== length - 1) return
    const [from, to] = [row * neurons, (row + 1) * neurons]
    if (start === null) mixed.fill(0, from, to)
    else mixed.set(start.subarray(from, to), from)
  })
  return mixed
}

/** Set the steps after the end of each row to 0. */
function clearPadding(values: Values, lengths: Int32Array, size: number, neurons: number): void {
  for (let t = 0; t * size < values.length; t++)
    lengths.forEach((length, row) => {
      if (t >= length) values.fill(0, t * size + row * neurons, t * size + (row + 1) * neurons)
    })
}
