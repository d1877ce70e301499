// The kernels of native/, compiled to WebAssembly: forward and backward passes of layers of the built-in cells.
//
// There are two ways to run a layer. `forward` and `backward` take and return typed arrays of their own. `runForward` and
// `runBackward` work on blocks in the memory of the kernels, without copies: training keeps its arrays there.
import { BUILTIN_CELLS, type BuiltinCell } from './builtin-cells'
import { EngineError } from './errors'
import { Block, type Exports, KernelMemory, type Numbers, type Precision, precisionOf } from './kernel-memory'
import {
  backwardWords,
  type BackwardPass,
  type Change,
  type ForwardPass,
  forwardWords,
  type Layer,
  type Weights,
} from './kernel-request'

export type { BuiltinCell } from './builtin-cells'
export { Block, KernelMemory, type Numbers, type Precision } from './kernel-memory'
export type { BackwardPass, Change, ForwardPass, Layer, Weights } from './kernel-request'

/**
 * The arguments of a layer. All arrays have the precision of the weights. Weights may be blocks (`placeWeights`), which are
 * not copied.
 */
export interface Request<A extends Numbers> extends Omit<Layer<A, Int32Array>, 'weights'> {
  weights: Weights<A> | Weights<Block<Precision>>
}

export interface ForwardRequest<A extends Numbers> extends Request<A> {
  /** The signals to return. */
  keep: readonly string[]
  /** Known hidden states (T, B, N): every step then reads these instead of those it computes. */
  hidden?: A | null
  /** Whether to return what a backward pass reads. */
  store?: boolean
}

/** All that a backward pass reads of its forward pass: arrays (T, B, N). */
export interface Stored<A extends Numbers> {
  signals: Record<string, A>
  /** In the order of the cell. */
  residuals: A[]
  /** Changed signal -> its values before the change. */
  before: Record<string, A>
}

export interface ForwardResult<A extends Numbers> {
  /** Kept signal -> (T, B, N). */
  signals: Record<string, A>
  /** State -> (B, N), after the last step of each row. */
  final: Record<string, A>
  /** If it was requested. */
  stored: Stored<A> | null
}

/** The arguments of a backward pass: those of the forward pass, what it stored, and gradients of its results. */
export interface BackwardRequest<A extends Numbers> extends Request<A> {
  stored: Stored<A>
  /** Signal -> dL/d signal (T, B, N); missing ones are 0. */
  dSignals?: Readonly<Record<string, A>>
  /** State -> dL/d final state (B, N); missing ones are 0. */
  dFinal?: Readonly<Record<string, A>>
}

export interface BackwardResult<A extends Numbers> {
  /** dL/d vectors (T, B, I); null if the inputs are ids. */
  vectors: A | null
  /** State -> dL/d initial state (B, N). */
  initial: Record<string, A>
  weights: Weights<A>
}

type Keep = <B extends Block>(block: B) => B

/** Return a record with each value replaced. */
function mapped<A, B>(record: Readonly<Record<string, A>> | undefined, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record ?? {}).map(([name, value]) => [name, change(value)]))
}

/** Return a record with a value for each name. */
function record<A>(names: readonly string[], value: (name: string) => A): Record<string, A> {
  return Object.fromEntries(names.map((name) => [name, value(name)]))
}

const mappedWeights = <A, B>(weights: Weights<A>, change: (value: A) => B): Weights<B> => ({
  input: change(weights.input),
  biases: change(weights.biases),
  recurrent: change(weights.recurrent),
  neuron: change(weights.neuron),
})

export class Kernels {
  readonly memory: KernelMemory
  /** The cells that the kernels have. */
  readonly cells: readonly BuiltinCell[]
  private readonly indices = new Map<string, number>()

  constructor(
    private readonly exports: Exports,
    /** Whether this is the build with relaxed SIMD: faster, and its last digits depend on the processor. */
    readonly relaxed: boolean,
  ) {
    this.memory = new KernelMemory(exports)
    for (let k = 0; k < exports.cell_count(); k++) this.indices.set(this.text(exports.cell_key(k)), k)
    this.cells = BUILTIN_CELLS.filter((cell) => this.indices.has(cell.key))
  }

