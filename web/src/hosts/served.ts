// The page of the local server: the server answers, and the engine in the browser what it computes sooner.
import { CombinedSource } from '../data/combined-source'
import { EngineClient } from '../data/engine-client'
import { EngineNetworks, type NetworkFiles } from '../data/engine-networks'
import { HttpSource } from '../data/http-source'
import type { Source } from '../data/source'
import { loadKernels, startWorker } from './files'
import { withPlayground } from './playground'

/** Return the source of the page of the local server. */
export function servedSource(): Source {
  const server = new HttpSource()
  const engine = new EngineClient(startWorker, loadKernels)
  const filesOf = async (run: string, checkpoint: number | null = null): Promise<NetworkFiles> => {
    const [network, weights] = await Promise.all([server.network(run), server.weights(run, checkpoint)])
    return { network, weights }
  }
  const networks = new EngineNetworks(engine, ({ run, checkpoint }) => filesOf(run, checkpoint))
  return withPlayground(new CombinedSource(server, networks), engine, filesOf)
}
