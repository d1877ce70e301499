// The ruler over the strips: step numbers and the text.
import { fitted } from './fit-text'
import { SANS } from './geometry'
import type { Scene, Visible } from './scene'
import { drawGlyph } from './sprites'
import { glyph } from '../model/characters'

export function ruler(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  const every = [5, 10, 20, 50, 100, 200, 500, 1000].find((count) => count * g.cell >= 60) ?? 2000
  pen.font = `10px ${SANS}`
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  for (let t = Math.floor(v.from / every) * every; t < v.to; t += every) {
    pen.fillStyle = theme.line
    pen.fillRect(v.x(t), 3, 1, 11)
    pen.fillStyle = theme.mute
    pen.fillText(String(t), v.x(t) + 3, 8)
  }
  if (!g.ruler.height) return
  if (scene.above.head.text === 'words') return words(pen, scene, v)
  const y = g.ruler.y + g.ruler.height / 2
  for (let t = v.from; t < v.to; t++) {
    const strange = scene.unknown[t] === 1
    drawGlyph(
      pen,
      scene.labels[t]!,
      v.x(t) + (g.cell - 1) / 2,
      y,
      g.font + 1.5,
      g.cell,
      strange ? theme.warn : theme.ink,
      600,
    )
    if (!strange) continue
    pen.fillStyle = theme.warn
    for (let x = 1; x < g.cell - 2; x += 3) pen.fillRect(v.x(t) + x, g.ruler.y + g.ruler.height - 2, 2, 1.5)
  }
}

const ANGLE = -Math.PI / 3

/** Words in their columns, or slanted over columns that are too narrow for them. */
export function words(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  const size = g.slanted ? Math.min(13, g.font + 1.5) : g.font + 1.5
  pen.textBaseline = 'middle'
  const bottom = g.ruler.y + g.ruler.height
  const room = g.slanted ? (g.ruler.height - 12) / Math.sin(-ANGLE) : g.cell - 6
  // The word of a column that is just out of sight at the left may lean into it.
  for (let t = Math.max(0, v.from - (g.slanted ? 3 : 0)); t < v.to; t++) {
    const { text, quiet } = glyph(scene.labels[t]!)
    const strange = scene.unknown[t] === 1
    const here = scene.cursor.step === t
    pen.font = `${quiet ? 400 : 600} ${size}px ${SANS}`
    pen.fillStyle = strange ? theme.warn : here && g.slanted ? theme.accent : quiet ? theme.mute : theme.ink
    const middle = v.x(t) + (g.cell - 1) / 2
    const shown = fitted(pen, text, room)
    if (g.slanted) {
      pen.save()
      pen.translate(middle, bottom - 7)
      pen.rotate(ANGLE)
      pen.textAlign = 'left'
      pen.fillText(shown, 0, 0)
      pen.restore()
    } else {
      pen.textAlign = 'center'
      pen.fillText(shown, middle, g.ruler.y + g.ruler.height / 2 + 0.5)
    }
    if (!strange) continue
    pen.fillStyle = theme.warn
    for (let x = 1; x < g.cell - 2; x += 3) pen.fillRect(v.x(t) + x, bottom - 2, 2, 1.5)
  }
}
