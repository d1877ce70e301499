// Texts become the ids, numbers and labels of Python, for every unit.
import { describe, expect, it } from 'vitest'
import { readConfiguration } from '../../engine/configuration'
import { EngineError } from '../../engine/errors'
import { numberLabel } from '../../engine/numerals'
import { pythonFloat, pythonGeneral } from '../../engine/python-format'
import { SPACE, UNCERTAIN, wordPattern } from '../../engine/splitting'
import { readTensors } from '../../engine/tensors'
import { readVocabulary } from '../../engine/vocabulary'
import { fixture } from './fixtures'

interface TextCase {
  vocabulary: { unit: string; end: string | null; symbols?: string[] }
  text: string
  parts: string[]
  ids: number[]
  labels: string[]
  unknown: string[]
  decoded: string
}

type Ranges = [number, number][]

interface Texts {
  cases: TextCase[]
  numerals: { text: string; rows: number[][] | null }[]
  characters: { assigned: Ranges; word: Ranges; space: Ranges; lower: [number, string][] }
  labels: string[]
  generals: [number, string, string][]
  formats: { network: unknown; about: Record<string, unknown> }[]
}

const { metadata, tensors } = readTensors(fixture('texts.bin'))
const texts = JSON.parse(metadata['index']!) as Texts
const groups = new Map<string, TextCase[]>()
for (const entry of texts.cases) {
  const key = JSON.stringify(entry.vocabulary)
  groups.set(key, [...(groups.get(key) ?? []), entry])
}

describe.each([...groups].map(([key, cases]) => [`${cases[0]!.vocabulary.unit} ${key.slice(0, 60)}`, cases] as const))(
  '%s',
  (_, cases) => {
    const vocabulary = readVocabulary(cases[0]!.vocabulary)

    it('cuts, encodes, labels and decodes every text as Python does', () => {
      for (const { text, parts, ids, labels, unknown, decoded } of cases) {
        const ours = {
          parts: vocabulary.split(text),
          ids: [...vocabulary.encode(text)],
          labels: vocabulary.labels(text),
          unknown: vocabulary.unknownIn(text),
          decoded: vocabulary.decode(ids),
        }
        expect(ours, JSON.stringify(text)).toEqual({ parts, ids, labels, unknown, decoded })
      }
    })
  },
)

it('reads numbers as Python does, or refuses a line', () => {
  for (const { text, rows } of texts.numerals) {
    const read = ['xy', 'x'].map((names) => {
      try {
        const values = readVocabulary({ unit: 'number', end: null, symbols: [...names] }).encode(text)
        return Array.from({ length: values.length / names.length }, (_, k) => [
          ...values.subarray(k * names.length, (k + 1) * names.length),
        ])
      } catch (error) {
        expect(error).toMatchObject({ code: 'VOCABULARY_LINE_INVALID' })
        return null
      }
    })
    expect(read.find((found) => found !== null) ?? null, JSON.stringify(text)).toEqual(rows)
  }
})

it('writes numbers with the digits of Python', () => {
  const values = tensors.get('values')!.data as Float32Array
  expect(values.length).toBeGreaterThan(3000)
  expect(Array.from(values, (value) => numberLabel(value))).toEqual(texts.labels)
  for (const [value, general, exact] of texts.generals)
    expect([pythonGeneral(value, 3), pythonFloat(value)]).toEqual([general, exact])
})

it('knows the letters, white space and small letters of Python, or refuses the character', () => {
  const inside = (ranges: Ranges): ((point: number) => boolean) => {
    const points = new Set(
      ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, k) => first + k)),
    )
    return (point) => points.has(point)
  }
  const [isWord, isSpace] = [inside(texts.characters.word), inside(texts.characters.space)]
  const lower = new Map(texts.characters.lower)
  const word = new RegExp(`^(?:${wordPattern(1).source})$`, 'u')
  const space = new RegExp(`[${SPACE}]`, 'u')
  const joined = (character: string): boolean => (`a${character}`.match(wordPattern(1)) ?? []).length === 1
  const wrong: string[] = []
  for (let point = 0; point < 0x110000; point++) {
    if (point >= 0xd800 && point < 0xe000) continue
    const character = String.fromCodePoint(point)
    if (UNCERTAIN.test(character)) continue
    const isLetter = word.test(character) && joined(character)
    if (isLetter !== isWord(point) || space.test(character) !== isSpace(point)) wrong.push(point.toString(16))
    if (character.toLowerCase() !== (lower.get(point) ?? character)) wrong.push(`lower ${point.toString(16)}`)
  }
  expect(wrong).toEqual([])
  // What is refused is only what this Python, or this JavaScript, does not know.
  const isAssigned = inside(texts.characters.assigned)
  const refused = texts.characters.word
    .flatMap(([first, last]) => [first, last])
    .filter((point) => isAssigned(point) && UNCERTAIN.test(String.fromCodePoint(point)))
  expect(refused).toEqual([])
})

it('refuses a word with a letter that Python may not know', () => {
  const vocabulary = readVocabulary({ unit: 'word', end: null, symbols: ['a'], rule: 2 })
  expect(() => vocabulary.encode('a \u{1e4d0}b')).toThrow(EngineError)
})

it('reads every format of network.json as Python does', () => {
  for (const { network, about } of texts.formats) {
    const { names, inputs, predicted, levels, readout } = readConfiguration(network)
    expect({ names, inputs, predicted, levels, readout }).toEqual(about)
  }
})
