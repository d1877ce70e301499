// Bars of the likeliest predictions, and the surprise under them.
import { glyph } from '../model/characters'
import { fitText } from './fit-text'
import { SANS } from './geometry'
import { type Scene, SURPRISE_LIMIT, type Visible } from './scene'
import { drawGlyph } from './sprites'

export function drawPredictionBars(pen: CanvasRenderingContext2D, scene: Scene, v: Visible): void {
  const { geometry: g, top } = scene
  const { theme } = scene.palette
  const width = Math.max(1, g.cell - (g.cell > 6 ? 2 : g.cell > 3 ? 1 : 0))
  const maxHeight = g.predictions.height
  const hasClasses = scene.header.classes !== null
  for (let t = v.firstStep; t < v.endStep; t++) {
    let base = g.predictions.y + maxHeight
    for (let k = 0; k < top && maxHeight && !scene.header.probabilities; k++) {
      const height = Math.round(scene.topProbability[t * top + k]! * maxHeight)
      if (!(height >= 1)) break
      base -= height
      pen.fillStyle = k === 0 ? theme.bar : theme.barQuiet
      pen.fillRect(v.x(t), base, width, Math.max(1, height - 1))
      if (g.font && height >= 11) {
        const size = Math.min(g.font - 1, height - 1)
        const label = scene.topLabels(scene.topToken[t * top + k]!)
        pen.font = `10px ${SANS}`
        if (hasClasses || scene.header.parts.text === 'words') {
          pen.fillStyle = k === 0 ? theme.ink : theme.mute
          pen.textAlign = 'center'
          pen.textBaseline = 'middle'
          const shown = fitText(pen, glyph(label).text, width)
          if (shown.length > 1 || label.length === 1) pen.fillText(shown, v.x(t) + width / 2, base + (height - 1) / 2)
          continue
        }
        drawGlyph(
          pen,
          label,
          v.x(t) + width / 2,
          base + (height - 1) / 2,
          size,
          g.cell,
          k === 0 ? theme.ink : theme.mute,
        )
      }
    }
    const surprise = -scene.logProbability[t]!
    const height = Math.min(1, surprise / SURPRISE_LIMIT) * g.surprise.height
    pen.fillStyle = theme.mute
    if (height > 0.3 && g.surprise.height) pen.fillRect(v.x(t), g.surprise.y, width, height)
  }
}
