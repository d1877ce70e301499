// The focus among the controls of a list.

/** Move the focus by some places among the controls of a list that a selector finds; it stays at the ends. */
export function moveFocus(list: HTMLElement | undefined, selector: string, by: number): void {
  const stops = [...(list?.querySelectorAll<HTMLElement>(selector) ?? [])]
  const at = stops.indexOf(document.activeElement as HTMLElement)
  stops[Math.max(0, Math.min(stops.length - 1, at + by))]?.focus()
}
