// The vocabulary of a network: its symbols, and how a text becomes sequences of ids or numbers.
//
// The rules are those of src/gatescope/vocabulary.py and units.py. Characters are Python's: code points, not the
// 16-bit units of JavaScript.
import { EngineError, shown } from './errors'
import { RULES } from './splitting'
import { UNITS, type Units } from './units'

export type Unit = 'character' | 'byte' | 'word' | 'token' | 'number'

export interface Vocabulary extends Units {
  unit: Unit
  symbols: readonly string[]
  end: string | null
  other: string | null
  /** The number of symbols, which is also the id of everything that is not a symbol, if there is no `other`. */
  size: number
}

const MAX_SYMBOLS = 1 << 24
const SURROGATE = /\p{Surrogate}/u

/** Return the vocabulary in a JSON value. Throws an EngineError if the value does not describe one. */
export function readVocabulary(json: unknown): Vocabulary {
  if (typeof json !== 'object' || json === null) throw new EngineError('VOCABULARY_INVALID', { value: shown(json) })
  const data = json as Record<string, unknown>
  // Versions before 0.1 wrote whether symbols are bytes.
  const unit = data['unit'] ?? (typeof data['bytes'] === 'boolean' ? (data['bytes'] ? 'byte' : 'character') : undefined)
  const make = UNITS.get(unit as Unit)
  if (!make)
    throw new EngineError('VOCABULARY_UNIT_UNKNOWN', { unit: shown(unit), units: [...UNITS.keys()].join(', ') })
  const [end, other] = [mark(data, 'end'), mark(data, 'other')]
  const symbols = unit === 'byte' ? BYTES : symbolsOf(data['symbols'])
  const rule = unit === 'word' ? (data['rule'] ?? 1) : RULES.at(-1)!
  if (!RULES.includes(rule as number)) throw new EngineError('VOCABULARY_RULE_UNKNOWN', { rule: shown(rule) })
  const units = make({ symbols, end, other: unit === 'byte' ? null : other, rule: rule as number })
  return { ...units, unit: unit as Unit, symbols, end, other, size: symbols.length }
}

const BYTES = Array.from({ length: 256 }, (_, k) => String.fromCharCode(k))

function mark(data: Record<string, unknown>, name: string): string | null {
  const value = data[name] ?? null
  if (value !== null && typeof value !== 'string')
    throw new EngineError('VOCABULARY_MARK_INVALID', { name, value: shown(value) })
  return value
}

function symbolsOf(value: unknown): string[] {
  if (!Array.isArray(value) || !value.length || value.length > MAX_SYMBOLS)
    throw new EngineError('VOCABULARY_INVALID', { value: shown(value) })
  const wrong = value.find((symbol) => typeof symbol !== 'string' || SURROGATE.test(symbol))
  if (wrong !== undefined) throw new EngineError('VOCABULARY_SYMBOL_INVALID', { symbol: shown(wrong) })
  if (new Set(value).size !== value.length) {
    const seen = new Set<string>()
    const repeated = (value as string[]).find((symbol) => seen.has(symbol) || !seen.add(symbol))
    throw new EngineError('VOCABULARY_SYMBOL_REPEATED', { symbol: shown(repeated) })
  }
  return value as string[]
}
