// The error of the engine: a code and its values. The page has the sentence of each code.

export type Values = Record<string, string | number>

const SHOWN_CHARACTERS = 60

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
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value))
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text
}
