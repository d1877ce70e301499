// The error of the engine: a code and its values. The page has the sentence of each code.

export type Values = Record<string, string | number>

const SHOWN_CHARACTERS = 60
const SHOWN_ENTRIES = 8

export class EngineError extends Error {
  constructor(
    readonly code: string,
    readonly values: Values = {},
  ) {
    super(`${code} ${JSON.stringify(values)}`)
  }
}

/** Return a value of unknown type as a short text, for the values of an error. */
export function shown(value: unknown): string {
  // Nested values are not written out: they may be too deep or too large for that.
  const isPlain = (entry: unknown): boolean => typeof entry !== 'object' || entry === null
  let text = '{…}'
  if (typeof value === 'string') text = value
  else if (isPlain(value)) text = String(value)
  else if (Array.isArray(value))
    text = value.length <= SHOWN_ENTRIES && value.every(isPlain) ? JSON.stringify(value) : '[…]'
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text
}
