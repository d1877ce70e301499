// The page of a live file: web/live/boot.ts has unpacked the data and the program, and the engine computes.
import { EngineClient } from '../data/engine-client'
import { type LiveData, LiveFile } from '../data/live-data'
import { LocalSource } from '../data/local-source'
import type { Source } from '../data/source'
import type { Unpacked } from './unpacked'
import { storeText } from '../state/long-texts'

/** Return the source of a live file. Throws a TraceError if its data are damaged. */
export function liveSource({ data, worker, kernels }: Unpacked): Source {
  const engine = new EngineClient(
    () => new Worker(worker),
    () => Promise.resolve(kernels),
  )
  const file = LiveFile.read(data)
  beginView(file.data.start)
  return new LocalSource(engine, file)
}

/** Open the view that the file was written with, unless the address has one of its own. */
function beginView(start: LiveData['start']): void {
  if (!start?.address.startsWith('?') || location.search || location.hash) return
  if (start.text !== null) storeText(start.text)
  history.replaceState(null, '', start.address)
}
