// The language of the page and its sentences. English is part of the program; another language is loaded when it is chosen.
import english from '../../../src/gatescope/messages/en/page.json'
import { remember } from './remembered'
import { type Language, languageAtStart, STORAGE_KEY } from './languages'

export { firstKnown, LANGUAGES, type Language } from './languages'

export type Code = keyof typeof english

/** The name of each language in itself, and its tag. */
export const NAMES: Readonly<Record<Language, string>> = { en: 'English', zh: '中文' }
const TAGS: Readonly<Record<Language, string>> = { en: 'en', zh: 'zh-Hans' }

/** What another language has: the sentences by code, and titles of data by their kind and name. */
export interface Translation {
  page: Readonly<Record<string, string>>
  titles: Readonly<Record<string, Readonly<Record<string, string>>>>
}

const ENGLISH: Translation = { page: {}, titles: {} }

class Catalogue {
  language = $state.raw<Language>('en')
  translation = $state.raw<Translation>(ENGLISH)
  /** Whether the address of the page names the language; links inside the page then do so as well. */
  inAddress = false
  readonly #listeners = new Set<() => void>()
  #load: (language: Language) => Promise<ArrayBuffer> = () => Promise.reject(new Error('no translation'))

  readonly #english: Record<string, string> = { ...english }

  /** Return the sentence of a code; a sentence that the translation lacks is English. */
  sentence(code: Code): string {
    return this.translation.page[code] ?? this.#english[code] ?? code
  }

  /** Whether a text is the code of a sentence. */
  isCode(code: string): code is Code {
    return Object.hasOwn(this.#english, code)
  }

  /** Add the English sentences of parts that are loaded later. */
  addEnglish(sentences: Readonly<Record<string, string>>): void {
    Object.assign(this.#english, sentences)
  }

  /**
   * Show the language of the address, else the one that was chosen before, else that of the browser.
   *
   * @param load returns the file of a language other than English
   */
  async start(load: (language: Language) => Promise<ArrayBuffer>): Promise<void> {
    this.#load = load
    const query = new URLSearchParams(location.search)
    this.inAddress = query.has('lang')
    await this.show(languageAtStart(query))
  }

  /** Show another language and remember it. */
  async choose(language: Language): Promise<void> {
    await this.show(language)
    remember(STORAGE_KEY, language)
    if (!this.inAddress) return
    const address = new URL(location.href)
    address.searchParams.set('lang', language)
    history.replaceState(history.state, '', address)
  }

  /** Show a language. If its file cannot be read, the language stays as it is. */
  async show(language: Language): Promise<void> {
    try {
      const translation =
        language === 'en' ? ENGLISH : (JSON.parse(new TextDecoder().decode(await this.#load(language))) as Translation)
      this.language = language
      this.translation = translation
    } catch {
      return
    }
    document.documentElement.lang = TAGS[language]
    for (const listener of this.#listeners) listener()
  }

  /** Call a function at each change of the language. Returns a function that stops. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}

export const catalogue = new Catalogue()
