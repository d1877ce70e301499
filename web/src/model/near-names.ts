// Names that are similar to a name that nothing has.

const MAX_NAMES = 3

/** Return the edit distance of two words: the fewest characters inserted, removed or replaced (Levenshtein 1966). */
function distance(first: string, second: string): number {
  let row = Array.from({ length: second.length + 1 }, (_, k) => k)
  for (let i = 1; i <= first.length; i++) {
    const next = [i]
    for (let j = 1; j <= second.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + Number(first[i - 1] !== second[j - 1])))
    row = next
  }
  return row[second.length]!
}

/** Return the names most similar to a name: at most three, with few other letters or with it inside. */
export function nearNames(name: string, names: readonly string[]): string[] {
  const query = name.toLowerCase().slice(0, 100)
  if (!query) return []
  const rated = names.map((other) => {
    const lower = other.toLowerCase().slice(0, 100)
    const contains = lower.includes(query) || query.includes(lower)
    return {
      other,
      far: Math.min(contains ? 1 : Infinity, distance(query, lower)),
      most: Math.max(1, Math.floor(query.length / 3)),
    }
  })
  return rated
    .filter(({ far, most }) => far <= most)
    .sort((a, b) => a.far - b.far)
    .slice(0, MAX_NAMES)
    .map(({ other }) => other)
}
