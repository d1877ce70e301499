// Text cut to a width.

const cut = new Map<string, string>()

/** As much of a text as fits, with an ellipsis. */
export function fitted(pen: CanvasRenderingContext2D, text: string, width: number): string {
  const key = `${pen.font} ${Math.round(width)} ${text}`
  let found = cut.get(key)
  if (found === undefined) {
    if (cut.size > 4000) cut.clear()
    found = text
    if (pen.measureText(text).width > width) {
      let low = 0
      let high = text.length
      while (low < high) {
        const middle = (low + high + 1) >> 1
        if (pen.measureText(`${text.slice(0, middle).trimEnd()}…`).width <= width) low = middle
        else high = middle - 1
      }
      found = low ? `${text.slice(0, low).trimEnd()}…` : ''
    }
    cut.set(key, found)
  }
  return found
}
