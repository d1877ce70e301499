// The keys of the page. Text boxes and buttons keep theirs.
import type { Explorer } from './explorer.svelte'

export const KEYS: [string, string][] = [
  ['← →', 'one step back or on'],
  ['↑ ↓', 'the neuron above or below'],
  ['Home End', 'first or last step'],
  ['Page ↑ Page ↓', 'ten neurons up or down'],
  ['Shift ← →', 'choose characters; where its neurons do this again'],
  ['[ ]', 'previous or next signal'],
  ['Space', 'pin the cursor here, or free it again'],
  ['Enter', 'everything about this neuron'],
  ['Escape', 'free the cursor, or go back one page'],
  ['+ −', 'larger or smaller cells'],
  ['?', 'this list'],
]

function busyElsewhere(event: KeyboardEvent): boolean {
  const at = event.target
  if (!(at instanceof HTMLElement)) return false
  if (at.matches('input, textarea, select')) return true
  return at.matches('button, a, summary') && (event.key === 'Enter' || event.key === ' ')
}

export function press(explorer: Explorer, event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
  if (explorer.keys) {
    if (event.key === 'Escape') explorer.keys = false
    return
  }
  if (event.key === 'Escape' && event.target instanceof HTMLTextAreaElement) return event.target.blur()
  if (busyElsewhere(event)) return
  if (act(explorer, event.key, event.shiftKey)) event.preventDefault()
}

function act(explorer: Explorer, key: string, shift: boolean): boolean {
  const { state } = explorer
  if (key === '?') explorer.keys = true
  else if (state.view === 'runs') return false
  else if (key === 'Escape') escape(explorer)
  else if (state.view === 'gradient' || state.view === 'lesson') return false
  else if (key === '[' || key === ']') nextSignal(explorer, key === '[' ? -1 : 1)
  else if (state.view === 'health') return alongHealth(explorer, key)
  else if (shift && (key === 'ArrowLeft' || key === 'ArrowRight')) explorer.extendRange(key === 'ArrowLeft' ? -1 : 1)
  else if (key === '+' || key === '=') explorer.zoom(1)
  else if (key === '-') explorer.zoom(-1)
  else return moveOrOpen(explorer, key)
  return true
}

/** On the page of gates the arrows go from neuron to neuron. */
function alongHealth(explorer: Explorer, key: string): boolean {
  const count = explorer.layer?.neurons ?? 0
  const now = explorer.hover.neuron
  const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[key]
  // A button that was pressed before must not be pressed again by Enter.
  if (by && document.activeElement instanceof HTMLButtonElement) document.activeElement.blur()
  if (by) explorer.point(now === null ? 0 : Math.max(0, Math.min(count - 1, now + by)), explorer.hover.step)
  else if (key === 'Enter' && now !== null) explorer.go({ view: 'neuron', neuron: now })
  else return false
  return true
}

function escape(explorer: Explorer): void {
  const { view, step, neuron, range } = explorer.state
  if (view === 'gradient' && explorer.state.pair) explorer.go({ pair: null })
  else if (view === 'health' || view === 'gradient') explorer.go({ view: 'network' })
  else if (view === 'lesson') explorer.go({ view: 'neuron', neuron: neuron ?? 0 })
  else if (range) explorer.selectRange(null)
  else if (view === 'neuron') explorer.go({ view: 'network' })
  else if (step !== null || neuron !== null) explorer.unpin()
  else explorer.go({ view: 'runs' })
}

function nextSignal(explorer: Explorer, by: number): void {
  const signals = explorer.layer?.signals ?? []
  const at = signals.findIndex((signal) => signal.name === explorer.signal?.name)
  const next = signals[(at + by + signals.length) % signals.length]
  if (next) explorer.go({ signal: next.name })
}

function moveOrOpen(explorer: Explorer, key: string): boolean {
  const { neuron, step } = explorer.cursor
  if (neuron === null) return false
  const rows = explorer.order.neurons
  const along = (by: number): void => {
    if (step !== null) explorer.move(neuron, Math.max(0, Math.min(explorer.steps - 1, step + by)))
  }
  const across = (by: number): void => {
    const at = Math.max(0, Math.min(rows.length - 1, rows.indexOf(neuron) + by))
    explorer.move(rows[at] ?? neuron, step)
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
