// Lines of characters are drawn once and then copied in pieces of one ink, because a frame has thousands of characters.
import { glyph } from '../model/characters'
import { isVector } from './cells'
import { MONO } from './geometry'

/** Characters in all cached lines; a window has fewer. */
const MAX_COLUMNS = 2048

export function drawGlyph(
  pen: CanvasRenderingContext2D,
  label: string,
  x: number,
  y: number,
  size: number,
  room: number,
  ink: string,
  weight = 400,
): void {
  const { text, quiet, code } = glyph(label)
  pen.fillStyle = ink
  pen.textAlign = 'center'
  pen.textBaseline = 'middle'
  if (code) {
    const half = text.length / 2
    const lines = text.length > 2 ? [text.slice(0, half), text.slice(half)] : [text]
    const small = Math.min(size * 0.52, room * 0.5)
    pen.font = `${small}px ${MONO}`
    const width = Math.min(room - 3, half > 2 ? small * 2.4 : small * 1.7)
    const height = small * lines.length + 3
    pen.strokeStyle = ink
    pen.lineWidth = 0.7
    pen.strokeRect(x - width / 2, y - height / 2, width, height)
    lines.forEach((line, k) => pen.fillText(line, x, y + (k - (lines.length - 1) / 2) * small + 0.5, width))
    return
  }
  pen.font = `${quiet ? 400 : weight} ${size}px ${MONO}`
  pen.globalAlpha = quiet ? 0.6 : 1
  pen.fillText(text, x, y + 0.5, room - 2)
  pen.globalAlpha = 1
}

/** The cells of a line, in CSS pixels: the font, width and height of a cell, and the distance from cell to cell. */
export interface LineCells {
  font: number
  width: number
  height: number
  pitch: number
  /** Device pixels for each CSS pixel. */
  ratio: number
}

/** Characters side by side, each centred in its cell and cut at the edges of the cell. */
class Line {
  /** Ink -> the whole line in this ink. */
  readonly #sprites = new Map<string, HTMLCanvasElement>()

  constructor(
    readonly labels: readonly string[],
    readonly cells: LineCells,
  ) {}

  /** Draw the characters from `first` to before `end` in one ink; `x` is the left edge of the first one of the line. */
  draw(pen: CanvasRenderingContext2D, first: number, end: number, ink: string, x: number, y: number): void {
    const { font, width, height, pitch, ratio } = this.cells
    if (isVector(pen)) {
      for (let k = first; k < end; k++)
        drawGlyph(pen, this.labels[k]!, x + k * pitch + width / 2, y + height / 2, font, width, ink)
      return
    }
    let sprite = this.#sprites.get(ink)
    if (!sprite) this.#sprites.set(ink, (sprite = this.#make(ink)))
    const across = (end - 1 - first) * pitch + width
    const [left, top] = [first * pitch, height * ratio]
    pen.drawImage(sprite, left * ratio, 0, across * ratio, top, x + left, y, across, height)
  }

  #make(ink: string): HTMLCanvasElement {
    const { labels, cells } = this
    const { font, width, height, pitch, ratio } = cells
    const sprite = document.createElement('canvas')
    sprite.width = Math.ceil(((labels.length - 1) * pitch + width) * ratio)
    sprite.height = Math.ceil(height * ratio)
    const pen = sprite.getContext('2d')
    pen?.scale(ratio, ratio)
    labels.forEach((label, k) => {
      if (!pen) return
      pen.save()
      pen.beginPath()
      pen.rect(k * pitch, 0, width, height)
      pen.clip()
      drawGlyph(pen, label, k * pitch + width / 2, height / 2, font, width, ink)
      pen.restore()
    })
    return sprite
  }
}

export class Sprites {
  /** The oldest line comes first. */
  readonly #lines = new Map<string, Line>()
  #columns = 0
  #cells: LineCells | null = null

  /** Return a line of characters, to be drawn in pieces; `key` names its labels. */
  line(key: string, labels: readonly string[], cells: LineCells): Line {
    const { font, width, height, pitch, ratio } = this.#cells ?? {}
    if (
      font !== cells.font ||
      width !== cells.width ||
      height !== cells.height ||
      pitch !== cells.pitch ||
      ratio !== cells.ratio
    ) {
      this.#lines.clear()
      this.#columns = 0
      this.#cells = cells
    }
    let line = this.#lines.get(key)
    if (!line) {
      this.#lines.set(key, (line = new Line(labels, cells)))
      this.#columns += labels.length
      for (const [oldest, { labels }] of this.#lines) {
        if (this.#columns <= MAX_COLUMNS || oldest === key) break
        this.#lines.delete(oldest)
        this.#columns -= labels.length
      }
    }
    return line
  }
}
