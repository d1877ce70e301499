// A picture as a figure: with the printed colour scale and a caption below, on any pen.
import { text } from '../messages/text'
import { type Scale, tickText } from '../model/scale'
import { drawCellBlock } from './cells'
import { SANS } from './geometry'
import { hatchPattern, noDataPattern } from './patterns'
import { Palette, type Theme } from './palette'

type Pen = CanvasRenderingContext2D

/** A picture of a size, which can be drawn at any place of a pen. */
export interface FigurePart {
  width: number
  height: number
  /** Draw it; the pen has `ratio` pixels for each CSS pixel. */
  draw: (pen: Pen, x: number, y: number, ratio: number) => void
}

export interface Figure {
  part: FigurePart
  theme: Theme
  /** The colour scale; null for a picture without one. */
  scale: Scale | null
  title: string
  caption: readonly string[]
}

const MARGIN = 16
const LINE = 17
const MIN_WIDTH = 420
const MAX_CAPTION_WIDTH = 900
const BAR = { width: 168, height: 9 }
const KEY_HEIGHT = 34
const TICK_GAP = 6
const TITLE_FONT = `600 13px ${SANS}`
const CAPTION_FONT = `12px ${SANS}`
const TICK_FONT = `11px ${SANS}`

export interface FigureLayout {
  width: number
  height: number
  title: string[]
  lines: string[]
}

/** Break a text into lines of a width, at spaces, or anywhere where a word is longer than a line. */
export function wrapped(measure: (text: string) => number, paragraph: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  const pieces = paragraph.split(/(?<=\s)/u)
  for (const piece of pieces.flatMap((word) => (measure(word) > width ? [...word] : [word]))) {
    if (line && measure((line + piece).trimEnd()) > width) {
      lines.push(line.trimEnd())
      line = ''
    }
    line += piece
  }
  return [...lines, line.trimEnd()].filter(Boolean)
}

/** Place the parts of a figure. */
export function layoutFigure(pen: Pick<Pen, 'font' | 'measureText'>, figure: Figure): FigureLayout {
  const width = Math.max(MIN_WIDTH, figure.part.width)
  const measure = (words: string): number => pen.measureText(words).width
  const room = Math.min(width, MAX_CAPTION_WIDTH)
  pen.font = TITLE_FONT
  const title = wrapped(measure, figure.title, room)
  pen.font = CAPTION_FONT
  const lines = figure.caption.flatMap((line) => wrapped(measure, line, room))
  const key = figure.scale ? KEY_HEIGHT : 0
  const height = MARGIN + figure.part.height + 12 + key + LINE * (title.length + lines.length) + MARGIN
  return { width: width + 2 * MARGIN, height: Math.ceil(height), title, lines }
}

/** Draw a figure whose upper left corner is the origin of the pen. */
export function drawFigure(pen: Pen, figure: Figure, layout: FigureLayout, ratio: number): void {
  const { part, theme, scale } = figure
  pen.setTransform(ratio, 0, 0, ratio, 0, 0)
  pen.fillStyle = theme.paper
  pen.fillRect(0, 0, layout.width, layout.height)
  pen.save()
  pen.beginPath()
  pen.rect(MARGIN, MARGIN, part.width, part.height)
  pen.clip()
  part.draw(pen, MARGIN, MARGIN, ratio)
  pen.restore()
  pen.setTransform(ratio, 0, 0, ratio, 0, 0)
  let y = MARGIN + part.height + 12
  if (scale) {
    drawScale(pen, theme, scale, y)
    y += KEY_HEIGHT
  }
  pen.textAlign = 'left'
  pen.textBaseline = 'alphabetic'
  pen.fillStyle = theme.ink
  pen.font = TITLE_FONT
  for (const line of layout.title) pen.fillText(line, MARGIN, (y += LINE) - 5)
  pen.font = CAPTION_FONT
  pen.fillStyle = theme.mute
  for (const line of layout.lines) pen.fillText(line, MARGIN, (y += LINE) - 5)
}

/** Draw the colour scale with its numbers, and what hatched and dotted cells mean. */
function drawScale(pen: Pen, theme: Theme, scale: Scale, y: number): void {
  const palette = new Palette(theme)
  const columns = BAR.width / 2
  const values = Array.from({ length: columns }, (_, k) => scale.low + ((k + 0.5) / columns) * (scale.high - scale.low))
  const colours = Uint32Array.from(values, (value) => palette.rgba[palette.level(scale, value)]!)
  const place = { x: MARGIN, y, cell: 2, height: BAR.height, pitch: BAR.height }
  drawCellBlock(pen, { columns, rows: 1, colours, ...place, gap: null })
  const two = scale.kind === 'two'
  pen.font = TICK_FONT
  pen.fillStyle = theme.mute
  pen.textBaseline = 'alphabetic'
  const tick = (share: number): string => tickText(scale.low + share * (scale.high - scale.low), two)
  // The quarters are printed if there is room.
  const hasRoom = pen.measureText(tick(0) + tick(0.25)).width + TICK_GAP < (BAR.width * 3) / 8
  for (const share of two && hasRoom ? [0, 0.25, 0.5, 0.75, 1] : [0, 0.5, 1]) {
    pen.textAlign = share === 0 ? 'left' : share === 1 ? 'right' : 'center'
    pen.fillText(tick(share), MARGIN + share * BAR.width, y + 22)
  }
  pen.textAlign = 'left'
  let x = MARGIN + BAR.width + 24
  const key = (pattern: CanvasPattern | null, ground: string, words: string): void => {
    pen.fillStyle = ground
    pen.fillRect(x, y - 1, 14, 11)
    pen.save()
    pen.translate(x, y - 1)
    if (pattern) pen.fillStyle = pattern
    pen.fillRect(0, 0, 14, 11)
    pen.restore()
    pen.fillStyle = theme.mute
    pen.fillText(words, x + 20, y + 9)
    x += 20 + pen.measureText(words).width + 22
  }
  if (scale.open) key(hatchPattern(pen), `rgb(${theme.positive.join(',')})`, text('LEGEND_CLIPPED'))
  key(noDataPattern(pen), theme.paper, text('LEGEND_NO_DATA'))
}
