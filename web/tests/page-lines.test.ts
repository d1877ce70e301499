import { describe, expect, it } from 'vitest'
import { columnsOf, pageLines, stepAtColumn, stepBelow } from '../src/model/page-lines'

const place = (text: string, columns: number, starts: number[] = []) => {
  const labels = [...text]
  return pageLines(
    labels,
    Uint8Array.from(labels, (_, t) => Number(starts.includes(t))),
    'character',
    columns,
  )
}

describe('the columns of a text', () => {
  it('are two for wide characters, none for combining marks', () => {
    expect(columnsOf('abc')).toBe(3)
    expect(columnsOf('床前')).toBe(4)
    expect(columnsOf('，')).toBe(2)
    expect(columnsOf('ｱ')).toBe(1) // a halfwidth katakana
    expect(columnsOf('e\u0301')).toBe(1)
    expect(columnsOf('🙂')).toBe(2)
  })
})

describe('lines of a page', () => {
  it('end at line ends, which stand on the line that they end', () => {
    const lines = place('ab\n\nc', 10)
    expect([...lines.line]).toEqual([0, 0, 0, 1, 2])
    expect([...lines.column]).toEqual([0, 1, 2, 0, 0])
    expect(lines.first).toEqual([0, 3, 4])
    expect(lines.printed).toEqual(['a', 'b', '⏎', '⏎', 'c'])
  })

  it('let a line end stand after the last column', () => {
    const lines = place('abcd\ne', 4)
    expect([...lines.line]).toEqual([0, 0, 0, 0, 0, 1])
    expect(lines.columns).toBe(5)
  })

  it('are cut after a space, and inside a word that is too long', () => {
    expect(place('the cat sat', 9).first).toEqual([0, 8])
    expect(place('abcdefgh', 3).first).toEqual([0, 3, 6])
    // A break far to the left would leave most of the line empty.
    expect(place('a bcdefghijk', 8).first).toEqual([0, 8])
  })

  it('have tabs that lead to the next stop', () => {
    const lines = place('a\tb\tc', 20)
    expect([...lines.column]).toEqual([0, 1, 4, 5, 8])
    expect([...lines.span]).toEqual([1, 3, 1, 3, 1])
  })

  it('give a moved tab the width of its new place', () => {
    const lines = place('aaaaaa bb\tcccc', 12)
    expect(lines.first).toEqual([0, 10])
    expect(place('aaaaaaaa b\tcc', 11).first).toEqual([0, 9])
    expect([...place('aaaaaaaa b\tcc', 11).column].slice(9)).toEqual([0, 1, 4, 5])
  })

  it('give wide characters two columns, and never half of one to a line', () => {
    const lines = place('床前明月', 5)
    expect([...lines.line]).toEqual([0, 0, 1, 1])
    expect([...lines.column]).toEqual([0, 2, 0, 2])
  })

  it('put combining marks on their character, as steps of their own', () => {
    const lines = place('e\u0301\u0323a', 10)
    expect([...lines.column]).toEqual([0, 0, 0, 1])
    expect([...lines.mark]).toEqual([0, 1, 2, 0])
    expect(lines.printed).toEqual(['e\u0301\u0323', '', '', 'a'])
    expect(place('👩\u200d💻x', 10).column[3]).toBe(2)
    // A line end and a carriage return are two cells.
    expect([...place('a\r\nb', 10).column]).toEqual([0, 1, 2, 0])
  })

  it('begin where a sequence starts', () => {
    expect(place('abcd', 10, [0, 2]).first).toEqual([0, 2])
  })

  it('separate words by a column', () => {
    const labels = ['the', 'cat', 'sat']
    const lines = pageLines(labels, new Uint8Array(3), 'word', 9)
    expect([...lines.column]).toEqual([0, 4, 0])
    expect([...lines.line]).toEqual([0, 0, 1])
  })

  it('are no lines of an empty text', () => {
    expect(place('', 10)).toMatchObject({ first: [], steps: 0, columns: 0 })
  })

  it('place every step once, in order, inside the columns', () => {
    let seed = 3
    const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647
    const symbols = [...'abc de \n\t床e\u0301 ']
    for (let k = 0; k < 40; k++) {
      const text = Array.from({ length: 200 }, () => symbols[Math.floor(random() * symbols.length)]!).join('')
      const columns = 4 + Math.floor(random() * 30)
      const lines = place(text, columns)
      const labels = [...text]
      for (let t = 0; t < labels.length; t++) {
        expect(lines.column[t]! + lines.span[t]!).toBeLessThanOrEqual(columns + (labels[t] === '\n' ? 1 : 0))
        if (!t) continue
        const [before, now] = [lines.line[t - 1]!, lines.line[t]!]
        expect(now - before === 0 || now - before === 1).toBe(true)
        if (now === before && !lines.mark[t]) expect(lines.column[t]).toBe(lines.column[t - 1]! + lines.span[t - 1]!)
        if (now > before) expect(lines.column[t]).toBe(0)
      }
    }
  })
})

describe('steps on a page', () => {
  it('are found by line and column', () => {
    const lines = place('ab\n床c\n', 10)
    expect([0, 1, 2, 9].map((column) => stepAtColumn(lines, 0, column))).toEqual([0, 1, 2, 2])
    expect([0, 1, 2].map((column) => stepAtColumn(lines, 1, column))).toEqual([3, 3, 4])
  })

  it('are above and below each other', () => {
    const lines = place('abcd\nxy\nabcd', 10)
    expect(stepBelow(lines, 3, 1)).toBe(7) // the line end of the shorter line
    expect(stepBelow(lines, 1, 2)).toBe(9)
    expect(stepBelow(lines, 9, -1)).toBe(6)
    expect(stepBelow(lines, 1, -1)).toBe(1)
  })
})
