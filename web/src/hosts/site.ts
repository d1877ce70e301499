// The page of a static site: `gatescope site` has written its data files beside it, and the engine computes.
import { EngineClient } from '../data/engine-client'
import { type SiteIndex, SiteSource } from '../data/site-source'
import { type Source, SourceError } from '../data/source'
import { text } from '../messages/text'
import { load, loadKernels, startWorker } from './files'

/** Whether the document is the page of a static site. */
export function isSite(): boolean {
  return document.querySelector('meta[name="gatescope-host"][content="site"]') !== null
}

/** Return the content of a file of the site. */
const fileOfSite = (file: string): Promise<ArrayBuffer> =>
  load(file).catch((error: Error) => {
    throw new SourceError(text('SITE_FILE_MISSING', { reason: error.message }), true)
  })

/** Return bytes that were compressed with gzip. */
const unpacked = (bytes: ArrayBuffer): Promise<ArrayBuffer> =>
  new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer().catch(() => {
    throw new SourceError(text('SITE_FILE_DAMAGED'))
  })

/** Return the source of the page of a static site. */
export function siteSource(): Source {
  return new SiteSource(new EngineClient(startWorker, loadKernels), {
    index: async () => JSON.parse(new TextDecoder().decode(await fileOfSite('runs.json'))) as SiteIndex,
    data: async (file) => unpacked(await fileOfSite(file)),
  })
}
