// The page: of a live file or of a static site if the document is one, else of the local server.
import { reportHeight } from './hosts/embedded'
import { liveSource, unpackedFile } from './hosts/live'
import { mountPage } from './hosts/page'
import { servedSource } from './hosts/served'
import { isSite, siteSource } from './hosts/site'

const unpacked = unpackedFile()
const source = unpacked ? liveSource(unpacked) : isSite() ? siteSource() : servedSource()
reportHeight()
mountPage(document.getElementById('page')!, source)
