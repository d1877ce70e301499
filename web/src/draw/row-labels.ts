// The column of labels at the left of the strips.
import { type Scale, tickText } from '../model/scale'
import { textWidth } from './fit-text'
import { type Geometry, MONO, SANS } from './geometry'
import { drawChip, drawRangeMark } from './overlays'
import type { Scene, Visible, Window } from './scene'

/** Between a label and its note, which is left out where there is less room, as on a phone. */
const MIN_GAP = 6

export function drawRowLabels(pen: CanvasRenderingContext2D, scene: Scene, v: Visible, view: Window): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  pen.fillStyle = theme.paper
  pen.fillRect(0, g.header, g.label - 1, view.height)
  if (g.pitch < 8) return drawFewLabels(pen, scene, v)
  pen.textBaseline = 'middle'
  for (let row = v.firstRow; row < v.endRow; row++) {
    const { label, note, joined } = scene.rows[row]!
    const y = v.y(row) + g.strip / 2
    if (joined) {
      pen.fillStyle = theme.line
      pen.fillRect(6, v.y(row) + g.strip, g.label - 12, 1)
    }
    drawRangeMark(pen, scene, scene.rows[row]!, v.y(row))
    drawChip(pen, scene, scene.rows[row]!, y)
    const small = g.pitch < 13
    pen.textAlign = 'left'
    const marked =
      row === scene.selected || row === scene.cursor.row || scene.rows[row]!.inRange || scene.rows[row]!.collected
    pen.fillStyle = marked ? theme.accent : joined ? theme.mute : theme.ink
    const font = `${row === scene.selected ? 600 : 400} ${small ? 9 : 12}px ${g.curve ? SANS : MONO}`
    pen.font = font
    if (scene.rows[row]!.collected) pen.fillRect(6, Math.round(y) + (small ? 4 : 7), textWidth(pen, font, label), 1.5)
    if (scene.rows[row]!.heading) {
      pen.fillText(label, 6, y)
      continue
    }
    pen.fillText(label, 6, y, g.chip ? g.chip.x - 8 : g.label - 14)
    const labelEnd = 6 + textWidth(pen, font, label)
    const noteFont = `${small ? 8.5 : 11}px ${SANS}`
    pen.fillStyle = theme.mute
    pen.font = noteFont
    if (g.curve) {
      pen.fillText(note, 4, y + 16, g.label - 44)
      drawScaleEnds(pen, scene.rows[row]!.scale, g, v.y(row))
    } else if (labelEnd + MIN_GAP + textWidth(pen, noteFont, note) <= g.label - 10) {
      pen.textAlign = 'right'
      pen.fillText(note, g.label - 10, y)
    }
  }
}

function drawScaleEnds(pen: CanvasRenderingContext2D, scale: Scale, g: Geometry, y: number): void {
  const top = y + g.strip + 4
  pen.textAlign = 'right'
  const ends = [scale.high, ...(scale.kind === 'two' ? [0] : []), scale.low]
  ends.forEach((end, k) => {
    pen.fillText(tickText(end), g.label - 8, top + (k / (ends.length - 1)) * g.curve)
  })
}

function drawFewLabels(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  pen.font = `9px ${MONO}`
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  for (let row = v.firstRow; row < v.endRow; row++) {
    drawRangeMark(pen, scene, scene.rows[row]!, v.y(row))
    if (row % 4 && row !== scene.selected && row !== scene.cursor.row) continue
    const marked = row === scene.selected || row === scene.cursor.row
    pen.fillStyle = marked ? scene.palette.theme.accent : scene.palette.theme.mute
    pen.fillText(scene.rows[row]!.label, marked ? 4 : 30, v.y(row) + scene.geometry.strip / 2 + 2)
  }
}
