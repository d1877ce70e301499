// Parts of the program that are not in the first script: each is loaded when it is needed, or earlier in idle time.

import { whenIdle } from './idle'

export type Load<T = unknown> = () => Promise<T>

const loads: Load[] = []
const loaded = new WeakMap<Load, unknown>()
let prefetching = false

/**
 * Return the load of a part that happens once. It also happens in idle time, so that the part is there when it is needed.
 *
 * @param load imports the part: an `import()` of its file. A load that failed is tried again by the next call.
 */
export function later<T>(load: Load<T>): Load<T> {
  let pending: Promise<T> | null = null
  const once = (): Promise<T> => {
    pending ??= Promise.all([load(), import('../messages/more-sentences')]).then(
      ([part]) => {
        loaded.set(once, part)
        return part
      },
      (error: unknown) => {
        pending = null
        throw error
      },
    )
    return pending
  }
  loads.push(once)
  if (prefetching) whenIdle(() => void once().catch(() => undefined))
  return once
}

/** Return a part that is loaded; null if it is not. */
export const loadedPart = <T>(load: Load<T>): T | null => (loaded.get(load) as T | undefined) ?? null

/** Load all parts, one after the other, whenever the browser is idle. */
export function prefetch(): void {
  if (prefetching) return
  prefetching = true
  const waiting = [...loads]
  const next = (): void => {
    const load = waiting.shift()
    // A part that cannot be loaded now is loaded when it is needed, and says then what is wrong.
    if (load) whenIdle(() => void load().then(next, next))
  }
  next()
}
