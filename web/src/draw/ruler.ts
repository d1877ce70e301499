// The ruler over the strips: step numbers and the text.
import { glyph } from '../model/characters'
import { fitText } from './fit-text'
import { SANS } from './geometry'
import type { Scene, Visible } from './scene'
import { drawGlyph } from './sprites'

export function drawRuler(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  const interval = [5, 10, 20, 50, 100, 200, 500, 1000].find((count) => count * g.cell >= 60) ?? 2000
  pen.font = `10px ${SANS}`
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  for (let t = Math.floor(v.firstStep / interval) * interval; t < v.endStep; t += interval) {
    pen.fillStyle = theme.line
    pen.fillRect(v.x(t), 3, 1, 11)
    pen.fillStyle = theme.mute
    pen.fillText(String(t), v.x(t) + 3, 8)
  }
  if (!g.ruler.height) return
  if (scene.header.parts.text === 'words') return drawWords(pen, scene, v)
  drawText(pen, scene, v)
}

/** Draw the characters of the text over their columns, and behind them in grey what the network wrote. */
function drawText(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g, ruler, ghost, selection } = scene
  const { theme } = scene.palette
  if (selection) {
    pen.fillStyle = theme.chipFull
    pen.fillRect(v.x(selection.first) - 1, g.ruler.y, (selection.last - selection.first + 1) * g.cell, g.ruler.height)
  }
  const y = g.ruler.y + g.ruler.height / 2
  const end = Math.min(ruler.length + (ghost?.labels.length ?? 0), v.endColumn)
  for (let t = v.firstStep; t < end; t++) {
    const isGhost = t >= ruler.length
    // The symbols of a text that is still being read are not looked up yet.
    const unknown = !isGhost && ruler === scene.labels && scene.unknown[t] === 1
    const label = (isGhost ? ghost?.labels[t - ruler.length] : ruler[t]) ?? ''
    const ink = isGhost ? theme.mute : unknown ? theme.warn : theme.ink
    drawGlyph(pen, label, v.x(t) + (g.cell - 1) / 2, y, g.font + 1.5, g.cell, ink, isGhost ? 400 : 600)
    if (!unknown) continue
    pen.fillStyle = theme.warn
    for (let x = 1; x < g.cell - 2; x += 3) pen.fillRect(v.x(t) + x, g.ruler.y + g.ruler.height - 2, 2, 1.5)
  }
}

const SLANT_ANGLE = -Math.PI / 3

/** Draw words in their columns, slanted if the columns are too narrow for them. */
export function drawWords(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  const size = g.slanted ? Math.min(13, g.font + 1.5) : g.font + 1.5
  pen.textBaseline = 'middle'
  const bottom = g.ruler.y + g.ruler.height
  const room = g.slanted ? (g.ruler.height - 12) / Math.sin(-SLANT_ANGLE) : g.cell - 6
  // A slanted word may lean into sight from the left.
  const words = [...scene.labels, ...(scene.ghost?.labels ?? [])]
  const end = Math.min(words.length, v.endColumn)
  for (let t = Math.max(0, v.firstStep - (g.slanted ? 3 : 0)); t < end; t++) {
    const isGhost = t >= scene.labels.length
    const { text, quiet: isSign } = glyph(words[t]!)
    const quiet = isSign || isGhost
    const unknown = scene.unknown[t] === 1
    const atCursor = scene.cursor.step === t
    pen.font = `${quiet ? 400 : 600} ${size}px ${SANS}`
    pen.fillStyle = unknown ? theme.warn : atCursor && g.slanted ? theme.accent : quiet ? theme.mute : theme.ink
    const middle = v.x(t) + (g.cell - 1) / 2
    const shown = fitText(pen, text, room)
    if (g.slanted) {
      pen.save()
      pen.translate(middle, bottom - 7)
      pen.rotate(SLANT_ANGLE)
      pen.textAlign = 'left'
      pen.fillText(shown, 0, 0)
      pen.restore()
    } else {
      pen.textAlign = 'center'
      pen.fillText(shown, middle, g.ruler.y + g.ruler.height / 2 + 0.5)
    }
    if (!unknown) continue
    pen.fillStyle = theme.warn
    for (let x = 1; x < g.cell - 2; x += 3) pen.fillRect(v.x(t) + x, bottom - 2, 2, 1.5)
  }
}
