// Symbols in print: line ends and tabs as signs, unprintable characters as their code, and the width of a cell.
import { text } from '../messages/text'

export interface Glyph {
  /** The text to draw; the hexadecimal code if `code` is set. */
  text: string
  /** Whether it is a sign for something else (a line end, a space), which is drawn paler. */
  quiet: boolean
  /** Whether it is unprintable, and drawn as a small box with its code. */
  code: boolean
}

// A map, because an object also has entries for words such as "constructor".
const SIGNS = new Map(Object.entries({ '\n': '⏎', '\t': '⇥', ' ': '·', '\r': '␍', '\u00a0': '⍽', '\u3000': '□' }))

/** Characters that are written from right to left. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u

const UNPRINTABLE = /^[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Zs}]$/u

const glyphs = new Map<string, Glyph>()

export function glyph(label: string): Glyph {
  let cached = glyphs.get(label)
  if (!cached) {
    cached = makeGlyph(label)
    glyphs.set(label, cached)
  }
  return cached
}

function makeGlyph(label: string): Glyph {
  const sign = SIGNS.get(label)
  if (sign) return { text: sign, quiet: true, code: false }
  if (UNPRINTABLE.test(label)) {
    const hex = label.codePointAt(0)!.toString(16).toUpperCase()
    return { text: hex.padStart(hex.length > 4 ? 6 : hex.length > 2 ? 4 : 2, '0'), quiet: true, code: true }
  }
  // A combining mark needs a base.
  if (/^\p{M}/u.test(label)) return { text: `◌${label}`, quiet: false, code: false }
  return { text: label, quiet: false, code: false }
}

/** Return the name of a symbol for a sentence: “a”, “⏎”, U+200B. */
export function characterName(label: string): string {
  const { text: sign, code } = glyph(label)
  if (code) return `U+${sign.padStart(4, '0')}`
  if (label === ' ') return text('CHARACTER_SPACE')
  const quoted = text('CHARACTER_QUOTED', { character: sign })
  // An isolate keeps its quotes and its place in a list.
  return RIGHT_TO_LEFT.test(sign) ? `\u2066${quoted}\u2069` : quoted
}

/** Return a text on one line, with signs for line ends and tabs. */
export function oneLine(line: string): string {
  return [...line].map((label) => (label === ' ' ? ' ' : glyph(label).code ? '▯' : glyph(label).text)).join('')
}

export type Measure = (text: string) => number

const CELL_PADDING = 4

const MAX_CELL_WIDTH = 44

/** Return the width of all cells: that of the widest glyph of the text. */
export function cellWidth(labels: string[], least: number, measure: Measure): number {
  let widest = 0
  for (const label of new Set(labels)) {
    const { text, code } = glyph(label)
    if (!code) widest = Math.max(widest, measure(text))
  }
  return Math.min(MAX_CELL_WIDTH, Math.max(least, Math.ceil(widest) + CELL_PADDING))
}

/** Return the step of the symbol before text position `caret`; null if there is none. */
export function stepAt(labels: string[], text: string, caret: number, unit = 'character'): number | null {
  if (caret <= 0 || labels.length === 0) return null
  if (unit === 'number') {
    const lines = text.slice(0, caret).split('\n')
    return Math.max(0, Math.min(labels.length, lines.filter((line) => line.trim()).length) - 1)
  }
  if (unit === 'word' || unit === 'token') {
    let position = 0
    for (let step = 0; step < labels.length; step++) {
      position = text.indexOf(labels[step]!, position) + labels[step]!.length
      if (position >= caret) return step
    }
    return labels.length - 1
  }
  if (labels.join('') !== text) {
    // A network that reads bytes has one step for each byte of the UTF-8.
    const encode = new TextEncoder()
    if (labels.length !== encode.encode(text).length) return null
    return encode.encode(text.slice(0, caret)).length - 1
  }
  let end = 0
  for (let step = 0; step < labels.length; step++) {
    end += labels[step]!.length
    if (end >= caret) return step
  }
  return labels.length - 1
}

/** Return the place of a text behind its first steps, in UTF-16 units. */
export function offsetAfter(labels: string[], text: string, steps: number, unit = 'character'): number {
  if (steps >= labels.length) return text.length
  if (unit === 'word' || unit === 'token') {
    let position = 0
    for (const label of labels.slice(0, steps)) position = text.indexOf(label, position) + label.length
    return position
  }
  let [offset, read] = [0, 0]
  for (const character of text) {
    if (read >= steps) break
    offset += character.length
    read += unit === 'byte' ? new TextEncoder().encode(character).length : 1
  }
  return offset
}

const labelCache = new WeakMap<string[], string[]>()

/** Return the printed form of each symbol; bytes that are no characters are printed in hexadecimal. */
export function symbolLabels(vocabulary: string[]): string[] {
  let labels = labelCache.get(vocabulary)
  if (!labels) {
    const bytes = vocabulary.length === 256 && vocabulary.every((symbol, k) => symbol.codePointAt(0) === k)
    labels = bytes ? vocabulary.map((symbol, k) => (k < 128 ? symbol : k.toString(16).toUpperCase())) : vocabulary
    labelCache.set(vocabulary, labels)
  }
  return labels
}

/** Return the name of each id that is predicted: names of classes, or printed symbols. */
export function predictionLabels(run: { vocabulary: string[]; readout: { kind: string; names: string[] } }): string[] {
  return run.readout.kind === 'classes' ? run.readout.names : symbolLabels(run.vocabulary)
}