  /** Return the cell with this canonical JSON of its equations; null if the kernels do not have it. */
  cell(tape: string): BuiltinCell | null {
    return this.cells.find((cell) => cell.tape === tape) ?? null
  }

  /** Copy weights into the memory of the kernels, for many runs; `freeWeights` frees them. */
  placeWeights(weights: Weights<Numbers>): Weights<Block<Precision>> {
    return mappedWeights(weights, (values) => this.memory.copy(values))
  }

  freeWeights(weights: Weights<Block>): void {
    mappedWeights(weights, (block) => this.memory.free(block))
  }

  /** Run a layer. */
  forward<A extends Numbers>(request: ForwardRequest<A>): ForwardResult<A> {
    return this.memory.scoped((keep) => {
      const { cell, steps: T, rows: B, neurons: N } = request
      const layer = this.layer(request, keep)
      const take = (size: number) => keep(this.memory.take(layer.precision, size))
      const pass: ForwardPass = {
        ...layer,
        signals: record(request.store ? cell.signals : request.keep, () => take(T * B * N)),
        residuals: request.store ? cell.residuals.map(() => take(T * B * N)) : [],
        before: request.store ? mapped(request.changes, () => take(T * B * N)) : {},
        final: record(cell.states, () => take(B * N)),
        hidden: request.hidden ? this.copied(request.hidden, layer.precision, 'hidden', keep) : null,
      }
      this.runForward(pass)
      const read = (block: Block): A => block.view.slice() as Numbers as A
      const stored = request.store
        ? {
            signals: mapped(pass.signals, read),
            residuals: pass.residuals!.map(read),
            before: mapped(pass.before, read),
          }
        : null
      return {
        signals: record(request.keep, (name) => stored?.signals[name] ?? read(pass.signals[name]!)),
        final: mapped(pass.final, read),
        stored,
      }
    })
  }

  /** Return the gradients of a run of a layer. */
  backward<A extends Numbers>(request: BackwardRequest<A>): BackwardResult<A> {
    return this.memory.scoped((keep) => {
      const { cell, steps: T, rows: B, inputs: I, neurons: N, stored } = request
      const layer = this.layer(request, keep)
      const { precision } = layer
      const take = (size: number) => keep(this.memory.take(precision, size))
      const copied = (array: string) => (values: A) => this.copied(values, precision, array, keep)
      const pass: BackwardPass = {
        ...layer,
        signals: mapped(stored.signals, copied('signals')),
        residuals: stored.residuals.map(copied('residuals')),
        before: mapped(stored.before, copied('before')),
        dSignals: mapped(request.dSignals, copied('dSignals')),
        dFinal: mapped(request.dFinal, copied('dFinal')),
        dVectors: request.vectors ? take(T * B * I) : null,
        dInitial: record(cell.states, () => take(B * N)),
        dWeights: mappedWeights(layer.weights, (block) => take(block.length)),
      }
      this.runBackward(pass)
      const read = (block: Block): A => block.view.slice() as Numbers as A
      return {
        vectors: pass.dVectors ? read(pass.dVectors) : null,
        initial: mapped(pass.dInitial, read),
        weights: mappedWeights(pass.dWeights as Weights<Block>, read),
      }
    })
  }

  /** Run a layer on blocks in the memory of the kernels; writes signals, residuals, `before` and `final`. */
  runForward(pass: ForwardPass): void {
    const name = pass.precision === 'float32' ? 'forward_float' : 'forward_double'
    this.call(name, forwardWords(pass, this.index(pass.cell)))
  }

  /** Write the gradients of a run of a layer into the blocks dVectors, dInitial and dWeights. */
  runBackward(pass: BackwardPass): void {
    const name = pass.precision === 'float32' ? 'backward_float' : 'backward_double'
    this.call(name, backwardWords(pass, this.index(pass.cell)))
  }

