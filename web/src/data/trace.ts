// A trace: every signal of one layer over one text, as it arrives from the server.
import { text } from '../messages/text'
import { readTensors, type Tensor, type Tensors, TraceError } from './safetensors'

/** Numbers of every step, `width` per step, one step after the other. */
export interface Columns {
  width: number
  data: ArrayLike<number>
}

/** Return one column of numbers over the steps. */
export function column({ width, data }: Columns, index: number): Float32Array {
  return Float32Array.from({ length: width ? data.length / width : 0 }, (_, step) => data[step * width + index]!)
}

/** Before the names of the arrays of the neuron that was requested besides. */
const DETAIL = 'detail.'

/** One text run through one layer. T steps, N neurons, K predictions a step. */
export class Trace {
  readonly labels: string[]
  readonly token: Int32Array
  readonly start: Uint8Array
  readonly topToken: Int32Array
  readonly topProbability: Float32Array
  readonly top: number
  readonly logProbability: Float32Array
  /** The target class of each step, -1 if unknown; null for networks that predict no classes. */
  readonly target: Int32Array | null
  /** The input numbers, the target numbers and the estimates; null if there are none. */
  readonly input: Columns | null
  readonly value: Columns | null
  readonly estimate: Columns | null
  readonly residual: number
  readonly tolerance: number
  readonly holds: boolean
  readonly step: number
  readonly unknown: string[]
  /** The code of the engine that computed it: "native", "plain", "browser-native", ...; empty for an empty text. */
  readonly engine: string
  readonly #tensors: Map<string, Tensor>
  readonly #metadata: Tensors['metadata']

  constructor({ metadata, tensors }: Tensors) {
    const tensorOf = (name: string): Tensor => {
      const tensor = tensors.get(name)
      if (!tensor) throw new TraceError(text('TRACE_ARRAY_MISSING', { name }))
      return tensor
    }
    this.#tensors = tensors
    this.#metadata = metadata
    this.labels = JSON.parse(metadata['labels'] ?? '[]')
    this.token = tensorOf('token').data as Int32Array
    this.start = tensorOf('start').data as Uint8Array
    const columns = (name: string): Columns | null => {
      const tensor = tensors.get(name)
      return tensor ? { width: tensor.shape[1] ?? 0, data: tensor.data } : null
    }
    this.target = (tensors.get('target')?.data as Int32Array | undefined) ?? null
    this.input = columns('input')
    this.value = columns('value')
    this.estimate = columns('estimate')
    // Networks that estimate numbers have no list of likely symbols.
    this.topToken = this.estimate ? new Int32Array() : (tensorOf('top_token').data as Int32Array)
    this.topProbability = this.estimate ? new Float32Array() : (tensorOf('top_probability').data as Float32Array)
    this.top = this.estimate ? 0 : (tensorOf('top_token').shape[1] ?? 0)
    this.logProbability = this.estimate
      ? new Float32Array(this.token.length).fill(NaN)
      : (tensorOf('log_probability').data as Float32Array)
    if (this.labels.length !== this.token.length)
      throw new TraceError(text('TRACE_LABELS_WRONG', { steps: this.token.length, labels: this.labels.length }))
    // "null": the equations are checked later.
    this.residual = Number(metadata['residual'] ?? NaN)
    this.tolerance = Number(metadata['tolerance'] ?? NaN)
    this.holds = metadata['holds'] === 'true'
    this.step = Number(metadata['step'] ?? 0)
    this.unknown = JSON.parse(metadata['unknown'] ?? '[]')
    this.engine = metadata['engine'] ?? ''
  }

  /** The neuron of which everything was requested besides, as a trace of one neuron; null if there is none. */
  get detail(): Trace | null {
    const own = [...this.#tensors].filter(([name]) => name.startsWith(DETAIL))
    if (!own.length) return null
    const ofSteps = [...this.#tensors].filter(([name]) => !name.includes('.'))
    const renamed = own.map(([name, tensor]): [string, Tensor] => [name.slice(DETAIL.length), tensor])
    return new Trace({ metadata: this.#metadata, tensors: new Map([...ofSteps, ...renamed]) })
  }

  static read(bytes: ArrayBuffer): Trace {
    return new Trace(readTensors(bytes))
  }

  get steps(): number {
    return this.token.length
  }

  /** Return the number of rows of "layer0.c", "layer0.x.i" (a drive) or "layer0.p.i" (a parameter); 0 if absent. */
  rows(name: string): number {
    return this.#tensors.get(name)?.shape[0] ?? 0
  }

  /** Return row `index` of an array [N, T]: its values at every step. */
  row(name: string, index: number): Float32Array | null {
    const tensor = this.#tensors.get(name)
    if (!tensor || index >= (tensor.shape[0] ?? 0)) return null
    return (tensor.data as Float32Array).subarray(index * this.steps, (index + 1) * this.steps)
  }

  /** Return all values of an array [N, T], one neuron after the other. */
  values(name: string): Float32Array | null {
    return (this.#tensors.get(name)?.data as Float32Array | undefined) ?? null
  }

  /** Return the value of one neuron in an array without steps. */
  parameter(name: string, index: number): number | null {
    return this.#tensors.get(name)?.data[index] ?? null
  }
}
