// The page of a static site: `gatescope site` has written its data files beside it, and the engine computes.
import { EngineClient } from '../data/engine-client'
import { type SiteIndex, SiteSource } from '../data/site-source'
import { type Source, SourceError } from '../data/source'
import { text } from '../messages/text'
import { load, loadKernels, startWorker } from './files'
import { withPlayground } from './playground'

/** Return the content of a file of the site. */
const fileOfSite = (file: string): Promise<ArrayBuffer> =>
  load(file).catch((error: Error) => {
    throw new SourceError(text('SITE_FILE_MISSING', { reason: error.message }))
  })

/** Return bytes that were compressed with gzip. */
const unpacked = (bytes: ArrayBuffer): Promise<ArrayBuffer> =>
  new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer().catch(() => {
    throw new SourceError(text('SITE_FILE_DAMAGED'))
  })

/** Return the list of runs in the bytes of runs.json. */
function indexIn(bytes: ArrayBuffer): SiteIndex {
  try {
    const index = JSON.parse(new TextDecoder().decode(bytes)) as SiteIndex
    if (index.runs.every(({ name }, k) => typeof name === 'string' && typeof index.files[k] === 'string')) return index
  } catch {
    // The sentence below says so.
  }
  throw new SourceError(text('SITE_FILE_DAMAGED'))
}

/** Return the source of the page of a static site. */
export function siteSource(): Source {
  const engine = new EngineClient(startWorker, loadKernels)
  const source = new SiteSource(engine, {
    index: async () => indexIn(await fileOfSite('runs.json')),
    data: async (file) => unpacked(await fileOfSite(file)),
  })
  return withPlayground(source, engine, (run) => source.network(run))
}
