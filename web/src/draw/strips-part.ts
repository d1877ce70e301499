// A part of the strips as a picture of its own: what is in sight, the marked steps, or the whole text.
import type { Range } from '../data/view'
import type { FigurePart } from './figure'
import type { Scene, Window } from './scene'
import { visibleCells } from './scene'
import { drawStrips } from './strips'

/** What of a picture is shared: what is in sight, the marked steps with all rows, or everything. */
export const SCOPES = ['sight', 'range', 'all'] as const
export type Scope = (typeof SCOPES)[number]

export interface StripsPart extends FigurePart {
  steps: Range
  rows: { first: number; end: number }
}

/**
 * Return a part of the strips. A cursor that is not pinned is no part of a picture.
 *
 * @param full the size of all of them
 */
export function stripsPart(
  scene: Scene,
  view: Window,
  full: { width: number; height: number },
  scope: Scope,
): StripsPart {
  const { geometry: g, range, cursor } = scene
  const shown = {
    ...scene,
    editable: false,
    selection: null,
    cursor: cursor.pinned ? cursor : { ...cursor, row: null, step: null },
  }
  let window: Window = { ...full, left: 0, top: 0, ratio: 1 }
  if (scope === 'sight') {
    window = {
      ...view,
      width: Math.min(view.width, full.width - view.left),
      height: Math.min(view.height, full.height - view.top),
    }
  } else if (scope === 'range' && range)
    window = { ...window, left: range.first * g.cell, width: g.label + (range.last + 1 - range.first) * g.cell }
  const visible = visibleCells(shown, window)
  return {
    width: window.width,
    height: window.height,
    steps: { first: visible.firstStep, last: visible.endStep - 1 },
    rows: { first: visible.firstRow, end: visible.endRow },
    draw: (pen, x, y, ratio) => drawStrips(pen, shown, { ...window, x, y, ratio }),
  }
}
