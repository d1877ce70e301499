// Keys in the fields of the text that take what the network wrote.
import type { Explorer } from './explorer.svelte'
import { takeNext, takeWritten } from './taking'

/** Whether the caret stands behind the text, where the network writes. */
export const isAtEnd = ({ selectionStart, selectionEnd, value }: HTMLTextAreaElement): boolean =>
  selectionStart === selectionEnd && selectionEnd === value.length

/**
 * Handle a key of a text field. Tab takes what the network wrote, Alt with the right arrow its most probable symbol. Both
 * act at the end of the text only; where there is nothing to take, Tab goes on to the next control, as Shift with Tab
 * always does. Returns whether the key was handled.
 */
export function handleTextKey(explorer: Explorer, event: KeyboardEvent): boolean {
  const field = event.currentTarget as HTMLTextAreaElement
  if (!event.isComposing && handleListKey(explorer, event)) return true
  if (event.isComposing || event.ctrlKey || event.metaKey || event.shiftKey || !isAtEnd(field)) return false
  const isTab = event.key === 'Tab' && !event.altKey
  const isNext = event.key === 'ArrowRight' && event.altKey
  if (!isTab && !isNext) return false
  const taken = isTab ? takeWritten(explorer) : takeNext(explorer)
  // The browser would leave the page.
  if (taken || isNext) event.preventDefault()
  return taken || isNext
}

/** Handle a key of the list of completions, or the one that opens it. */
function handleListKey({ writing: { completing } }: Explorer, event: KeyboardEvent): boolean {
  const field = event.currentTarget as HTMLTextAreaElement
  const opens = (event.ctrlKey && event.key === ' ') || (event.altKey && event.key === 'ArrowDown')
  if (opens) completing.open(field)
  else if (!completing.field || event.ctrlKey || event.metaKey || event.altKey) return false
  else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') completing.move(event.key === 'ArrowDown' ? 1 : -1)
  else if ((event.key === 'Enter' || event.key === 'Tab') && !event.shiftKey && completing.items.length)
    completing.take()
  else if (event.key === 'Escape') completing.close()
  else {
    // The list follows the letters; any other move of the caret ends it.
    if (!/^(.|Backspace|Shift|Process|Unidentified)$/u.test(event.key)) completing.close()
    return false
  }
  event.preventDefault()
  event.stopPropagation()
  return true
}
