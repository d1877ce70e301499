// A trace: every signal of one layer over one text, as it arrives from the server.
import { readTensors, type Tensor, type Tensors, TraceError } from './safetensors'

/** Numbers of every step: `width` of them a step, one step after the other. */
export interface Columns {
  width: number
  data: ArrayLike<number>
}

/** One column of numbers over the steps. */
export function column({ width, data }: Columns, index: number): Float32Array {
  return Float32Array.from({ length: width ? data.length / width : 0 }, (_, step) => data[step * width + index]!)
}

/** One text run through one layer. T steps, N neurons, K predictions a step. */
export class Trace {
  readonly labels: string[]
  readonly token: Int32Array
  readonly start: Uint8Array
  readonly topToken: Int32Array
  readonly topProbability: Float32Array
  readonly top: number
  readonly logProbability: Float32Array
  /** The class that should have been said after each step, -1 where nobody knows; null of what predicts no classes. */
  readonly target: Int32Array | null
  /** The numbers that were read, those that should have been said, and the estimates of these; null where there are none. */
  readonly input: Columns | null
  readonly value: Columns | null
  readonly estimate: Columns | null
  readonly residual: number
  readonly tolerance: number
  readonly holds: boolean
  readonly step: number
  readonly unknown: string[]
  readonly #tensors: Map<string, Tensor>

  constructor({ metadata, tensors }: Tensors) {
    const need = (name: string): Tensor => {
      const found = tensors.get(name)
      if (!found) throw new TraceError(`The trace has no array "${name}".`)
      return found
    }
    this.#tensors = tensors
    this.labels = JSON.parse(metadata['labels'] ?? '[]')
    this.token = need('token').data as Int32Array
    this.start = need('start').data as Uint8Array
    const columns = (name: string): Columns | null => {
      const found = tensors.get(name)
      return found ? { width: found.shape[1] ?? 0, data: found.data } : null
    }
    this.target = (tensors.get('target')?.data as Int32Array | undefined) ?? null
    this.input = columns('input')
    this.value = columns('value')
    this.estimate = columns('estimate')
    // Who estimates numbers has no list of likely symbols.
    this.topToken = this.estimate ? new Int32Array() : (need('top_token').data as Int32Array)
    this.topProbability = this.estimate ? new Float32Array() : (need('top_probability').data as Float32Array)
    this.top = this.estimate ? 0 : (need('top_token').shape[1] ?? 0)
    this.logProbability = this.estimate
      ? new Float32Array(this.token.length).fill(NaN)
      : (need('log_probability').data as Float32Array)
    if (this.labels.length !== this.token.length)
      throw new TraceError(`The trace has ${this.token.length} steps, but ${this.labels.length} labels.`)
    this.residual = Number(metadata['residual'] ?? NaN)
    this.tolerance = Number(metadata['tolerance'] ?? NaN)
    this.holds = metadata['holds'] === 'true'
    this.step = Number(metadata['step'] ?? 0)
    this.unknown = JSON.parse(metadata['unknown'] ?? '[]')
  }

  static read(bytes: ArrayBuffer): Trace {
    return new Trace(readTensors(bytes))
  }

  get steps(): number {
    return this.token.length
  }

  /** Number of rows recorded of "layer0.c", "layer0.x.i" (a drive) or "layer0.p.i" (a parameter); 0 when it was not asked for. */
  rows(name: string): number {
    return this.#tensors.get(name)?.shape[0] ?? 0
  }

  /** Row `index` of a quantity [N, T]: its values at every step. */
  row(name: string, index: number): Float32Array | null {
    const found = this.#tensors.get(name)
    if (!found || index >= (found.shape[0] ?? 0)) return null
    return (found.data as Float32Array).subarray(index * this.steps, (index + 1) * this.steps)
  }

  /** All values of a quantity [N, T], one neuron after the other. */
  values(name: string): Float32Array | null {
    return (this.#tensors.get(name)?.data as Float32Array | undefined) ?? null
  }

  /** A quantity that has one value per neuron and none per step. */
  parameter(name: string, index: number): number | null {
    return this.#tensors.get(name)?.data[index] ?? null
  }
}
