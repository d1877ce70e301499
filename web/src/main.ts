// The page: of a live file if the document is one, else of the local server.
import { liveSource, unpackedFile } from './hosts/live'
import { mountPage } from './hosts/page'
import { servedSource } from './hosts/served'

const unpacked = unpackedFile()
mountPage(document.getElementById('page')!, unpacked ? liveSource(unpacked) : servedSource())
