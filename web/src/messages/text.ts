// The sentences of the page: every visible text by its code, from the message catalogue of the package.
import english from '../../../src/gatescope/messages/en/page.json'

export type Code = keyof typeof english

/** Whether a text is the code of a sentence. */
export const isCode = (code: string): code is Code => Object.hasOwn(english, code)

/** Values by the name that the sentence has for them; a count chooses between `{count:# step|# steps}`. */
export type Values = Record<string, string | number>

const FIELD = /\{(\w+)(?::([^|{}]*)\|([^{}]*))?\}/g

const sentences: Readonly<Record<Code, string>> = english

function fill(field: RegExpMatchArray, values: Values): string | null {
  const [, name = '', singular, plural] = field
  const value = values[name]
  if (value === undefined) return null
  if (singular === undefined || plural === undefined) return String(value)
  return (value === 1 ? singular : plural).replaceAll('#', value.toLocaleString('en-US'))
}

/** Return a sentence with its values filled in. */
export function text(code: Code, values: Values = {}): string {
  return sentences[code].replace(FIELD, (...field) => fill(field as unknown as RegExpMatchArray, values) ?? field[0])
}

/** A part of a sentence: text, or the name of an element that stands in it. */
export type Piece = { text: string } | { element: string }

/** Cut a sentence into text and elements: the fields that have no value. */
export function pieces(code: Code, values: Values = {}): Piece[] {
  const cut: Piece[] = []
  let end = 0
  let textSoFar = ''
  const sentence = sentences[code]
  for (const field of sentence.matchAll(FIELD)) {
    textSoFar += sentence.slice(end, field.index)
    end = field.index + field[0].length
    const value = fill(field, values)
    if (value !== null) textSoFar += value
    else {
      cut.push({ text: textSoFar }, { element: field[1]! })
      textSoFar = ''
    }
  }
  return [...cut, { text: textSoFar + sentence.slice(end) }].filter((piece) => !('text' in piece) || piece.text !== '')
}
