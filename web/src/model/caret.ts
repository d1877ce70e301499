// Places in a text and the columns over which its characters or bytes stand.
import { FIT_ZOOM } from '../data/view'
import type { Unit } from '../data/run'

/** The smallest zoom whose cells are wide enough for the characters of the text. */
const MIN_TEXT_ZOOM = 2

/** The boundaries between the characters of a text, from its beginning to its end. */
export interface Boundaries {
  /** The place of each boundary in the text, in UTF-16 units. */
  offsets: number[]
  /** The column that begins at each boundary. */
  columns: number[]
}

/** Whether the text is edited in the first row of the strips: each of its characters has columns of its own there. */
export function isEditedInStrips(unit: Unit, zoom: number): boolean {
  return (unit === 'character' || unit === 'byte') && zoom >= MIN_TEXT_ZOOM && zoom !== FIT_ZOOM
}

const utf8Length = (point: number): number => (point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4)

/** Return the boundaries of a text; a character that is read as several bytes has as many columns. */
export function boundariesOf(text: string, unit: Unit): Boundaries {
  const offsets = [0]
  const columns = [0]
  for (const character of text) {
    offsets.push(offsets.at(-1)! + character.length)
    columns.push(columns.at(-1)! + (unit === 'byte' ? utf8Length(character.codePointAt(0)!) : 1))
  }
  return { offsets, columns }
}

/** Return the index of the last element that is not greater than a value, in ascending numbers that begin with 0. */
function lastUpTo(ascending: readonly number[], value: number): number {
  let low = 0
  let high = ascending.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (ascending[middle]! <= value) low = middle
    else high = middle - 1
  }
  return low
}

/** Return the column that begins at a place of the text. */
export function columnAt({ offsets, columns }: Boundaries, offset: number): number {
  return columns[lastUpTo(offsets, Math.max(0, offset))]!
}

/** Return the place of the text that is nearest to a position in columns, such as 2.7. */
export function offsetNear({ offsets, columns }: Boundaries, position: number): number {
  const before = lastUpTo(columns, Math.max(0, position))
  const after = Math.min(before + 1, columns.length - 1)
  const isNearerToEnd = position - columns[before]! > columns[after]! - position
  return offsets[isNearerToEnd ? after : before]!
}

/** Return the word or the run of other characters around a place of the text, [from, to). */
export function wordAround(text: string, offset: number): [number, number] {
  const isWord = (at: number): boolean => /[\p{L}\p{N}_]/u.test(text[at] ?? '')
  let from = Math.min(offset, Math.max(0, text.length - 1))
  if (!isWord(from)) return [from, Math.min(text.length, from + 1)]
  let to = from
  while (from > 0 && isWord(from - 1)) from--
  while (to < text.length && isWord(to)) to++
  return [from, to]
}

/** Return the line around a place of the text, with its line end, [from, to). */
export function lineAround(text: string, offset: number): [number, number] {
  const from = text.lastIndexOf('\n', offset - 1) + 1
  const end = text.indexOf('\n', offset)
  return [from, end < 0 ? text.length : end + 1]
}
