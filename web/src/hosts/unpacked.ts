// What a live file unpacked before its page began, and what its document shows if that is damaged.
import { TraceError } from '../data/safetensors'

/** What the script of a live file puts into `globalThis.gatescopeLive`. */
export interface Unpacked {
  /** The container of data/live-data.ts. */
  data: ArrayBuffer
  /** The address of the worker's script. */
  worker: string
  kernels: { plain: ArrayBuffer; relaxed: ArrayBuffer }
  /** The sentences of each language besides English. */
  messages: Record<string, ArrayBuffer>
}

/** Return what a live file unpacked; null on the page of a server. */
export function unpackedFile(): Unpacked | null {
  return (globalThis as { gatescopeLive?: Unpacked }).gatescopeLive ?? null
}

/** Show why a live file cannot be read, in the sentence that its document has for that. */
export function showDamage(error: unknown): void {
  const notice = document.getElementById('gatescope-damaged')
  if (!notice) throw error
  if (error instanceof TraceError) notice.textContent = error.message
  notice.hidden = false
}
