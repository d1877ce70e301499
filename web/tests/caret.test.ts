import { describe, expect, it } from 'vitest'
import { boundariesOf, columnAt, isEditedInStrips, lineAround, offsetNear, wordAround } from '../src/model/caret'

describe('boundaries of a text', () => {
  it('have a column for each code point, and places in UTF-16 units', () => {
    expect(boundariesOf('', 'character')).toEqual({ offsets: [0], columns: [0] })
    expect(boundariesOf('a😀月\n', 'character')).toEqual({ offsets: [0, 1, 3, 4, 5], columns: [0, 1, 2, 3, 4] })
    // A combining mark is a symbol of its own.
    expect(boundariesOf('e\u0301x', 'character').columns).toEqual([0, 1, 2, 3])
  })

  it('have as many columns as a character has bytes', () => {
    const text = 'aé月😀'
    const { offsets, columns } = boundariesOf(text, 'byte')
    expect(columns).toEqual([0, 1, 3, 6, 10])
    expect(offsets.at(-1)).toBe(text.length)
    expect(columns.at(-1)).toBe(new TextEncoder().encode(text).length)
  })

  it('lead from the caret to its column and back', () => {
    for (const unit of ['character', 'byte'] as const) {
      const boundaries = boundariesOf('aé月😀\n', unit)
      for (const offset of boundaries.offsets) expect(offsetNear(boundaries, columnAt(boundaries, offset))).toBe(offset)
    }
    const boundaries = boundariesOf('a😀b', 'character')
    // Between the halves of a surrogate pair there is no boundary.
    expect(columnAt(boundaries, 2)).toBe(1)
    expect(columnAt(boundaries, 99)).toBe(3)
  })

  it('are found from the nearer side, also outside of the text', () => {
    const boundaries = boundariesOf('月ab', 'byte')
    expect([-2, 0.4, 1.4, 1.6, 3.4, 3.6, 50].map((x) => offsetNear(boundaries, x))).toEqual([0, 0, 0, 1, 1, 2, 3])
    expect(offsetNear(boundariesOf('', 'character'), 7)).toBe(0)
  })
})

describe('a word and a line', () => {
  it('are those around a place', () => {
    const text = 'let größe_2 = 1\nx\n'
    expect(text.slice(...wordAround(text, 5))).toBe('größe_2')
    expect(text.slice(...wordAround(text, 12))).toBe('=')
    expect(text.slice(...lineAround(text, 3))).toBe('let größe_2 = 1\n')
    expect(text.slice(...lineAround(text, 16))).toBe('x\n')
    expect(wordAround('', 0)).toEqual([0, 0])
    expect(lineAround('', 0)).toEqual([0, 0])
    expect(lineAround('ab', 1)).toEqual([0, 2])
  })
})

it('is edited in the strips where each character has columns that are wide enough', () => {
  expect([0, 1, 2, 3, 4].map((zoom) => isEditedInStrips('character', zoom))).toEqual([false, false, true, true, true])
  expect(isEditedInStrips('byte', 3)).toBe(true)
  for (const unit of ['word', 'token', 'number'] as const) expect(isEditedInStrips(unit, 4)).toBe(false)
})
