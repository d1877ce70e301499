// The text of a range of steps, to be copied.
import type { Range } from '../data/view'
import type { Picture } from './picture'

/** Return the text of a range: characters as they are, bytes decoded, words and lines of numbers as they are read. */
export function rangeText(
  { run, trace, text }: Pick<Picture, 'run' | 'trace' | 'text'>,
  { first, last }: Range,
): string {
  const labels = trace.labels.slice(first, last + 1)
  if (run.unit === 'byte') {
    const bytes = new TextEncoder().encode(text)
    return new TextDecoder().decode(bytes.slice(first, last + 1))
  }
  if (run.unit === 'word' || run.unit === 'token') return labels.join(' ')
  if (run.unit === 'number')
    return text
      .split('\n')
      .filter((line) => line.trim())
      .slice(first, last + 1)
      .join('\n')
  return labels.join('')
}
