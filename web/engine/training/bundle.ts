// A task as data: the bundle that src/gatescope/training/bundle.py writes, checked field by field.
import { type Configuration, readConfiguration } from '../configuration'
import { EngineError } from '../errors'
import { readVocabulary, type Vocabulary } from '../vocabulary'
import { type Recipe, readRecipe } from './recipe'

/** A string of a score. */
export interface ScoredString {
  ids: Int32Array
  /** N, a gap or the number of symbols. */
  level: number
  /** The first step whose prediction counts. */
  first: number
  weight: number
  /** Whether the share counts the string; otherwise only the mean divergence does. */
  scored: boolean
  /** The number of the row of each step; null for the rule “argmax”. */
  rows: Int32Array | null
}

/** The predictions that are right after a symbol, for the rule “possible”. */
export interface Row {
  threshold: number
  required: readonly number[]
  forbidden: readonly number[]
  nextRequired: boolean
  /** The true probability of each symbol; null if no drawn string begins like this. */
  likely: readonly number[] | null
}

/** A text that is read in stretches. */
export interface Stretches {
  ids: Int32Array
  /** Where reading starts, the first symbol that counts, and the first symbol after the stretch. */
  places: readonly (readonly [number, number, number])[]
}

export interface StringScore {
  rule: 'argmax' | 'possible'
  shareOf: 'strings' | 'symbols'
  chance: number
  strings: readonly ScoredString[]
  /** By rising level; tried once all strings of the share are right. */
  longer: readonly ScoredString[]
  /** The largest level; null: the longer strings have a share for each level instead of a first failure. */
  tried: number | null
  rows: readonly Row[]
  optimum: number | null
}

export interface TextScore {
  rule: 'nats'
  chance: number
  stretches: Stretches
}

export type Validation =
  | { rule: 'strings'; strings: readonly Int32Array[] }
  | { rule: 'stretches'; stretches: Stretches; typicalShare: number }
  | { rule: 'divergence' }

export type TrainingData =
  | {
      kind: 'strings'
      strings: readonly Int32Array[]
      /** The probability of each string, added up; null: all are equally probable. */
      edges: Float64Array | null
      /** For each string the rows of the score whose probabilities are the targets; null: the next symbol. */
      targetRows: readonly Int32Array[] | null
    }
  | { kind: 'streams'; ids: Int32Array; restart: number }

export interface Bundle {
  task: string
  title: string
  question: string
  vocabulary: Vocabulary
  training: TrainingData
  validation: Validation
  score: StringScore | TextScore
  examples: readonly string[]
  /** The suggested network.json, as it stands in the bundle. */
  network: unknown
  configuration: Configuration
  recipe: Recipe
}

type Json = Record<string, unknown>

const FORMAT = 1
const FIRST_CODE = 48
const MAX_STRINGS = 1 << 20

const invalid = (part: string): EngineError => new EngineError('BUNDLE_INVALID', { part })

function object(value: unknown, part: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(part)
  return value as Json
}

function list(value: unknown, part: string): unknown[] {
  if (!Array.isArray(value) || value.length > MAX_STRINGS) throw invalid(part)
  return value
}

function texts(value: unknown, part: string): string[] {
  const values = list(value, part)
  if (!values.every((entry) => typeof entry === 'string')) throw invalid(part)
  return values as string[]
}

function text(value: unknown, part: string): string {
  if (typeof value !== 'string') throw invalid(part)
  return value
}

function numbers(value: unknown, part: string): number[] {
  const values = list(value, part)
  if (!values.every((entry) => Number.isFinite(entry))) throw invalid(part)
  return values as number[]
}

function finite(value: unknown, part: string): number {
  if (!Number.isFinite(value)) throw invalid(part)
  return value as number
}

