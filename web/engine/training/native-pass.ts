// A layer of a built-in cell in training: the kernels run both passes.
//
// T step, B row, N neuron, I input.
import type { Values } from '../arrays'
import type { BuiltinCell } from '../builtin-cells'
import type { Inputs } from '../drives'
import type { Block, ForwardPass, Kernels, Precision } from '../kernels'
import type { LayerPass, LayerStates, TrainedLayer } from './layer-pass'
import type { Weights } from './weights'

const NAMES = { input: 'input_weights', biases: 'biases', recurrent: 'recurrent_weights', neuron: 'neuron_weights' }
type Part = keyof typeof NAMES
const PARTS = Object.keys(NAMES) as Part[]

export class NativePass implements LayerPass {
  readonly #blocks: Block[] = []
  readonly #pass: ForwardPass
  readonly hidden: Values
  readonly final: LayerStates

  /**
   * Run the layer from the states `before` the first step. Without `store`, there is no backward pass.
   */
  constructor(
    readonly kernels: Kernels,
    readonly cell: BuiltinCell,
    readonly layer: TrainedLayer,
    readonly weights: Weights,
    inputs: Inputs,
    before: LayerStates,
    store: boolean,
  ) {
    const { neurons, reverse } = layer
    const { steps, rows } = inputs
    const take = (size: number): Block<Precision> => this.#take(size)
    const each = (names: readonly string[], size: number): Record<string, Block<Precision>> =>
      Object.fromEntries(names.map((name) => [name, take(size)]))
    try {
      this.#pass = {
        cell,
        precision: weights.precision,
        steps,
        rows,
        inputs: layer.inputs,
        neurons,
        reverse,
        vectors: inputs.vectors === null ? null : this.#copy(inputs.vectors),
        ids: inputs.ids === null ? null : this.#keep(kernels.memory.copyIntegers(inputs.ids)),
        lengths: inputs.lengths === null ? null : this.#keep(kernels.memory.copyIntegers(inputs.lengths)),
        weights: this.#eachPart((part) => this.#copy(weights.value(this.#name(part)))),
        initial: Object.fromEntries([...before].map(([name, values]) => [name, this.#copy(values)])),
        signals: each(store ? cell.signals : ['h'], steps * rows * neurons),
        residuals: store ? cell.residuals.map(() => take(steps * rows * neurons)) : [],
        final: each(cell.states, rows * neurons),
      }
      kernels.runForward(this.#pass)
    } catch (error) {
      this.free()
      throw error
    }
    this.hidden = this.#pass.signals['h']!.view.slice()
    this.final = new Map(cell.states.map((name) => [name, this.#pass.final![name]!.view.slice()]))
  }

  backward(dHidden: Values): Values | null {
    const pass = this.#pass
    const dWeights = this.#eachPart((part) => this.#take(pass.weights[part].length))
    const dVectors = pass.vectors ? this.#take(pass.vectors.length) : null
    this.kernels.runBackward({ ...pass, dSignals: { h: this.#copy(dHidden) }, dWeights, dVectors })
    for (const part of PARTS) this.weights.gradient(this.#name(part)).set(dWeights[part].view)
    return dVectors === null ? null : dVectors.view.slice()
  }

  free(): void {
    for (const block of this.#blocks.splice(0).reverse()) this.kernels.memory.free(block)
  }

  #name(part: Part): string {
    return `layers.${this.layer.number}.${NAMES[part]}`
  }

  #eachPart<A>(make: (part: Part) => A): Record<Part, A> {
    return Object.fromEntries(PARTS.map((part) => [part, make(part)])) as Record<Part, A>
  }

  #keep<B extends Block>(block: B): B {
    this.#blocks.push(block)
    return block
  }

  #take(size: number): Block<Precision> {
    return this.#keep(this.kernels.memory.take(this.weights.precision, size))
  }

  #copy(values: Values): Block<Precision> {
    return this.#keep(this.kernels.memory.copy(values))
  }
}
