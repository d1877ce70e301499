// Neurons that are alike: the script that compares them is loaded when that order is chosen.
import type { clusters as findClusters } from '../model/clustering'
import { later } from './later'

const load = later(() => import('../model/clustering'))

export class Clustering {
  /** Groups neurons; null until the script is there. */
  clusters = $state.raw<typeof findClusters | null>(null)

  /** Load the script. If that fails, neurons stay listed by number, and the next choice of the order tries again. */
  async load(): Promise<void> {
    this.clusters ??= (await load().catch(() => null))?.clusters ?? null
  }
}
