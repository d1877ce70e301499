// The paths of one weight to one prediction, as the server or the engine in the browser lists them.
import type { WeightPaths as ComputedPaths } from '../../engine/weight-paths'

export type WeightPaths = Omit<ComputedPaths, 'differences'> & {
  /** The derivative of another method: torch's autograd on the server, finite differences in the browser. */
  autograd?: number
  differences?: number
}
