// What an edit of a text makes an engine compute again, if it has the text before the edit recorded.

/**
 * Return how many characters of a text are computed again: from the first one that differs to the end of the last
 * sequence that differs.
 *
 * @param before the recorded text; null if there is none
 * @param text the text now
 * @param end the end mark of sequences; null if the text is one sequence
 */
export function changedCharacters(before: string | null, text: string, end: string | null): number {
  if (before === null) return text.length
  const most = Math.min(before.length, text.length)
  let first = 0
  while (first < most && before[first] === text[first]) first++
  let same = 0
  while (same < most - first && before[before.length - 1 - same] === text[text.length - 1 - same]) same++
  // The sequence in which the edit ends is computed to its end mark; the ones behind it stay what they were.
  const mark = end ? text.indexOf(end, Math.max(first, text.length - same - end.length)) : -1
  return (mark < 0 ? text.length : mark + end!.length) - first
}
