// All weights of a network as one array, and their gradients as another: views give each weight by its name.
import { type Precision, type Values, zeros } from '../arrays'
import { type Configuration, expectedTensors } from '../configuration'
import { initialWeights } from '../initial-weights'
import { type Tensor, writeTensors } from '../tensors'
import { readWeights } from '../weights'

interface Place {
  from: number
  size: number
  shape: number[]
}

export class Weights {
  /** Trained weights, one after the other. */
  readonly values: Values
  readonly gradients: Values
  readonly #places = new Map<string, Place>()
  /** Initial states, which training does not change. */
  readonly #constants = new Map<string, { shape: number[]; data: Values }>()

  constructor(
    configuration: Configuration,
    readonly precision: Precision,
    values: ReadonlyMap<string, Values>,
  ) {
    let from = 0
    for (const [name, shape] of expectedTensors(configuration)) {
      const data = values.get(name)!
      if (name.startsWith('initial.')) {
        this.#constants.set(name, { shape, data })
        continue
      }
      this.#places.set(name, { from, size: data.length, shape })
      from += data.length
    }
    this.values = zeros(precision, from)
    this.gradients = zeros(precision, from)
    for (const [name, { from: place }] of this.#places) this.values.set(values.get(name)!, place)
  }

  /** Return the initial weights of a seed. */
  static initial(configuration: Configuration, seed: number | bigint, precision: Precision): Weights {
    return new Weights(configuration, precision, initialWeights(configuration, seed, precision))
  }

  /** Return the weights of a file. Throws an EngineError if it is damaged or belongs to another network. */
  static read(configuration: Configuration, bytes: ArrayBuffer, precision: Precision): Weights {
    const { values } = readWeights(configuration, bytes, precision)
    const names = [...expectedTensors(configuration).keys()]
    return new Weights(configuration, precision, new Map(names.map((name) => [name, values(name)])))
  }

  /** The names of the trained weights, in order. */
  get names(): string[] {
    return [...this.#places.keys()]
  }

  value(name: string): Values {
    return this.#view(this.values, name)
  }

  gradient(name: string): Values {
    return this.#view(this.gradients, name)
  }

  /** Return arrays of the same length as all trained weights by the names of these weights. */
  named(values: Values): Map<string, Tensor> {
    return new Map([...this.#places].map(([name, { shape }]) => [name, { shape, data: this.#view(values, name) }]))
  }

  /** Return an initial state (N,); null where it is 0. */
  initialState(layer: number, state: string): Values | null {
    return this.#constants.get(`initial.${layer}.${state}`)?.data ?? null
  }

  /** Return the bytes of weights.safetensors, for `values` of other weights of this network if they are given. */
  toBytes(step: number, values: Values = this.values): ArrayBuffer {
    const tensors = new Map<string, Tensor>([...this.#constants, ...this.named(values)])
    return writeTensors({ metadata: { step: String(step) }, tensors })
  }

  #view(all: Values, name: string): Values {
    const { from, size } = this.#places.get(name)!
    return all.subarray(from, from + size)
  }
}
