// A text as a page: the line and the column of every step, with tabs, wide characters and combining marks in their places.
import type { Unit } from '../data/run'
import { glyph } from './characters'
import { inWords } from './descriptions'

/** Tabs lead to the next column that is a multiple of this. */
export const TAB_COLUMNS = 4

/** A line may end this share of its columns early, so that no word is cut. */
const MAX_RAGGED_SHARE = 0.4

// East Asian wide and fullwidth characters, and emoji, take two columns.
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6]|[\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\ufe0f/u

/** Return how many columns a printed text takes: wide characters two, combining marks none. */
export function columnsOf(printed: string): number {
  let columns = 0
  for (const character of printed) columns += /^[\p{M}\u200d]$/u.test(character) ? 0 : WIDE.test(character) ? 2 : 1
  return columns
}

/** The places of the steps of a text on lines of a width. */
export interface PageLines {
  /** The line and the first column of each step, and how many columns it takes. */
  line: Int32Array
  column: Int32Array
  span: Uint8Array
  /** The printed text of each step; empty for a mark that stands on the character before it. */
  printed: string[]
  /** For a combining mark: its place among the marks of its character, from 1; 0 for other steps. */
  mark: Uint8Array
  /** The first step of each line. */
  first: number[]
  /** The number of steps, and the columns of the widest line. */
  steps: number
  columns: number
}

interface Cell {
  printed: string
  columns: number
  /** The number of steps that stand in it: a character and its combining marks. */
  steps: number
}

/** Return the cells of a text: a step each, but a character and its combining marks share one. */
function cellsOf(labels: readonly string[], start: Uint8Array, unit: Unit): Cell[] {
  if (unit !== 'character') {
    const gap = inWords(unit) ? 1 : 0
    return labels.map((label) => {
      const printed = printedOf(label)
      return { printed, columns: columnsOf(printed) + gap, steps: 1 }
    })
  }
  const cells: Cell[] = []
  const segments = new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(labels.join(''))
  let step = 0
  for (const { segment } of segments) {
    let rest = segment.length
    let cell: Cell | null = null
    while (rest > 0) {
      const label = labels[step]!
      // Line ends and the first step of a sequence are cells of their own.
      if (cell && !start[step] && label !== '\n') {
        cell.printed += label
        cell.steps++
        cell.columns = Math.max(1, columnsOf(cell.printed) > 1 ? 2 : 1)
      } else {
        const printed = printedOf(label)
        cell = { printed, columns: Math.max(1, columnsOf(printed)), steps: 1 }
        cells.push(cell)
      }
      rest -= label.length
      step++
    }
  }
  return cells
}

/** Return what is drawn for a step: spaces are only a ground, unprintable characters a small box. */
function printedOf(label: string): string {
  if (label === ' ') return ''
  const { text, code } = glyph(label)
  return code ? '▯' : text
}

/** Return the width of a cell that begins at a column; a tab ends at the next stop. */
const widthAt = (label: string, columns: number, column: number): number =>
  label === '\t' ? TAB_COLUMNS - (column % TAB_COLUMNS) : Math.max(1, columns)

/**
 * Place the steps of a text on lines.
 *
 * A line ends at a line end, where a sequence ends, and where the next cell would not fit: then after a space or a wide
 * character, if that leaves most of the line filled.
 *
 * @param labels the printed form of each step
 * @param start 1 where a sequence starts
 * @param columns the most columns of a line; a line end may stand after the last one
 */
export function pageLines(labels: readonly string[], start: Uint8Array, unit: Unit, columns: number): PageLines {
  const steps = labels.length
  const placed: PageLines = {
    line: new Int32Array(steps),
    column: new Int32Array(steps),
    span: new Uint8Array(steps),
    printed: new Array<string>(steps).fill(''),
    mark: new Uint8Array(steps),
    first: steps ? [0] : [],
    steps,
    columns: 0,
  }
  const least = Math.floor(columns * (1 - MAX_RAGGED_SHARE))
  let [line, column, step] = [0, 0, 0]
  // The last step after which the line may be broken.
  let breakAt = 0
  const begin = (first: number): void => {
    placed.first.push(first)
    line++
    column = 0
  }
  for (const cell of cellsOf(labels, start, unit)) {
    const label = labels[step]!
    if (step && (start[step] || labels[step - 1] === '\n') && placed.first.at(-1) !== step) begin(step)
    let width = widthAt(label, cell.columns, column)
    if (column > 0 && column + width > columns && label !== '\n') {
      const from = breakAt > placed.first.at(-1)! && placed.column[breakAt]! >= least ? breakAt : step
      begin(from)
      // The cells after the break move to the new line.
      for (let t = from; t < step; t++) {
        placed.line[t] = line
        if (placed.mark[t]) {
          placed.column[t] = placed.column[t - 1]!
          continue
        }
        placed.column[t] = column
        placed.span[t] = widthAt(labels[t]!, placed.span[t]!, column)
        column += placed.span[t]!
      }
      width = widthAt(label, cell.columns, column)
    }
    for (let k = 0; k < cell.steps; k++) {
      placed.line[step + k] = line
      placed.column[step + k] = column
      placed.span[step + k] = width
      placed.mark[step + k] = Math.min(k, 255)
    }
    placed.printed[step] = cell.printed
    column += width
    placed.columns = Math.max(placed.columns, column)
    step += cell.steps
    if (label === ' ' || label === '\t' || cell.columns > 1) breakAt = step
  }
  return placed
}

/** Return the first step of a line and the step after its last one. */
export function stepsOfLine({ first, steps }: PageLines, line: number): { from: number; to: number } {
  return { from: first[line] ?? steps, to: first[line + 1] ?? steps }
}

/** Return the step of a line that a column belongs to: the nearest one, if the line is shorter; a character before its marks. */
export function stepAtColumn(lines: PageLines, line: number, column: number): number {
  const { from, to } = stepsOfLine(lines, line)
  let nearest = from
  for (let t = from; t < to && lines.column[t]! <= column; t++) if (!lines.mark[t]) nearest = t
  return nearest
}

/** Return the step above or below another one, in its column as far as the lines reach. */
export function stepBelow(lines: PageLines, step: number, by: number): number {
  const line = Math.max(0, Math.min(lines.first.length - 1, lines.line[step]! + by))
  return line === lines.line[step] ? step : stepAtColumn(lines, line, lines.column[step]!)
}
