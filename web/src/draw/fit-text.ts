// Text cut to a width.

const fittedTexts = new Map<string, string>()

/** Return as much of a text as fits into a width, with an ellipsis. */
export function fitText(pen: CanvasRenderingContext2D, text: string, width: number): string {
  const key = `${pen.font} ${Math.round(width)} ${text}`
  let fitted = fittedTexts.get(key)
  if (fitted === undefined) {
    if (fittedTexts.size > 4000) fittedTexts.clear()
    fitted = text
    if (pen.measureText(text).width > width) {
      let low = 0
      let high = text.length
      while (low < high) {
        const middle = (low + high + 1) >> 1
        if (pen.measureText(`${text.slice(0, middle).trimEnd()}…`).width <= width) low = middle
        else high = middle - 1
      }
      fitted = low ? `${text.slice(0, low).trimEnd()}…` : ''
    }
    fittedTexts.set(key, fitted)
  }
  return fitted
}
