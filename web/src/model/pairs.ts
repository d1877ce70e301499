// Pairs of steps: where each lies on the square map, and which lies under the pointer.

export interface Pair {
  /** The earlier step, with respect to whose state the derivative is taken. */
  before: number
  /** The later step, whose state is differentiated. */
  after: number
}

/** The layout of the cells of the map on its canvas, in CSS pixels. */
export interface SquareLayout {
  cell: number
  left: number
  top: number
  steps: number
}

const MAX_CELL_SIZE = 24

export const LABEL_MARGIN = 46

/** Words need more room beside the map than characters. */
export const WORDS_MARGIN = 92

export function squareLayout(steps: number, width: number, margin = LABEL_MARGIN): SquareLayout {
  const cell = Math.max(1, Math.min(MAX_CELL_SIZE, Math.floor((width - margin - 2) / Math.max(1, steps))))
  return { cell, left: margin, top: margin, steps }
}

/** Return the pair of steps under a point; null outside of the triangle. */
export function pairAt({ cell, left, top, steps }: SquareLayout, x: number, y: number): Pair | null {
  const before = Math.floor((x - left) / cell)
  const after = Math.floor((y - top) / cell)
  return before >= 0 && after < steps && before <= after ? { before, after } : null
}

/** Move the two steps of a pair by some distances, within the triangle. */
export function movedPair(pair: Pair, beforeShift: number, afterShift: number, steps: number): Pair {
  const after = Math.max(0, Math.min(steps - 1, pair.after + afterShift))
  return { after, before: Math.max(0, Math.min(after, pair.before + beforeShift)) }
}
