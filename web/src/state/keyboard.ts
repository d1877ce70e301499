// The keys of the page. Text boxes and buttons handle theirs first.
import type { Code } from '../messages/text'
import type { Explorer } from './explorer.svelte'

/** Keys and what they do. */
export const KEYS: [string, Code][] = [
  ['← →', 'KEYS_ARROWS_ACROSS'],
  ['↑ ↓', 'KEYS_ARROWS_ALONG'],
  ['Home End', 'KEYS_HOME_END'],
  ['Page ↑ Page ↓', 'KEYS_PAGE'],
  ['Shift ← →', 'KEYS_SHIFT_ARROWS'],
  ['[ ]', 'KEYS_BRACKETS'],
  ['Space', 'KEYS_SPACE'],
  ['Enter', 'KEYS_ENTER'],
  ['Escape', 'KEYS_ESCAPE'],
  ['+ −', 'KEYS_PLUS_MINUS'],
  ['0', 'KEYS_ZERO'],
  ['Backspace', 'KEYS_BACKSPACE'],
  ['w', 'KEYS_WRITE'],
  ['?', 'KEYS_QUESTION'],
]

function isHandledElsewhere(event: KeyboardEvent): boolean {
  const target = event.target
  if (!(target instanceof HTMLElement)) return false
  if (target.matches('input, textarea, select')) return true
  return target.matches('button, a, summary') && (event.key === 'Enter' || event.key === ' ')
}

export function press(explorer: Explorer, event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
  if (explorer.keys) {
    if (event.key === 'Escape') explorer.keys = false
    return
  }
  if (event.key === 'Escape' && event.target instanceof HTMLTextAreaElement) return event.target.blur()
  if (isHandledElsewhere(event)) return
  if (handleKey(explorer, event.key, event.shiftKey)) event.preventDefault()
}

function handleKey(explorer: Explorer, key: string, shift: boolean): boolean {
  const { state } = explorer
  if (key === '?') explorer.keys = true
  else if (state.view === 'runs') return false
  else if (key === 'Escape') handleEscape(explorer)
  else if (state.view === 'gradient' || state.view === 'lesson') return false
  else if (key === '[' || key === ']') chooseNextSignal(explorer, key === '[' ? -1 : 1)
  else if (state.view === 'health') return handleHealthKey(explorer, key)
  else if (shift && (key === 'ArrowLeft' || key === 'ArrowRight')) explorer.extendRange(key === 'ArrowLeft' ? -1 : 1)
  else if (key === '+' || key === '=') explorer.zoom(1)
  else if (key === '-') explorer.zoom(-1)
  else if (key === '0') explorer.holdAtZero()
  else if (key === 'Backspace') explorer.release(explorer.state.holds.length - 1)
  else if (key === 'w' && state.view === 'network') void explorer.writing.write()
  else return moveCursorOrOpen(explorer, key)
  return true
}

/** Handle the keys of the health page: arrows go from neuron to neuron. */
function handleHealthKey(explorer: Explorer, key: string): boolean {
  const count = explorer.layer?.neurons ?? 0
  const hovered = explorer.hover.neuron
  const move = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[key]
  // Enter must not press a focused button again.
  if (move && document.activeElement instanceof HTMLButtonElement) document.activeElement.blur()
  if (move) explorer.point(hovered === null ? 0 : Math.max(0, Math.min(count - 1, hovered + move)), explorer.hover.step)
  else if (key === 'Enter' && hovered !== null) explorer.go({ view: 'neuron', neuron: hovered })
  else return false
  return true
}

function handleEscape(explorer: Explorer): void {
  const { view, step, neuron, range } = explorer.state
  if (view === 'gradient' && explorer.state.pair) explorer.go({ pair: null })
  else if (view === 'health' || view === 'gradient') explorer.go({ view: 'network' })
  else if (view === 'lesson') explorer.go({ view: 'neuron', neuron: neuron ?? 0 })
  else if (range) explorer.selectRange(null)
  else if (view === 'neuron') explorer.go({ view: 'network' })
  else if (step !== null || neuron !== null) explorer.unpin()
  else explorer.go({ view: 'runs' })
}

function chooseNextSignal(explorer: Explorer, by: number): void {
  const signals = explorer.layer?.signals ?? []
  const index = signals.findIndex((signal) => signal.name === explorer.signal?.name)
  const next = signals[(index + by + signals.length) % signals.length]
  if (next) explorer.go({ signal: next.name })
}

function moveCursorOrOpen(explorer: Explorer, key: string): boolean {
  const { neuron, step } = explorer.cursor
  if (neuron === null) return false
  const rows = explorer.order.neurons
  const along = (by: number): void => {
    if (step !== null) explorer.move(neuron, Math.max(0, Math.min(explorer.steps - 1, step + by)))
  }
  const across = (by: number): void => {
    const row = Math.max(0, Math.min(rows.length - 1, rows.indexOf(neuron) + by))
    explorer.move(rows[row] ?? neuron, step)
  }
  if (key === 'ArrowLeft') along(-1)
  else if (key === 'ArrowRight') along(1)
  else if (key === 'Home') along(-explorer.steps)
  else if (key === 'End') along(explorer.steps)
  else if (key === 'ArrowUp') across(-1)
  else if (key === 'ArrowDown') across(1)
  else if (key === 'PageUp') across(-10)
  else if (key === 'PageDown') across(10)
  else if (key === ' ') explorer.pin(neuron, step)
  else if (key === 'Enter' && explorer.state.view === 'network') explorer.go({ view: 'neuron', neuron })
  else return false
  return true
}
