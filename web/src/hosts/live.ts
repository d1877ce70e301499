// The page of a live file: web/live/boot.ts has unpacked the data and the program, and the engine computes.
import { EngineClient } from '../data/engine-client'
import { LiveFile } from '../data/live-data'
import { LocalSource } from '../data/local-source'
import { TraceError } from '../data/safetensors'
import type { Source } from '../data/source'

/** What the script of a live file puts into `globalThis.gatescopeLive`. */
export interface Unpacked {
  /** The container of data/live-data.ts. */
  data: ArrayBuffer
  /** The address of the worker's script. */
  worker: string
  kernels: { plain: ArrayBuffer; relaxed: ArrayBuffer }
}

/** Return what a live file unpacked; null on the page of a server. */
export function unpackedFile(): Unpacked | null {
  return (globalThis as { gatescopeLive?: Unpacked }).gatescopeLive ?? null
}

/** Return the source of a live file. Throws a TraceError if its data are damaged. */
export function liveSource({ data, worker, kernels }: Unpacked): Source {
  const engine = new EngineClient(
    () => new Worker(worker),
    () => Promise.resolve(kernels),
  )
  return new LocalSource(engine, LiveFile.read(data))
}

/** Show why a live file cannot be read, in the sentence that its document has for that. */
export function showDamage(error: unknown): void {
  const notice = document.getElementById('gatescope-damaged')
  if (!notice) throw error
  if (error instanceof TraceError) notice.textContent = error.message
  notice.hidden = false
}
