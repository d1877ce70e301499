// Numbers in a text of lines: one of them replaced, everything else as it was.
const FIELD = /[^,;\s]+/gu

/** Return a number as it is typed: with few digits, and none that its scale does not need. */
export const typedNumber = (value: number, step: number): string => {
  const digits = Math.max(0, Math.min(8, 1 - Math.floor(Math.log10(step))))
  return String(Number(value.toFixed(digits)))
}

/** Return the text with another number at a step; the text itself if the step has no such column. */
export function withNumber(text: string, step: number, column: number, number: string): string {
  let lines = -1
  return text
    .split('\n')
    .map((line) => {
      if (!line.trim() || ++lines !== step) return line
      let field = -1
      return line.replace(FIELD, (value) => (++field === column ? number : value))
    })
    .join('\n')
}
