// The view of a notebook widget, as it travels between the page and the model of the widget (web/live/widget.ts).
//
// Steps are written as in Python: the first one, and the one after the last; a hold without an end has null there.
import { MAX_HOLDS } from '../../engine/holds'
import type { Hold, ViewState } from '../data/view'

export interface NotebookHold {
  layer: string
  signal: string
  neuron: number
  value: number
  steps: [first: number, end: number | null]
}

/** Null is the default of the page. */
export interface NotebookView {
  text: string | null
  layer: string | null
  signal: string | null
  neuron: number | null
  step: number | null
  steps: [first: number, end: number] | null
  holds: NotebookHold[]
}

/** Return the view of a page. */
export const notebookView = (
  { neuron, step, range, holds }: Pick<ViewState, 'neuron' | 'step' | 'range' | 'holds'>,
  shown: Pick<NotebookView, 'text' | 'layer' | 'signal'>,
): NotebookView => ({
  ...shown,
  neuron,
  step,
  steps: range && [range.first, range.last + 1],
  holds: holds.map(({ first, last, layer, signal, neuron, value }) => ({
    layer,
    signal,
    neuron,
    value,
    steps: [first, last === null ? null : last + 1],
  })),
})

/** Return the change of the page that shows some fields of a view; null if a field is not what it must be. */
export function viewChange(view: unknown): Partial<ViewState> | null {
  if (typeof view !== 'object' || view === null) return null
  const change: Partial<ViewState> = {}
  const fields = view as Record<string, unknown>
  for (const name of ['text', 'layer', 'signal'] as const) {
    const value = fields[name]
    if (value === undefined) continue
    if (value !== null && typeof value !== 'string') return null
    change[name] = value
  }
  for (const name of ['neuron', 'step'] as const) {
    const value = fields[name]
    if (value === undefined) continue
    if (value !== null && !isCount(value)) return null
    change[name] = value
  }
  const { steps, holds } = fields
  if (steps !== undefined) {
    const range = rangeOf(steps)
    if (steps !== null && (!range || range.last === null)) return null
    change.range = range && { first: range.first, last: range.last! }
  }
  if (holds !== undefined) {
    if (!Array.isArray(holds) || holds.length > MAX_HOLDS) return null
    const read = holds.map(holdOf)
    if (read.some((hold) => hold === null)) return null
    change.holds = read as Hold[]
  }
  return change
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** Return the first and the last of some steps; null for anything else. */
function rangeOf(steps: unknown): Pick<Hold, 'first' | 'last'> | null {
  if (!Array.isArray(steps) || steps.length !== 2) return null
  const [first, end] = steps as unknown[]
  if (!isCount(first) || !(end === null || (isCount(end) && end > first))) return null
  return { first, last: end === null ? null : end - 1 }
}

function holdOf(hold: unknown): Hold | null {
  if (typeof hold !== 'object' || hold === null) return null
  const { layer, signal, neuron, value, steps } = hold as Record<string, unknown>
  const range = rangeOf(steps)
  // The engine computes in float32, in which a larger number is no number.
  const isValue = typeof value === 'number' && Number.isFinite(Math.fround(value))
  if (typeof layer !== 'string' || typeof signal !== 'string' || !isCount(neuron) || !isValue || !range) return null
  return { layer, signal, neuron, value, ...range }
}
