// Where the strips are scrolled to: to a cell, to the caret, and around their middle when the cells change their size.

/** The sizes of the cells, in pixels. */
interface Sizes {
  cell: number
  pitch: number
  label: number
  header: number
}
interface Size {
  width: number
  height: number
}

const MAX_MARGIN = 60
/** The room beside a place that came into sight: at most a third of what is in sight. */
const margin = (room: number): number => Math.min(room / 3, MAX_MARGIN)

/** Keep the step and the row in the middle in place while the cells change from one size to another. */
export function keepMiddle(
  scroller: HTMLElement,
  before: Pick<Sizes, 'cell' | 'pitch'>,
  g: Sizes,
  width: number,
): void {
  if (!before.cell || before.cell === g.cell) return
  const middle = (width - g.label) / 2
  scroller.scrollLeft = ((scroller.scrollLeft + middle) / before.cell) * g.cell - middle
  scroller.scrollTop = (scroller.scrollTop / before.pitch) * g.pitch
}

/** Bring the cell of the cursor into sight. */
export function revealCell(
  scroller: HTMLElement,
  g: Sizes,
  { width, height }: Size,
  { row, step }: { row: number | null; step: number | null },
): void {
  if (step !== null) {
    const x = step * g.cell
    const room = width - g.label - g.cell
    scroller.scrollLeft = Math.min(
      Math.max(scroller.scrollLeft, x - room + margin(room)),
      Math.max(0, x - margin(room)),
    )
  }
  if (row !== null) {
    const y = row * g.pitch
    scroller.scrollTop = Math.min(Math.max(scroller.scrollTop, y - (height - g.header - g.pitch)), y)
  }
}

/** Return where to scroll so that a column of the text is in sight; null if it is. */
export function revealColumn(scrollLeft: number, g: Sizes, width: number, column: number): number | null {
  const x = column * g.cell
  const room = width - g.label
  if (x - scrollLeft > room - 2) return x - room + margin(room)
  return x < scrollLeft ? Math.max(0, x - margin(room)) : null
}

/** Columns behind the caret that are brought into sight with it, if the network writes there. */
const WRITTEN_COLUMNS = 8

/** Return where the strips are scrolled to so that the caret is in sight, as `revealColumn` does. */
export function revealCaret(left: number, g: Sizes, width: number, column: number, writes: boolean): number | null {
  const to = writes ? revealColumn(left, g, width, column + WRITTEN_COLUMNS) : null
  return revealColumn(to ?? left, g, width, column) ?? to
}
