// The languages of the page, and which of them a reader gets.

import { remembered } from './remembered'

export const LANGUAGES = ['en', 'zh'] as const
export type Language = (typeof LANGUAGES)[number]

export const STORAGE_KEY = 'gatescope-language'

/** Whether a text is the name of a language of the page. */
const isLanguage = (name: string | null): name is Language => LANGUAGES.some((language) => language === name)

/** The first of some language tags that the page has; English if it has none. */
export function firstKnown(tags: readonly string[]): Language {
  for (const tag of tags) {
    const name = tag.split('-')[0]!.toLowerCase()
    if (isLanguage(name)) return name
  }
  return 'en'
}

/** Return the language of the address, else the one that was chosen before, else that of the browser. */
export function languageAtStart(query: URLSearchParams): Language {
  const named = query.get('lang')
  return named === null ? (chosenBefore() ?? firstKnown(navigator.languages)) : firstKnown([named])
}

/** Return the language that was chosen in this browser; null if none was. */
function chosenBefore(): Language | null {
  const name = remembered(STORAGE_KEY)
  return isLanguage(name) ? name : null
}
