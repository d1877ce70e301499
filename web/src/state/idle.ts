// Work that can wait: until the browser has drawn a frame, or until it has nothing else to do.

const MAX_WAIT_MS = 2000
/** For browsers that do not say when they are idle, and for pages that draw no frames. */
const DELAY_MS = 200

export function whenIdle(work: () => void): void {
  if ('requestIdleCallback' in globalThis) requestIdleCallback(work, { timeout: MAX_WAIT_MS })
  else setTimeout(work, DELAY_MS)
}

/** Return after the next frame is drawn. A hidden page draws none and does not wait for long. */
export function painted(): Promise<void> {
  return new Promise((done) => {
    const drawsFrames = 'requestAnimationFrame' in globalThis
    if (drawsFrames) requestAnimationFrame(() => setTimeout(done))
    setTimeout(done, drawsFrames ? DELAY_MS : 0)
  })
}
