// The width of a text, and a text cut to a width; both cached, because every frame asks for the same ones.

const MAX_TEXTS = 4000

type Pen = CanvasRenderingContext2D

const widths = new Map<string, Map<string, number>>()

/** Return the width of a text in a font. */
export function textWidth(pen: Pen, font: string, text: string): number {
  let ofFont = widths.get(font)
  if (!ofFont) widths.set(font, (ofFont = new Map()))
  let width = ofFont.get(text)
  if (width === undefined) {
    if (ofFont.size > MAX_TEXTS) ofFont.clear()
    pen.font = font
    width = pen.measureText(text).width
    ofFont.set(text, width)
  }
  return width
}

const fittedTexts = new Map<string, string>()

/** Return as much of a text as fits into a width, with an ellipsis. */
export function fitText(pen: Pen, text: string, width: number): string {
  const key = `${pen.font} ${Math.round(width)} ${text}`
  let fitted = fittedTexts.get(key)
  if (fitted === undefined) {
    if (fittedTexts.size > MAX_TEXTS) fittedTexts.clear()
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
