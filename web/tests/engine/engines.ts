// The engines that the tests run: the plain one, and both builds of the kernels.
import { type Kernels, loadKernels } from '../../engine/kernels'
import type { Precision } from '../../engine/arrays'
import { plainBytes, relaxedBytes } from './kernel-problems'

export const KERNELS: Record<'plain' | 'native' | 'relaxed', Kernels | null> = {
  plain: null,
  native: await loadKernels(plainBytes, plainBytes),
  relaxed: await loadKernels(plainBytes, relaxedBytes),
}

/** Every precision with every engine. */
export const RUNS = (['float32', 'float64'] as const).flatMap((precision) =>
  (['plain', 'native', 'relaxed'] as const).map((engine) => [precision, engine] as const),
)

/**
 * The largest difference from Python, relative to the largest value of an array.
 *
 * A step rounds a few times, by 6e-8 or 1e-16 each; nine steps of a network with weights around 0.5 amplify this little.
 */
export const TOLERANCES: Record<Precision, number> = { float32: 1e-5, float64: 1e-12 }
