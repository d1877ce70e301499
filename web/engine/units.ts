// The units of a vocabulary: how a text becomes characters, bytes, tokens, words or numbers, and back.
import { byCodePoint } from './python-format'
import { EngineError, shown } from './errors'
import { numberLabel, readLine, splitLines } from './numerals'
import { SPACE, UNCERTAIN, wordPattern } from './splitting'
import { fromUtf8, toUtf8 } from './utf8'

export interface Units {
  /** Cut a text into its sequences; joined, they are the text again. */
  split: (text: string) => string[]
  /** Return the steps of a text: ids (T,), or numbers (T, I). */
  encode: (text: string) => Int32Array | Float32Array
  /** Return what to print for each step of a text. */
  labels: (text: string) => string[]
  /** Return what to print for an id. */
  labelOf: (id: number) => string
  /** Return the characters or words of a text that are not symbols, each once, sorted. */
  unknownIn: (text: string) => string[]
  /** Return the text of ids; the id after the last symbol is unknown. */
  decode: (ids: ArrayLike<number>) => string
}

export interface Marks {
  symbols: readonly string[]
  end: string | null
  other: string | null
  rule: number
}

const REPLACEMENT = '\ufffd'
const HAS_SPACE = new RegExp(`[${SPACE}]`, 'u')
const HAS_TEXT = new RegExp(`[^${SPACE}]`, 'u')
const SURROGATE = /^\p{Surrogate}$/u

const invalid = (symbol: string): EngineError => new EngineError('VOCABULARY_SYMBOL_INVALID', { symbol: shown(symbol) })

const isCharacter = (symbol: string): boolean => symbol.length > 0 && Array.from(symbol).length === 1

const printable = (character: string): string => (SURROGATE.test(character) ? REPLACEMENT : character)

/** Refuse marks that are not symbols, and return symbol -> id. */
function idsOf({ symbols, end, other }: Marks): Map<string, number> {
  const ids = new Map(symbols.map((symbol, id) => [symbol, id]))
  for (const mark of [end, other]) if (mark !== null && !ids.has(mark)) throw invalid(mark)
  return ids
}

function sortedOnce(texts: Iterable<string>): string[] {
  return [...new Set(texts)].sort(byCodePoint)
}

/** Cut a text after each end mark. */
function splitAfter(text: string, end: string): string[] {
  const parts = text.split(end)
  const rest = parts.pop()!
  return [...parts.map((part) => part + end), ...(rest ? [rest] : [])]
}

/** Cut a text after each empty line. */
function splitBlocks(text: string): string[] {
  const blocks: string[] = []
  let [block, hasText, afterEmpty] = ['', false, false]
  for (const line of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
    const empty = !HAS_TEXT.test(line)
    if (!empty && hasText && afterEmpty) {
      blocks.push(block)
      block = ''
    }
    block += line
    hasText ||= !empty
    afterEmpty = empty
  }
  return hasText ? [...blocks, block] : []
}

function characters(marks: Marks): Units {
  const { symbols, end } = marks
  const ids = idsOf(marks)
  const wrong = symbols.find((symbol) => !isCharacter(symbol))
  if (wrong !== undefined) throw invalid(wrong)
  const other = marks.other === null ? symbols.length : ids.get(marks.other)!
  return {
    split: (text) => (end === null ? (text ? [text] : []) : splitAfter(text, end)),
    encode: (text) => Int32Array.from(Array.from(text), (character) => ids.get(character) ?? other),
    labels: (text) => Array.from(text, printable),
    labelOf: (id) => printable(symbols[id] ?? REPLACEMENT),
    unknownIn: (text) => sortedOnce(Array.from(text).filter((character) => !ids.has(character))),
    decode: (values) => Array.from(values, (id) => symbols[id] ?? REPLACEMENT).join(''),
  }
}

