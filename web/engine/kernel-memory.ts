// Arrays in the linear memory of the kernels.
import { EngineError } from './errors'

/** The type of the numbers of a block; int64 holds symbol ids and lengths. */
export type Kind = 'float32' | 'float64' | 'int64'
export type Precision = 'float32' | 'float64'
export type Numbers = Float32Array | Float64Array

/** The functions of the module (native/wasm/entry.cpp). */
export interface Exports {
  memory: WebAssembly.Memory
  __stack_pointer: WebAssembly.Global
  take: (bytes: number) => number
  give: (address: number, bytes: number) => void
  recover: () => void
  cell_count: () => number
  cell_key: (cell: number) => number
  forward_float: (request: number, words: number) => number
  forward_double: (request: number, words: number) => number
  backward_float: (request: number, words: number) => number
  backward_double: (request: number, words: number) => number
}

const BYTES: Readonly<Record<Kind, number>> = { float32: 4, float64: 8, int64: 8 }
const MAX_BLOCK_BYTES = 2 ** 31 - 65536

export const precisionOf = (values: Numbers): Precision => (values instanceof Float32Array ? 'float32' : 'float64')

/**
 * An array in the memory of the kernels, or a part of one.
 *
 * `view` gives a typed array on the memory itself. The memory may grow with every `take` and with every pass, after which
 * old views have no elements: do not store a view beyond such a call.
 */
export class Block<K extends Kind = Kind> {
  constructor(
    private readonly memory: KernelMemory,
    readonly kind: K,
    readonly address: number,
    readonly length: number,
  ) {}

  get view(): K extends 'float32' ? Float32Array : K extends 'float64' ? Float64Array : BigInt64Array {
    const from = this.address / BYTES[this.kind]
    // The type of the view follows from the kind, which TypeScript does not see in an index.
    return this.memory.views[this.kind].subarray(from, from + this.length) as never
  }

  /** Write whole numbers of 32 bits; for a block of ids or lengths. */
  setIntegers(values: Int32Array): void {
    const halves = this.memory.halves
    let at = this.address / 4
    for (const value of values) {
      halves[at++] = value
      halves[at++] = value >> 31
    }
  }

  /** Return `length` numbers from index `from` on as a block of their own; it is freed with this one. */
  part(from: number, length: number): Block<K> {
    if (!(from >= 0 && length >= 0 && from + length <= this.length))
      throw new EngineError('KERNELS_PART_OUTSIDE', { from, length, size: this.length })
    return new Block(this.memory, this.kind, this.address + from * BYTES[this.kind], length)
  }
}

/** Takes blocks from the memory of the kernels and reuses those that were freed. */
export class KernelMemory {
  private buffer: ArrayBuffer | null = null
  private current!: { float32: Float32Array; float64: Float64Array; int64: BigInt64Array }
  private words!: Int32Array

  constructor(private readonly exports: Exports) {}

  /** Typed arrays on the whole memory, made again after it has grown. */
  get views(): { float32: Float32Array; float64: Float64Array; int64: BigInt64Array } {
    this.renew()
    return this.current
  }

  /** The whole memory as 32-bit words. */
  get halves(): Int32Array {
    this.renew()
    return this.words
  }

  private renew(): void {
    const buffer = this.exports.memory.buffer as ArrayBuffer
    if (buffer === this.buffer) return
    this.buffer = buffer
    this.current = {
      float32: new Float32Array(buffer),
      float64: new Float64Array(buffer),
      int64: new BigInt64Array(buffer),
    }
    this.words = new Int32Array(buffer)
  }

  /** Return a block with undefined contents. Throws KERNELS_MEMORY_FULL. */
  take<K extends Kind>(kind: K, length: number): Block<K> {
    const bytes = length * BYTES[kind]
    const address = bytes <= MAX_BLOCK_BYTES ? this.exports.take(bytes) >>> 0 : 0
    if (address === 0) throw new EngineError('KERNELS_MEMORY_FULL', { bytes })
    return new Block(this, kind, address, length)
  }

  /** Return a block with these numbers. */
  copy(values: Numbers): Block<Precision> {
    const block = this.take(precisionOf(values), values.length)
    block.view.set(values)
    return block
  }

  /** Return a block of whole numbers with these numbers. */
  copyIntegers(values: Int32Array): Block<'int64'> {
    const block = this.take('int64', values.length)
    block.setIntegers(values)
    return block
  }

  /** Free a block for later use; parts of it must not be used any more, and must not be freed. */
  free(block: Block): void {
    this.exports.give(block.address, block.length * BYTES[block.kind])
  }

  /** Run a function with a list; free every block of the list afterwards, also after an error. */
  scoped<R>(use: (keep: <B extends Block>(block: B) => B) => R): R {
    const blocks: Block[] = []
    try {
      return use((block) => {
        blocks.push(block)
        return block
      })
    } finally {
      for (const block of blocks.reverse()) this.free(block)
    }
  }
}