/** Return the bundle in parsed JSON. Throws an EngineError if it is damaged or of a newer version. */
export function readBundle(json: unknown): Bundle {
  const data = object(json, 'bundle')
  const format = data['format']
  if (!Number.isInteger(format) || (format as number) < 1) throw invalid('format')
  if ((format as number) > FORMAT)
    throw new EngineError('BUNDLE_FORMAT_NEWER', { format: format as number, supported: FORMAT })
  const vocabulary = readVocabulary(data['vocabulary'])
  if (vocabulary.unit !== 'character' && vocabulary.unit !== 'byte') throw invalid('vocabulary')
  const suggested = object(data['suggested'], 'suggested')
  const scoreData = object(data['score'], 'score')
  const score =
    scoreData['rule'] === 'nats' ? readTextScore(scoreData, vocabulary) : readStringScore(scoreData, vocabulary)
  const rows = score.rule === 'nats' ? [] : score.rows
  const configuration = readConfiguration(suggested['network'])
  if (JSON.stringify(configuration.vocabulary.symbols) !== JSON.stringify(vocabulary.symbols))
    throw invalid('suggested.network')
  return {
    task: text(data['task'], 'task'),
    title: text(data['title'], 'title'),
    question: text(data['question'], 'question'),
    vocabulary,
    training: readTraining(object(data['training'], 'training'), vocabulary, rows),
    validation: readValidation(object(data['validation'], 'validation'), vocabulary, score),
    score,
    examples: texts(data['examples'], 'examples'),
    network: suggested['network'],
    configuration,
    recipe: readRecipe(suggested['recipe']),
  }
}

/** Return the ids of strings, each with a symbol and the next one. */
function encoded(vocabulary: Vocabulary, strings: readonly string[], part: string): Int32Array[] {
  return strings.map((string) => {
    const ids = vocabulary.encode(string)
    if (!(ids instanceof Int32Array) || ids.length < 2) throw invalid(part)
    return ids
  })
}

function textOf(vocabulary: Vocabulary, value: unknown, part: string): Int32Array {
  return encoded(vocabulary, [text(value, part)], part)[0]!
}

function stretchesOf(data: Json, vocabulary: Vocabulary, part: string): Stretches {
  const ids = textOf(vocabulary, data['text'], part)
  const places = list(data['stretches'], part).map((entry) => {
    const [start, first, last] = numbers(entry, part)
    const valid = [start, first, last].every(Number.isInteger) && 0 <= start! && start! < first! && first! < last!
    if (!valid || last! > ids.length) throw invalid(part)
    return [start!, first!, last!] as const
  })
  if (!places.length) throw invalid(part)
  return { ids, places }
}

function readTextScore(data: Json, vocabulary: Vocabulary): TextScore {
  const stretches = stretchesOf(data, vocabulary, 'score')
  return { rule: 'nats', chance: finite(data['chance'], 'score'), stretches }
}

function readStringScore(data: Json, vocabulary: Vocabulary): StringScore {
  const { rule, share_of: shareOf, tried, optimum } = data
  if ((rule !== 'argmax' && rule !== 'possible') || (shareOf !== 'strings' && shareOf !== 'symbols'))
    throw invalid('score')
  const rows = list(data['rows'], 'score').map((row) => readRow(object(row, 'score'), vocabulary.size))
  const strings = readStrings(object(data['strings'], 'score'), vocabulary, rule === 'possible' ? rows.length : null)
  if (!strings.some((string) => string.scored)) throw invalid('score')
  return {
    rule,
    shareOf,
    chance: finite(data['chance'], 'score'),
    strings,
    longer: readStrings(object(data['longer'], 'score'), vocabulary, rule === 'possible' ? rows.length : null),
    tried: tried === null ? null : finite(tried, 'score'),
    rows,
    optimum: optimum === null ? null : finite(optimum, 'score'),
  }
}

function readRow(data: Json, size: number): Row {
  const ids = (name: string): number[] => {
    const values = numbers(data[name], 'score')
    if (!values.every((id) => Number.isInteger(id) && id >= 0 && id < size)) throw invalid('score')
    return values
  }
  const likely = data['likely'] === null ? null : numbers(data['likely'], 'score')
  const threshold = finite(data['threshold'], 'score')
  if (threshold <= 0 || (likely && likely.length !== size)) throw invalid('score')
  const nextRequired = data['next_required'] === true
  return { threshold, required: ids('required'), forbidden: ids('forbidden'), nextRequired, likely }
}

