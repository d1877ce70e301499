import { describe, expect, it } from 'vitest'
import { changedCharacters } from '../../src/data/text-change'

describe('an edit of a text', () => {
  it.each([
    [null, 'abc', 3],
    ['', 'abc', 3],
    ['abc', 'abc', 0],
    ['abc', 'abcd', 1],
    ['abcd', 'abc', 0],
    ['abcd', 'abXd', 2],
    ['abcd', 'Xabcd', 5],
    ['aaaa', 'aaaaa', 1],
  ])('of “%s” to “%s” changes everything from there on: %i', (before, text, changed) => {
    expect(changedCharacters(before, text, null)).toBe(changed)
  })

  it.each([
    ['ab;cd;ef;', 'ab;cXd;ef;', 3],
    ['ab;cd;ef;', 'Xab;cd;ef;', 4],
    ['ab;cd;ef;', 'ab;cd;efX;', 2],
    ['ab;cd;ef', 'ab;cd;efX', 1],
    ['ab;cd;ef;', 'ab;;ef;', 1],
    ['ab;cd;', 'abcd;', 3],
    ['ab;cd;', 'ab;cd;', 0],
  ])('of “%s” to “%s” changes nothing behind the end of its sequence: %i', (before, text, changed) => {
    expect(changedCharacters(before, text, ';')).toBe(changed)
  })
})
