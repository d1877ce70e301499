// Random layers for the tests of the kernels.
import { BUILTIN_CELLS, type BuiltinCell } from '../../engine/builtin-cells'
import { type Kernels, loadKernels, type Layer, type Numbers, type Precision, type Weights } from '../../engine/kernels'

/** Numbers between -1 and 1 that are the same everywhere (a linear congruential generator). */
export function numbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state / 2 ** 32) * 2 - 1
  }
}

export function array(precision: Precision, size: number, next: () => number, scale = 1): Numbers {
  const values = precision === 'float32' ? new Float32Array(size) : new Float64Array(size)
  // Rounded, so that both precisions compute with the same numbers.
  return values.map(() => Math.fround(next() * scale))
}

export const cellNamed = (name: string): BuiltinCell => BUILTIN_CELLS.find((cell) => cell.name === name)!

export interface Sizes {
  steps: number
  rows: number
  inputs: number
  neurons: number
}

/** Return a layer with random weights, inputs and initial states. */
export function problem(
  cell: BuiltinCell,
  precision: Precision,
  sizes: Sizes,
  seed = 1,
): Layer<Numbers, Int32Array> & { vectors: Numbers; weights: Weights<Numbers>; initial: Record<string, Numbers> } {
  const next = numbers(seed)
  const { steps, rows, inputs, neurons } = sizes
  const [G, R, P] = [cell.inputDrives.length, cell.recurrentDrives.length, cell.parameters.length]
  const draw = (size: number, scale: number): Numbers => array(precision, size, next, scale)
  return {
    cell,
    ...sizes,
    vectors: draw(steps * rows * inputs, 1.5),
    weights: {
      input: draw(G * neurons * inputs, 0.8),
      biases: draw(G * neurons, 0.5),
      recurrent: draw(R * neurons * neurons, 1 / Math.sqrt(neurons)),
      neuron: draw(P * neurons, 0.5),
    },
    // Positive, as the divisors of some cells are.
    initial: Object.fromEntries(
      cell.states.map((name) => [name, draw(rows * neurons, 0.3).map((value) => Math.fround(0.8 + value))]),
    ),
  }
}

const modules = import.meta.glob<string>('../../public/*.wasm', {
  query: '?url&inline',
  import: 'default',
  eager: true,
})

function bytes(name: string): Uint8Array<ArrayBuffer> {
  const [, base64 = ''] = modules[`../../public/${name}.wasm`]!.split(';base64,')
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
}

export const plainBytes = bytes('kernels')
export const relaxedBytes = bytes('kernels-relaxed')

/** Load the plain build, also where the host has relaxed SIMD. */
export const loadPlain = (): Promise<Kernels> => loadKernels(plainBytes, plainBytes)

/** The builds that the host has: their names, and functions that load them. */
export const BUILDS: [string, () => Promise<Kernels>][] = [
  ['plain', loadPlain],
  ...(WebAssembly.validate(relaxedBytes)
    ? ([['relaxed', () => loadKernels(plainBytes, relaxedBytes)]] as [string, () => Promise<Kernels>][])
    : []),
]