/** Return the strings of a table of columns; a column that is missing has its default everywhere. */
function readStrings(data: Json, vocabulary: Vocabulary, rows: number | null): ScoredString[] {
  const all = encoded(vocabulary, texts(data['text'] ?? [], 'score'), 'score')
  const column = (name: string): unknown[] | null => {
    if (data[name] === undefined) return null
    const values = list(data[name], 'score')
    if (values.length !== all.length) throw invalid('score')
    return values
  }
  const [levels, firsts, weights] = [column('level'), column('first'), column('weight')]
  const [scored, codes] = [column('scored'), column('codes')]
  return all.map((ids, k) => {
    const first = finite(firsts?.[k] ?? 0, 'score')
    if (!Number.isInteger(first) || first < 0 || first >= ids.length - 1) throw invalid('score')
    return {
      ids,
      level: finite(levels?.[k] ?? 0, 'score'),
      first,
      weight: finite(weights?.[k] ?? 1, 'score'),
      scored: scored?.[k] !== false,
      rows: rows === null ? null : rowsOf(text(codes?.[k], 'score'), ids.length - 1, rows),
    }
  })
}

/** Return the numbers of rows that the characters of a code stand for. */
function rowsOf(code: string, steps: number, rows: number): Int32Array {
  const numbers = Int32Array.from(code, (character) => character.charCodeAt(0) - FIRST_CODE)
  if (numbers.length !== steps || numbers.some((row) => row < 0 || row >= rows)) throw invalid('score')
  return numbers
}

function readTraining(data: Json, vocabulary: Vocabulary, rows: readonly Row[]): TrainingData {
  const part = 'training'
  if (data['kind'] === 'streams') {
    const restart = finite(data['restart'], part)
    if (!Number.isInteger(restart) || restart < 1) throw invalid(part)
    return { kind: 'streams', ids: textOf(vocabulary, data['text'], part), restart }
  }
  if (data['kind'] !== 'strings') throw invalid(part)
  const columns = object(data['strings'], part)
  const strings = encoded(vocabulary, texts(columns['text'], part), part)
  if (!strings.length) throw invalid(part)
  let edges: Float64Array | null = null
  if (data['weights'] !== null) {
    const weights = numbers(data['weights'], part)
    let total = 0
    edges = Float64Array.from(weights, (weight) => (total += weight))
    if (weights.length !== strings.length || weights.some((weight) => weight < 0) || !(total > 0)) throw invalid(part)
  }
  if (data['targets'] === 'next') return { kind: 'strings', strings, edges, targetRows: null }
  if (data['targets'] !== 'likely') throw invalid(part)
  const codes = texts(columns['codes'], part)
  if (codes.length !== strings.length) throw invalid(part)
  const targetRows = codes.map((code, k) => rowsOf(code, strings[k]!.length - 1, rows.length))
  if (targetRows.some((numbers) => numbers.some((row) => rows[row]!.likely === null))) throw invalid(part)
  return { kind: 'strings', strings, edges, targetRows }
}

function readValidation(data: Json, vocabulary: Vocabulary, score: StringScore | TextScore): Validation {
  const part = 'validation'
  if (data['rule'] === 'divergence') {
    if (score.rule !== 'possible' || score.optimum === null) throw invalid(part)
    return { rule: 'divergence' }
  }
  if (data['rule'] !== 'nats') throw invalid(part)
  if (data['stretches'] !== undefined) {
    const stretches = stretchesOf(data, vocabulary, part)
    return { rule: 'stretches', stretches, typicalShare: finite(data['typical_share'], part) }
  }
  const strings = encoded(vocabulary, texts(object(data['strings'], part)['text'], part), part)
  if (!strings.length) throw invalid(part)
  return { rule: 'strings', strings }
}
