// Copying the selected range of the text.
import { rangeText } from '../model/range-text'
import type { Explorer } from './explorer.svelte'

/** Put the selected range on the clipboard, unless something else is selected on the page. */
export function copyRange(explorer: Explorer, event: ClipboardEvent): void {
  const { picture, range } = explorer
  const inBox = event.target instanceof Element && event.target.matches('input, textarea')
  if (!picture || !range || inBox || !document.getSelection()?.isCollapsed) return
  event.clipboardData?.setData('text/plain', rangeText(picture, range))
  event.preventDefault()
}
