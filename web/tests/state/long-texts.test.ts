import { afterEach, describe, expect, it, vi } from 'vitest'
import { START } from '../../src/data/view'
import { fromAddress, toAddress } from '../../src/state/address'
import { keyCharacters, storedText, storeText, textKey } from '../../src/state/long-texts'

/** A storage of a window that holds some characters, as browsers do. */
class Window {
  readonly items = new Map<string, string>()
  constructor(readonly most: number) {}
  getItem = (key: string): string | null => this.items.get(key) ?? null
  removeItem = (key: string): void => void this.items.delete(key)
  setItem = (key: string, value: string): void => {
    const others = [...this.items].filter(([name]) => name !== key).reduce((sum, [, text]) => sum + text.length, 0)
    if (others + value.length > this.most) throw new DOMException('full', 'QuotaExceededError')
    this.items.set(key, value)
  }
}

const long = (letter: string): string => letter.repeat(2001)
const view = (text: string) => ({ ...START, view: 'network' as const, run: 'counter', text })

afterEach(() => vi.unstubAllGlobals())

describe('a long text', () => {
  it('is named in the address, and short ones are written', () => {
    storeText(long('q'))
    const address = toAddress(view(long('q')))
    expect(address.length).toBeLessThan(100)
    expect(fromAddress(address).text).toBe(long('q'))
    expect(toAddress(view('x'.repeat(2000)))).toContain('x'.repeat(2000))
  })

  it('has a name of its own', () => {
    const texts = [long('a'), long('b'), `${long('a')}b`, `${long('a')}\ud800`, `${long('a')}\ud801`]
    expect(new Set(texts.map(textKey)).size).toBe(texts.length)
    expect(texts.map((text) => keyCharacters(textKey(text)))).toEqual([2001, 2001, 2002, 2002, 2002])
  })

  it('is missed with a sentence in another window', () => {
    const sentences: string[] = []
    const missing = `?run=counter&stored=0123456789abcdef-28000`
    expect(fromAddress(missing, '', (sentence) => sentences.push(sentence)).text).toBeNull()
    expect(fromAddress('?run=counter&stored=../x', '', (sentence) => sentences.push(sentence)).text).toBeNull()
    expect(sentences[0]).toContain('28,000 characters')
    expect(sentences[1]).toContain('“../x”')
  })

  it('stays in the storage of the window, and the oldest ones make room', async () => {
    const window = new Window(4_000_000)
    vi.stubGlobal('sessionStorage', window)
    const texts = Array.from({ length: 20 }, (_, k) => String(k).repeat(100_000).slice(0, 100_000))
    for (const text of texts) storeText(text)
    vi.resetModules()
    const reloaded = await import('../../src/state/long-texts')
    expect(reloaded.storedText(textKey(texts[19]!))).toBe(texts[19])
    expect(reloaded.storedText(textKey(texts[6]!))).toBe(texts[6])
    expect(reloaded.storedText(textKey(texts[4]!))).toBeNull()
    expect([...window.items.values()].join('').length).toBeLessThan(1_600_000)
  })

  it('lasts as long as the page where the storage is full or refused', () => {
    vi.stubGlobal('sessionStorage', new Window(10))
    storeText(long('f'))
    expect(storedText(textKey(long('f')))).toBe(long('f'))
    vi.stubGlobal('sessionStorage', undefined)
    storeText(long('n'))
    expect(storedText(textKey(long('n')))).toBe(long('n'))
    expect(storedText(textKey(long('z')))).toBeNull()
  })
})
