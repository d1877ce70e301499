// What a page needs so that it can train: the worker, the files of the playground, and a place for trained runs.
import type { EngineClient } from '../data/engine-client'
import type { NetworkFiles } from '../data/engine-networks'
import type { PageRuns } from '../data/page-runs'
import type { Source } from '../data/source'
import { load } from './files'

/**
 * Let the page of a source train.
 *
 * @param network returns the network of a run with its best weights
 */
export function withPlayground(
  source: Source,
  engine: EngineClient,
  network: (run: string) => Promise<NetworkFiles>,
): Source {
  let runs: Promise<PageRuns> | null = null
  const playground: Source['playground'] = {
    engine,
    load,
    network,
    addRun: async (trained) => {
      runs ??= import('../data/page-runs').then(({ PageRuns }) => new PageRuns(source, engine))
      ;(await runs).add(trained)
    },
  }
  return Object.assign(source, { playground })
}
