// The live file that the page is: whether it is one, and a copy that opens with the present view.

const DATA = 'gatescope-data'

/** Whether the document is a live file. */
export const isLiveFile = (): boolean => document.getElementById(DATA) !== null

/** Return the document as it was before the page started: what it shows, and the script it started, left out. */
export function ownFile(): Blob {
  const copy = document.documentElement.cloneNode(true) as HTMLElement
  copy.querySelector('#page')?.replaceChildren()
  copy.querySelectorAll('script[src^="blob:"]').forEach((script) => script.remove())
  copy.removeAttribute('data-scheme')
  copy.removeAttribute('style')
  copy.className = ''
  return new Blob(['<!doctype html>\n', copy.outerHTML, '\n'], { type: 'text/html;charset=utf-8' })
}
