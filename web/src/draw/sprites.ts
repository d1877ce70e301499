// Characters are drawn once and then copied, because a frame has thousands of them.
import { glyph } from '../model/characters'
import { isVector } from './cells'
import { MONO } from './geometry'

const MAX_SPRITES = 5000

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

export class Sprites {
  /** Ink -> label -> its sprite. */
  readonly #sprites = new Map<string, Map<string, HTMLCanvasElement>>()
  #count = 0
  #sizes: readonly number[] = []

  /** Draw a character centred in a cell of `width` x `height`. */
  draw(
    pen: CanvasRenderingContext2D,
    label: string,
    ink: string,
    size: number,
    x: number,
    y: number,
    width: number,
    height: number,
    ratio: number,
  ): void {
    if (isVector(pen)) drawGlyph(pen, label, x + width / 2, y + height / 2, size, width, ink)
    else pen.drawImage(this.get(label, ink, size, width, height, ratio), x, y, width, height)
  }

  /** Return a character centred in a cell of `width` x `height`, to be copied with drawImage. */
  get(label: string, ink: string, size: number, width: number, height: number, ratio: number): HTMLCanvasElement {
    const [s, w, h, r] = this.#sizes
    if (s !== size || w !== width || h !== height || r !== ratio || this.#count > MAX_SPRITES) {
      this.#sprites.clear()
      this.#count = 0
      this.#sizes = [size, width, height, ratio]
    }
    let ofInk = this.#sprites.get(ink)
    if (!ofInk) this.#sprites.set(ink, (ofInk = new Map()))
    let sprite = ofInk.get(label)
    if (!sprite) {
      sprite = document.createElement('canvas')
      sprite.width = Math.ceil(width * ratio)
      sprite.height = Math.ceil(height * ratio)
      const pen = sprite.getContext('2d')
      if (pen) {
        pen.scale(ratio, ratio)
        drawGlyph(pen, label, width / 2, height / 2, size, width, ink)
      }
      ofInk.set(label, sprite)
      this.#count++
    }
    return sprite
  }
}
