// The sentences of the page: every visible text by its code, from the message catalogue of the package.
import { catalogue, type Code } from './catalogue.svelte'
import { grouped } from './grouped'

export type { Code }

/** Whether a text is the code of a sentence. */
export const isCode = (code: string): code is Code => catalogue.isCode(code)

/** Values by the name that the sentence has for them; a count chooses between the forms of `{count:# step|# steps}`. */
export type Values = Record<string, string | number>

/** A field, and the forms of a count: two in English, one in Chinese. */
const FIELD = /\{(\w+)(?::([^|{}]*)(?:\|([^{}]*))?)?\}/g

function fill(field: RegExpMatchArray, values: Values): string | null {
  const [, name = '', singular, plural = singular] = field
  const value = values[name]
  if (value === undefined) return null
  if (singular === undefined || plural === undefined) return String(value)
  return (value === 1 ? singular : plural).replaceAll('#', typeof value === 'number' ? grouped(value) : value)
}

/** Space Chinese around values: none between Chinese characters, one beside Latin letters and digits. `\0` bounds a value. */
const spaced = (sentence: string): string =>
  sentence
    .replace(/([一-鿿]) ?\0+ ?(?=[一-鿿“])|(”) ?\0+ ?(?=[一-鿿])/g, '$1$2')
    .replace(/([一-鿿])\0+(?=\w)|(\w)\0+(?=[一-鿿])/g, '$1$2 ')
    .replaceAll('\0', '')

/** Return a sentence with its values filled in. */
export function text(code: Code, values: Values = {}): string {
  return spaced(
    catalogue.sentence(code).replace(FIELD, (...field) => {
      const value = fill(field as unknown as RegExpMatchArray, values)
      return value === null ? field[0] : `\0${value}\0`
    }),
  )
}

/** A part of a sentence: text, or the name of an element that stands in it. */
export type Piece = { text: string } | { element: string }

/** Cut a sentence into text and elements: the fields that have no value. */
export function pieces(code: Code, values: Values = {}): Piece[] {
  const cut: Piece[] = []
  let end = 0
  let textSoFar = ''
  const sentence = catalogue.sentence(code)
  for (const field of sentence.matchAll(FIELD)) {
    textSoFar += sentence.slice(end, field.index)
    end = field.index + field[0].length
    const value = fill(field, values)
    if (value !== null) textSoFar += `\0${value}\0`
    else {
      cut.push({ text: spaced(textSoFar) }, { element: field[1]! })
      textSoFar = ''
    }
  }
  return [...cut, { text: spaced(textSoFar + sentence.slice(end)) }].filter(
    (piece) => !('text' in piece) || piece.text !== '',
  )
}
