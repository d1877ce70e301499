// The page of a live file: web/live/boot.ts has unpacked the data and the program, and the engine computes.
import { EngineClient } from '../data/engine-client'
import { type LiveData, LiveFile } from '../data/live-data'
import { LocalSource } from '../data/local-source'
import type { Source } from '../data/source'
import type { Unpacked } from './unpacked'
import { addressBar } from '../state/address-bar'
import { storeText } from '../state/long-texts'
import { lacksAddress, MemoryAddress } from './memory-address'

/** Return the source of a live file. Throws a TraceError if its data are damaged. */
export function liveSource({ data, worker, kernels }: Unpacked): Source {
  const engine = new EngineClient(
    () => new Worker(worker),
    () => Promise.resolve(kernels),
  )
  const file = LiveFile.read(data)
  if (lacksAddress()) addressBar.now = new MemoryAddress()
  beginView(file.data.start)
  return new LocalSource(engine, file)
}

/** Open the view that the file was written with, unless the address has one of its own. */
function beginView(start: LiveData['start']): void {
  const bar = addressBar.now
  if (!start?.address.startsWith('?') || bar.search || bar.hash) return
  if (start.text !== null) storeText(start.text)
  bar.write('replace', null, start.address)
}
