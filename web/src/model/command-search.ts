// The search of the command palette: every word of the query must stand in a command.

/** What can be found: a sentence, further words, and its group. */
export interface Searchable {
  title: string
  /** Words that find the command although its title does not have them. */
  words: string
}

export interface Command extends Searchable {
  /** What kind of thing it is, as the palette shows it. */
  group: string
  run: () => void
}

const folded = (text: string): string =>
  text
    .normalize('NFKD')
    .replace(/\p{Mn}/gu, '')
    .toLowerCase()

const WHOLE_WORD = 4
const START_OF_WORD = 3
const INSIDE = 1
/** Words of the title count more than further words. */
const TITLE = 2

/** Rate how a text has a word: whole, at the start of a word, inside one, or not at all (0). */
function rate(text: string, word: string): number {
  let best = 0
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    const starts = at === 0 || !/[\p{L}\p{N}]/u.test(text[at - 1]!)
    const after = text[at + word.length]
    const ends = after === undefined || !/[\p{L}\p{N}]/u.test(after)
    best = Math.max(best, starts ? (ends ? WHOLE_WORD : START_OF_WORD) : INSIDE)
  }
  return best
}

/** Return the commands that have every word of a query, the best first; among equals their order stays. */
export function search<T extends Searchable>(query: string, commands: readonly T[], most: number): T[] {
  const queryWords = folded(query).split(/\s+/).filter(Boolean)
  const rated: { command: T; rating: number }[] = []
  for (const command of commands) {
    const title = folded(command.title)
    const words = folded(command.words)
    let rating = 0
    for (const word of queryWords) {
      const best = Math.max(TITLE * rate(title, word), rate(words, word))
      if (!best) {
        rating = -1
        break
      }
      rating += best
    }
    if (rating >= 0) rated.push({ command, rating })
  }
  return rated
    .sort((a, b) => b.rating - a.rating)
    .slice(0, most)
    .map(({ command }) => command)
}