  private index(cell: BuiltinCell): number {
    const index = this.indices.get(cell.key)
    if (index === undefined) throw new EngineError('KERNELS_CELL_MISSING', { cell: cell.name })
    return index
  }

  private copied(
    values: Numbers | Block<Precision>,
    precision: Precision,
    array: string,
    keep: Keep,
  ): Block<Precision> {
    if (values instanceof Block) return values
    if (precisionOf(values) !== precision)
      throw new EngineError('KERNELS_ARRAY_TYPE', { array, expected: precision, type: precisionOf(values) })
    return keep(this.memory.copy(values))
  }

  /** Copy the arguments of a layer into the memory. */
  private layer(
    request: Request<Numbers>,
    keep: Keep,
  ): Layer<Block<Precision>, Block<'int64'>> & { precision: Precision } {
    const { input } = request.weights
    const precision = input instanceof Block ? input.kind : precisionOf(input)
    const copied = (array: string) => (values: Numbers | Block<Precision>) =>
      this.copied(values, precision, array, keep)
    const change = (value: Change<Numbers>): Change<Block<Precision>> => ({
      ...value,
      scale: copied('scale')(value.scale),
      shift: copied('shift')(value.shift),
    })
    return {
      ...request,
      precision,
      vectors: request.vectors ? copied('vectors')(request.vectors) : null,
      ids: request.ids ? keep(this.memory.copyIntegers(request.ids)) : null,
      lengths: request.lengths ? keep(this.memory.copyIntegers(request.lengths)) : null,
      weights: mappedWeights<Numbers | Block<Precision>, Block<Precision>>(request.weights, copied('weights')),
      initial: mapped(request.initial, copied('initial')),
      changes: mapped(request.changes, change),
    }
  }

  private call(name: 'forward_float' | 'forward_double' | 'backward_float' | 'backward_double', words: number[]): void {
    const request = this.memory.take('int64', Math.ceil(words.length / 2))
    const stack = this.exports.__stack_pointer.value as number
    let status = 0
    try {
      this.memory.halves.set(words, request.address / 4)
      status = this.exports[name](request.address, words.length)
    } catch (error) {
      // The call ended in the middle: its stack and its working memory are still taken.
      this.exports.__stack_pointer.value = stack
      this.exports.recover()
      if (error instanceof EngineError) throw error
      throw new EngineError('KERNELS_FAILED', { error: String(error) })
    } finally {
      this.memory.free(request)
    }
    if (status === 2) throw new EngineError('KERNELS_LAYER_TOO_LARGE')
    if (status !== 0) throw new EngineError('KERNELS_FAILED', { error: `status ${status}` })
  }

  private text(address: number): string {
    const bytes = new Uint8Array(this.exports.memory.buffer, address)
    return String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0)))
  }
}

function outOfMemory(bytes: number): never {
  throw new EngineError('KERNELS_MEMORY_FULL', { bytes: bytes >>> 0 })
}

/**
 * Compile the kernels: the build with relaxed SIMD where the host has it, else the plain one.
 *
 * Throws an EngineError if the host has no WebAssembly with SIMD, or forbids to compile it.
 */
export async function loadKernels(plain: BufferSource, relaxed: BufferSource): Promise<Kernels> {
  if (typeof WebAssembly === 'undefined') throw new EngineError('KERNELS_UNSUPPORTED')
  const isRelaxed = WebAssembly.validate(relaxed)
  if (!isRelaxed && !WebAssembly.validate(plain)) throw new EngineError('KERNELS_UNSUPPORTED')
  let instance: WebAssembly.Instance
  try {
    const imports = { gatescope: { out_of_memory: outOfMemory } }
    instance = (await WebAssembly.instantiate(isRelaxed ? relaxed : plain, imports)).instance
  } catch (error) {
    throw new EngineError('KERNELS_NOT_COMPILED', { error: String(error) })
  }
  return new Kernels(instance.exports as unknown as Exports, isRelaxed)
}
