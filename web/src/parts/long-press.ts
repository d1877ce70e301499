// A long press of a finger, which has no pointer that hovers. The click that follows it does nothing.

const LONG_MS = 500
const MAX_MOVE = 10

/** Call `act` when a finger rests on an element. */
export function longPress(element: HTMLElement, act: (event: PointerEvent) => void) {
  let timer: ReturnType<typeof setTimeout> | undefined
  let from = { x: 0, y: 0 }
  let acted = false
  const stop = (): void => clearTimeout(timer)
  const down = (event: PointerEvent): void => {
    acted = false
    stop()
    if (event.pointerType !== 'touch') return
    from = { x: event.clientX, y: event.clientY }
    timer = setTimeout(() => {
      acted = true
      act(event)
    }, LONG_MS)
  }
  const move = (event: PointerEvent): void => {
    if (Math.hypot(event.clientX - from.x, event.clientY - from.y) > MAX_MOVE) stop()
  }
  const swallow = (event: Event): void => {
    if (!acted) return
    event.preventDefault()
    event.stopImmediatePropagation()
  }
  const listeners = { pointerdown: down, pointermove: move, pointerup: stop, pointercancel: stop } as const
  for (const [name, listener] of Object.entries(listeners)) element.addEventListener(name, listener as EventListener)
  for (const name of ['click', 'contextmenu']) element.addEventListener(name, swallow, { capture: true })
  return {
    update: (next: (event: PointerEvent) => void) => void (act = next),
    destroy: () => {
      stop()
      for (const [name, listener] of Object.entries(listeners))
        element.removeEventListener(name, listener as EventListener)
      for (const name of ['click', 'contextmenu']) element.removeEventListener(name, swallow, { capture: true })
    },
  }
}
