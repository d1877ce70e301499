// The keys of the page; parts/Keys.svelte lists them. Text boxes and buttons handle theirs first.
import { showsRun } from '../data/view'
import { filmSteps, placeOf } from '../model/film'
import { type PageLines, stepBelow } from '../model/page-lines'
import type { Explorer } from './explorer.svelte'
import { showWeights, toggles } from './toggles.svelte'

function isHandledElsewhere(event: KeyboardEvent): boolean {
  const target = event.target
  if (!(target instanceof HTMLElement)) return false
  if (target.matches('input, textarea, select')) return true
  return target.matches('button, a, summary') && (event.key === 'Enter' || event.key === ' ')
}

export function press(explorer: Explorer, event: KeyboardEvent): void {
  if (event.isComposing) return
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'k') {
    event.preventDefault()
    explorer.keys = false
    explorer.commands = true
    return
  }
  if (explorer.commands && keepForPalette(explorer, event)) return event.preventDefault()
  if (undoOrRedo(explorer, event)) return event.preventDefault()
  if (event.ctrlKey || event.metaKey || event.altKey || explorer.commands || explorer.share) return
  if (explorer.keys) {
    if (event.key === 'Escape') explorer.keys = false
    return
  }
  if (event.key === 'Escape' && event.target instanceof HTMLTextAreaElement) return event.target.blur()
  if (isHandledElsewhere(event)) return
  if (handleKey(explorer, event.key, event.shiftKey)) event.preventDefault()
}

/** Keep a key for the command palette that is still loading: whoever types at once loses no letter. */
function keepForPalette(explorer: Explorer, { key, target, ctrlKey, metaKey, altKey }: KeyboardEvent): boolean {
  // A palette that is there has a field for its keys, or is about to close.
  const isLoaded = document.getElementById('command-list') !== null
  if (isLoaded || ctrlKey || metaKey || altKey || (target as Element | null)?.closest?.('dialog')) return false
  if (key === 'Escape') {
    explorer.earlyKeys.length = 0
    explorer.commands = false
  } else if ([...key].length === 1 || key === 'Enter') explorer.earlyKeys.push(key)
  else return false
  return true
}

/** Undo or redo the last change of the view, unless a text field does that with its own text. */
function undoOrRedo(explorer: Explorer, event: KeyboardEvent): boolean {
  const key = event.key.toLowerCase()
  const redoes = (key === 'z' && event.shiftKey) || (key === 'y' && !event.shiftKey)
  if (!(event.ctrlKey || event.metaKey) || event.altKey || (key !== 'z' && !redoes)) return false
  // Lists, sliders and switches have no text of their own to undo.
  const fields = 'textarea, input:not([type=range], [type=checkbox], [type=radio])'
  if (explorer.commands || (event.target as Element | null)?.matches?.(fields)) return false
  explorer.navigation[redoes ? 'redo' : 'undo']()
  return true
}

function handleKey(explorer: Explorer, key: string, shift: boolean): boolean {
  const { state } = explorer
  if (key === '?') explorer.keys = true
  else if (key === 'e') explorer.share = true
  else if (!showsRun(state)) return false
  else if (key === 'Escape') handleEscape(explorer)
  else if (key === 'c') toggles.comparing = true
  else if (state.view === 'learning') return handleFilmKey(explorer, key)
  else if (key === 't' && state.view !== 'health') explorer.drawer = true
  else if (state.view === 'gradient' || state.view === 'lesson') return false
  else if (key === '[' || key === ']') chooseNextSignal(explorer, key === '[' ? -1 : 1)
  else if (state.view === 'health') return handleHealthKey(explorer, key)
  else if (shift && (key === 'ArrowLeft' || key === 'ArrowRight')) explorer.extendRange(key === 'ArrowLeft' ? -1 : 1)
  else if (key === '+' || key === '=') explorer.zoom(1)
  else if (key === '-') explorer.zoom(-1)
  else if (key === '0') explorer.fit()
  else if (key === 'z') explorer.holdAtZero()
  else if (key === 'i' && state.view === 'network' && !explorer.page.open) explorer.card = !explorer.card
  else if (key === 'd' && state.view === 'network' && state.beside) explorer.go({ difference: !state.difference })
  else if (key === 's' && (state.view === 'network' || explorer.page.open)) explorer.scales.toggle()
  else if (key === 'p') explorer.page.showAs(explorer.page.open ? 'strips' : 'page')
  else if ((key === ',' || key === '.') && explorer.diagram.open) explorer.diagram.step(key === ',' ? -1 : 1)
  else if ((key === ',' || key === '.') && explorer.page.open) explorer.page.turn(key === ',' ? -1 : 1)
  else if (key === 'Backspace') explorer.holding.remove(explorer.state.holds.length - 1)
  else if (key === 'w' && state.view === 'network') explorer.writing.show()
  else return moveCursorOrOpen(explorer, key)
  return true
}

/** Handle the keys of the film of the training; the loss curve has keys of its own. */
function handleFilmKey(explorer: Explorer, key: string): boolean {
  if (!explorer.run?.checkpoints.length) return false
  const steps = filmSteps(explorer.run.checkpoints)
  const place = placeOf(steps, explorer.state.checkpoint)
  const turn = (by: number): void =>
    showWeights(explorer, steps[Math.max(0, Math.min(steps.length - 1, place + by))] ?? null)
  if (key === ' ') toggles.playing = !toggles.playing
  else if (key === ',' || key === '.') turn(key === ',' ? -1 : 1)
  else if (key === '[' || key === ']') chooseNextSignal(explorer, key === '[' ? -1 : 1)
  else if (key === '+' || key === '=') explorer.zoom(1)
  else if (key === '-') explorer.zoom(-1)
  else if (key === '0') explorer.fit()
  else if (key === 's') explorer.scales.toggle()
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
  if (explorer.card) explorer.card = false
  else if (view === 'gradient' && explorer.state.pair) explorer.go({ pair: null })
  else if (view === 'health' || view === 'gradient' || view === 'learning') explorer.go({ view: 'network' })
  else if (view === 'lesson') explorer.go({ view: 'gradient' })
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

/** Handle the keys that move the cursor on a page of text. */
function moveOnPage(explorer: Explorer, lines: PageLines, key: string, neuron: number, step: number): boolean {
  const rows = explorer.pageRows
  const below = { ArrowUp: -1, ArrowDown: 1, PageUp: -rows, PageDown: rows }[key]
  const along = { ArrowLeft: step - 1, ArrowRight: step + 1, Home: 0, End: lines.steps - 1 }[key]
  if (key === ' ') explorer.page.pin(neuron, step)
  else if (below !== undefined) explorer.page.move(neuron, stepBelow(lines, step, below))
  else if (along !== undefined) explorer.page.move(neuron, Math.max(0, Math.min(lines.steps - 1, along)))
  else return false
  return true
}

function moveCursorOrOpen(explorer: Explorer, key: string): boolean {
  const { neuron, step } = explorer.cursor
  if (neuron === null) return false
  if (explorer.page.open && explorer.pageLines && step !== null) {
    if (moveOnPage(explorer, explorer.pageLines, key, neuron, step)) return true
  }
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
