// The page: of a live file or of a static site if the document is one, else of the local server.
import type { Source } from './data/source'
import { reportHeight } from './hosts/embedded'
import { load } from './hosts/files'
import { mountPage } from './hosts/page'
import { servedSource } from './hosts/served'
import { isHost } from './hosts/host-mark'
import { showDamage, type Unpacked, unpackedFile } from './hosts/unpacked'
import { catalogue } from './messages/catalogue.svelte'

async function sourceOf(unpacked: Unpacked | null): Promise<Source> {
  if (!unpacked && !isHost('site')) return servedSource()
  // The errors of these hosts are among the sentences that come later.
  await import('./messages/more-sentences')
  if (unpacked) return (await import('./hosts/live')).liveSource(unpacked)
  return (await import('./hosts/site')).siteSource()
}

// The parts import this script, which must not wait for one of them itself.
async function start(): Promise<void> {
  const unpacked = unpackedFile()
  await catalogue.start(async (language) => unpacked?.messages[language] ?? load(`messages-${language}.json`))
  try {
    const source = await sourceOf(unpacked)
    // The list of the local server grows; a file or a site stays what it is.
    const opensOnlyRun = unpacked !== null || isHost('site')
    const explorer = mountPage(document.getElementById('page')!, source, opensOnlyRun)
    if (isHost('notebook')) (await import('./hosts/notebook.svelte')).followNotebook(explorer)
  } catch (error) {
    showDamage(error)
  }
}

reportHeight()
void start()