function bytes(marks: Marks): Units {
  const { end } = marks
  if (end !== null && !(isCharacter(end) && end.charCodeAt(0) < 128)) throw invalid(end)
  const label = (byte: number): string =>
    byte < 128 ? String.fromCharCode(byte) : byte.toString(16).toUpperCase().padStart(2, '0')
  return {
    split: (text) => (end === null ? (text ? [text] : []) : splitAfter(text, end)),
    encode: (text) => Int32Array.from(toUtf8(text)),
    labels: (text) => Array.from(toUtf8(text), label),
    labelOf: label,
    unknownIn: () => [],
    decode: (ids) => fromUtf8(Array.from(ids).flatMap((id) => (id < 256 ? [id] : [...toUtf8(REPLACEMENT)]))),
  }
}

/** The units "token" and "word": what stands between white space, which for words may be cut further. */
function chunks(marks: Marks, inWords: boolean): Units {
  const { symbols, end } = marks
  const ids = idsOf(marks)
  const wrong = symbols.find((symbol) => symbol !== end && (!symbol || HAS_SPACE.test(symbol)))
  if (wrong !== undefined) throw invalid(wrong)
  if (end !== null && !isCharacter(end)) throw invalid(end)
  const other = marks.other === null ? symbols.length : ids.get(marks.other)!
  const escaped = end === null ? '' : `\\u{${end.codePointAt(0)!.toString(16)}}`
  const chunk = new RegExp(end === null ? `[^${SPACE}]+` : `${escaped}|[^${SPACE}${escaped}]+`, 'gu')
  const word = wordPattern(marks.rule)
  const labels = (text: string): string[] => {
    const found = text.match(chunk) ?? []
    if (!inWords) return found
    return found.flatMap((part) => {
      if (ids.has(part)) return [part]
      if (UNCERTAIN.test(part)) throw new EngineError('VOCABULARY_CHARACTER_NEW', { text: shown(part) })
      return part.match(word) ?? []
    })
  }
  const find = (part: string): number | undefined =>
    ids.get(part) ?? (inWords ? ids.get(part.toLowerCase()) : undefined)
  return {
    split: (text) => (end === null ? splitBlocks(text) : splitAfter(text, end)),
    encode: (text) => Int32Array.from(labels(text), (part) => find(part) ?? other),
    labels,
    labelOf: (id) => symbols[id] ?? REPLACEMENT,
    unknownIn: (text) => sortedOnce(labels(text).filter((part) => find(part) === undefined)),
    decode: (values) => {
      const parts = Array.from(values, (id) => symbols[id] ?? REPLACEMENT)
      return parts.map((part, k) => (k && part !== end && parts[k - 1] !== end ? ` ${part}` : part)).join('')
    },
  }
}

function numbers({ symbols, end, other }: Marks): Units {
  for (const mark of [end, other]) if (mark !== null) throw invalid(mark)
  const size = symbols.length
  const rows = (text: string): number[][] =>
    splitLines(text).flatMap((line, k) => {
      const values = readLine(line)
      if (values !== null && !values.length) return []
      if (values?.length !== size)
        throw new EngineError('VOCABULARY_LINE_INVALID', { number: k + 1, line: shown(line), size })
      return [values]
    })
  return {
    split: splitBlocks,
    encode: (text) => Float32Array.from(rows(text).flat()),
    labels: (text) => rows(text).map((row) => row.map((value) => numberLabel(Math.fround(value))).join(',')),
    labelOf: (id) => symbols[id] ?? '',
    unknownIn: () => [],
    decode: () => {
      throw new EngineError('VOCABULARY_NO_SYMBOLS')
    },
  }
}

/** Name of a unit -> its functions. */
export const UNITS: ReadonlyMap<string, (marks: Marks) => Units> = new Map([
  ['character', characters],
  ['byte', bytes],
  ['word', (marks: Marks) => chunks(marks, true)],
  ['token', (marks: Marks) => chunks(marks, false)],
  ['number', numbers],
])
