// Half-typed input of an input method is no text yet.
import { describe, expect, it } from 'vitest'
import { changedField } from '../src/parts/composition'

const field = { value: '你' }
const event = (type: string, isComposing?: boolean): Event =>
  ({ type, currentTarget: field, ...(isComposing === undefined ? {} : { isComposing }) }) as unknown as Event

describe('a text field', () => {
  it('has not changed while an input method composes', () => {
    expect(changedField(event('input', true))).toBeNull()
  })

  it('has changed at plain input and at the end of a composition, which is no InputEvent', () => {
    expect(changedField(event('input', false))).toBe(field)
    expect(changedField(event('compositionend'))).toBe(field)
  })
})
