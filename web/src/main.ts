// The page: of a live file or of a static site if the document is one, else of the local server.
import { reportHeight } from './hosts/embedded'
import { liveSource, showDamage, unpackedFile } from './hosts/live'
import { mountPage } from './hosts/page'
import { servedSource } from './hosts/served'
import { isSite, siteSource } from './hosts/site'

const unpacked = unpackedFile()
reportHeight()
try {
  const source = unpacked ? liveSource(unpacked) : isSite() ? siteSource() : servedSource()
  // The list of the local server grows; a file or a site stays what it is.
  mountPage(document.getElementById('page')!, source, unpacked !== null || isSite())
} catch (error) {
  showDamage(error)
}
