// Tables as CSV, and the names of shared files.
import { expect, test } from 'vitest'
import { csvCell, csvPieces, floatText } from '../src/model/csv'
import { safePart } from '../src/model/share-names'

const float = (value: number): number => Math.fround(value)

test('numbers give the same float32 back', () => {
  for (const value of [0.1, -1 / 3, 1e-30, 3.4e38, 1.1754944e-38, 1e-45, 16777217, 123456.78].map(float))
    expect(Math.fround(Number(floatText(value)))).toBe(value)
  let seed = 1
  for (let k = 0; k < 2000; k++) {
    seed = (seed * 48271) % 2147483647
    const value = float((seed / 2147483647 - 0.5) * 10 ** ((k % 60) - 30))
    expect(Math.fround(Number(floatText(value)))).toBe(value)
  }
  expect([floatText(float(0.1)), floatText(-0), floatText(Infinity)]).toEqual(['0.1', '-0.0', 'inf'])
  expect([csvCell(NaN), csvCell(null), csvCell(0.1 + 0.2, true)]).toEqual(['', '', '0.30000000000000004'])
})

test('texts are quoted, and none is a formula', () => {
  expect(csvCell('a,"b"')).toBe('"a,""b"""')
  expect(csvCell('\n')).toBe('"\n"')
  expect(csvCell(' ')).toBe('" "')
  for (const first of ['=', '+', '-', '@', '\t', '\r', "'"]) expect(csvCell(`${first}1`)).toContain(`'${first}1`)
  // A single symbol computes nothing.
  for (const symbol of ['=', '-', '@']) expect(csvCell(symbol)).toBe(symbol)
  expect(csvCell(-1)).toBe('-1')
})

test('rows end with CRLF, and shorter columns are empty', () => {
  const columns = [
    { name: 'a', length: 2, value: (row: number) => row },
    { name: '=b', length: 1, value: () => 'x' },
  ]
  expect([...csvPieces(columns)].join('')).toBe("a,'=b\r\n0,x\r\n1,\r\n")
})

test('parts of file names are short and safe on every system', () => {
  expect(safePart('../a b\n"c":d*?<>|\\e')).toBe('a-b-c-d-e')
  expect(safePart('中文 é 👩‍👩')).toBe('中文-é')
  expect(safePart('x'.repeat(99))).toHaveLength(24)
  expect(safePart('...')).toBe('')
})
