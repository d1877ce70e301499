// Links inside the page.

/** Act on a click of a link instead of following it; a click with a modifier key is left to the browser. */
export function onPlainClick(event: MouseEvent, act: () => void): void {
  if (event.metaKey || event.ctrlKey || event.shiftKey) return
  event.preventDefault()
  act()
}
