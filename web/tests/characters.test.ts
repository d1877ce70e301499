import { describe, expect, it } from 'vitest'
import { cellWidth, glyph, characterName, oneLine, stepAt, symbolLabels } from '../src/model/characters'

// A monospaced font in which wide characters take two columns.
const measure = (text: string): number => [...text].reduce((sum, one) => sum + (one >= '\u2e80' ? 16 : 8), 0)

describe('what is printed for a step', () => {
  it('shows line ends, tabs and spaces as signs', () => {
    expect(['\n', '\t', ' '].map((label) => glyph(label).text)).toEqual(['⏎', '⇥', '·'])
    expect(oneLine('a\n\tb c')).toBe('a⏎⇥b c')
  })

  it('shows words that every object of JavaScript has as what they are', () => {
    for (const word of ['constructor', '__proto__', 'toString'])
      expect(glyph(word)).toEqual({ text: word, quiet: false, code: false })
  })

  it('shows unprintable characters by their code and stands combining marks on something', () => {
    expect(glyph('\u200b')).toEqual({ text: '200B', quiet: true, code: true })
    expect(glyph('\u0007')).toMatchObject({ text: '07', code: true })
    expect(glyph('\ud800')).toMatchObject({ text: 'D800', code: true })
    expect(glyph('\u0301').text).toBe('◌\u0301')
    expect(glyph('月')).toEqual({ text: '月', quiet: false, code: false })
    expect([characterName('a'), characterName(' '), characterName('\u200b'), characterName('\u0007')]).toEqual([
      '“a”',
      'a space',
      'U+200B',
      'U+0007',
    ])
  })
})

describe('the width of the cells', () => {
  it('is enough for the widest character of the text, and the same for all', () => {
    const narrow = cellWidth([...'aXb'], 10, measure)
    const wide = cellWidth([...'aX床'], 10, measure)
    expect(narrow).toBe(12)
    expect(wide).toBe(20)
    expect(cellWidth([...'床前明月光'], 10, measure)).toBe(wide)
    expect(cellWidth([], 10, measure)).toBe(10)
    expect(cellWidth(['\u200b'], 10, measure)).toBe(10)
  })
})

describe('the step under the caret', () => {
  it('counts characters as the network does', () => {
    const text = 'a😀月\n'
    const labels = ['a', '😀', '月', '\n']
    expect(stepAt(labels, text, 0)).toBeNull()
    expect([1, 2, 3, 4, 5].map((caret) => stepAt(labels, text, caret))).toEqual([0, 1, 1, 2, 3])
    expect(stepAt(['61', 'e6'], 'a月', 1)).toBeNull()
    const bytes = ['a', 'E6', '9C', '88', 'b']
    expect([1, 2, 3].map((caret) => stepAt(bytes, 'a月b', caret))).toEqual([0, 3, 4])
  })
})

it('isolates characters that are written from right to left, so that a list keeps its quotes and its order', () => {
  expect(characterName('ש')).toBe('\u2066“ש”\u2069')
  expect(characterName('ي')).toBe('\u2066“ي”\u2069')
  expect([characterName('a'), characterName('床'), characterName('😀')]).toEqual(['“a”', '“床”', '“😀”'])
})

it('prints the symbols of a network that reads bytes as its labels do', () => {
  const bytes = symbolLabels(Array.from({ length: 256 }, (_, k) => String.fromCodePoint(k)))
  expect([bytes[0x61], bytes[0xe6], bytes[0x0a]]).toEqual(['a', 'E6', '\n'])
  expect(symbolLabels(['æ', 'a'])).toEqual(['æ', 'a'])
})
