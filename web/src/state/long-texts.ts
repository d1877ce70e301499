// Long texts: they stay in the storage of this window, and the address names them by their digest.
import { Sha256 } from '../../engine/digest'

/** A longer text is not written into the address. */
export const MAX_ADDRESS_CHARACTERS = 2000

/** Of all texts of this window together; the oldest ones are removed first. */
const MAX_STORED_CHARACTERS = 1_500_000
const PREFIX = 'gatescope.text.'
const ORDER = 'gatescope.texts'
const DIGEST_DIGITS = 16

type TextStorage = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>

const items = new Map<string, string>()
/** What a window has without a storage, or beside a full one: until the page is closed. */
const memory: TextStorage = {
  getItem: (key) => items.get(key) ?? null,
  setItem: (key, value) => void items.set(key, value),
  removeItem: (key) => void items.delete(key),
}
let latest: { text: string; key: string } | null = null

function storage(): TextStorage {
  try {
    return globalThis.sessionStorage ?? memory
  } catch {
    return memory
  }
}

/** Return the code units of a text; UTF-8 would write all lone surrogates alike. */
const bytesOf = (text: string): Uint8Array =>
  new Uint8Array(Uint16Array.from({ length: text.length }, (_, k) => text.charCodeAt(k)).buffer)

/** Return the name of a text: its digest and its number of characters, such as `9f86d081884c7d65-2431`. */
export function textKey(text: string): string {
  if (latest?.text === text) return latest.key
  const key = `${new Sha256().update(bytesOf(text)).hex().slice(0, DIGEST_DIGITS)}-${text.length}`
  latest = { text, key }
  return key
}

/** Keep a text for this window, so that a reload and the Back button find it. */
export function storeText(text: string): void {
  const key = textKey(text)
  try {
    putFirst(storage(), key, text)
  } catch {
    // The storage is full or refused.
    putFirst(memory, key, text)
  }
}

/** Put a text before the others of a storage, and remove the oldest ones that are too much. */
function putFirst(store: TextStorage, key: string, text: string): void {
  const order = (store.getItem(ORDER) ?? '').split(' ').filter(Boolean)
  // A move of the cursor writes the address as well, and not another text.
  if (order[0] === key) return
  let characters = text.length
  const others = order.filter((other) => {
    if (other === key) return false
    characters += store.getItem(PREFIX + other)?.length ?? 0
    if (characters <= MAX_STORED_CHARACTERS) return true
    store.removeItem(PREFIX + other)
    return false
  })
  store.setItem(PREFIX + key, text)
  store.setItem(ORDER, [key, ...others].join(' '))
}

/** Return a stored text; null if this window has none of that name. */
export function storedText(key: string): string | null {
  const held = memory.getItem(PREFIX + key)
  if (held !== null) return held
  try {
    return storage().getItem(PREFIX + key)
  } catch {
    return null
  }
}

/** Return the number of characters of a text from its name; null for anything that is no such name. */
export function keyCharacters(key: string): number | null {
  const digits = /^[0-9a-f]{16}-(\d{1,9})$/.exec(key)?.[1]
  return digits === undefined ? null : Number(digits)
}
