// One layer over the steps of a batch, run by one of two engines.
import type { Cell } from './cell'
import type { LayerRequest, LayerResult, Parameters } from './drives'
import { EngineError } from './errors'
import type { Change } from './interventions'
import type { Kernels } from './kernels'
import { NativeLayer } from './native'
import { runPlain } from './plain'

/** `native`: the kernels in WebAssembly, for the built-in cells; `plain`: the tape of any cell on typed arrays. */
export type EngineName = 'native' | 'plain'

/** Errors of the kernels after which the plain engine may still succeed. */
const TOO_LARGE = ['KERNELS_LAYER_TOO_LARGE', 'KERNELS_MEMORY_FULL']

/** A layer with its weights, and the engine that runs it. */
export class EngineLayer {
  #native: NativeLayer | null = null

  constructor(
    readonly cell: Cell,
    readonly parameters: Parameters,
    readonly choice: 'auto' | EngineName,
  ) {}

  /**
   * Take the kernels, if they have the cell; null frees the weights in their memory.
   *
   * Throws an EngineError if the native engine is required and cannot run the layer.
   */
  use(kernels: Kernels | null): void {
    this.#native?.free()
    this.#native = null
    const builtin = this.choice === 'plain' ? null : (kernels?.cell(this.cell.key) ?? null)
    if (kernels && builtin) this.#native = withoutMemory(() => new NativeLayer(kernels, builtin, this.parameters))
    if (this.choice === 'native' && this.#native === null)
      throw new EngineError('ENGINE_NATIVE_MISSING', { cell: this.cell.name })
  }

  /** Run the layer with its changes. */
  run(request: LayerRequest, changes: readonly Change[]): LayerResult & { engine: EngineName } {
    const native = this.#native
    const result = native && withoutMemory(() => native.run(request, changes))
    if (result) return { ...result, engine: 'native' }
    if (this.choice === 'native') throw new EngineError('ENGINE_NATIVE_MISSING', { cell: this.cell.name })
    return { ...runPlain(request, changes), engine: 'plain' }
  }
}

/** Return what a function returns, or null if the kernels have no memory for it. */
function withoutMemory<R>(work: () => R): R | null {
  try {
    return work()
  } catch (error) {
    if (error instanceof EngineError && TOO_LARGE.includes(error.code)) return null
    throw error
  }
}
