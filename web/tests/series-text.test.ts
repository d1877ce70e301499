// A number of a text of lines is replaced, and everything else is left as it was.
import { expect, it } from 'vitest'
import { typedNumber, withNumber } from '../src/model/series-text'

it('one number of one step changes', () => {
  const text = '1,2\n3, 4\n\n5;6\n'
  expect(withNumber(text, 0, 1, '9')).toBe('1,9\n3, 4\n\n5;6\n')
  expect(withNumber(text, 1, 0, '-0.5')).toBe('1,2\n-0.5, 4\n\n5;6\n')
  expect(withNumber(text, 2, 1, '7')).toBe('1,2\n3, 4\n\n5;7\n')
  expect(withNumber(text, 3, 0, '7')).toBe(text)
  expect(withNumber(text, 0, 2, '7')).toBe(text)
})

it('a number has the digits that its chart can show', () => {
  expect(typedNumber(0.123456, 0.01)).toBe('0.123')
  expect(typedNumber(12.3456, 1)).toBe('12.3')
  expect(typedNumber(1234.6, 50)).toBe('1235')
  expect(typedNumber(-0, 0.01)).toBe('0')
})
