// The names of the parts of the header, in the column of labels.
import { drawChartNames, drawHeatName } from './charts'
import { drawClassLegend } from './class-bands'
import { fitText } from './fit-text'
import { type Band, SANS } from './geometry'
import type { Scene } from './scene'

export function drawHeaderLabels(pen: CanvasRenderingContext2D, scene: Scene): void {
  const { geometry: g } = scene
  pen.fillStyle = scene.palette.theme.paper
  pen.fillRect(0, 0, g.label - 1, g.header)
  pen.fillStyle = scene.palette.theme.mute
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  pen.font = `12px ${SANS}`
  const narrow = g.label < 100
  const middle = (band: Band): number => band.y + band.height / 2
  const read = scene.reverse ? (narrow ? '← text' : '← read from the end') : narrow ? 'text' : 'text, as read'
  if (g.ruler.height) pen.fillText(read, 4, g.slanted ? g.ruler.y + g.ruler.height - 10 : middle(g.ruler))
  else if (g.font || scene.header.parts.text === 'none')
    pen.fillText(scene.reverse ? (narrow ? '← step' : '← step, read from the end') : 'step', 4, 8)
  drawChartNames(pen, scene)
  drawHeatName(pen, scene)
  pen.fillStyle = scene.palette.theme.mute
  pen.textAlign = 'left'
  pen.font = `12px ${SANS}`
  const once = scene.header.classes?.once
  if (g.predicted.height)
    pen.fillText(
      narrow ? 'said' : once && !scene.header.silent ? 'said so far' : once ? 'said at the end' : 'said',
      4,
      middle(g.predicted),
    )
  if (g.target.height) pen.fillText('right', 4, middle(g.target))
  if (g.predictions.height && !drawClassLegend(pen, scene)) {
    const classes = scene.header.classes !== null
    const words = classes ? ['how sure', 'how probable'] : ['next?', 'next, as predicted']
    pen.fillText(words[narrow ? 0 : 1]!, 4, middle(g.predictions))
  }
  pen.font = `12px ${SANS}`
  pen.fillStyle = scene.palette.theme.mute
  if (g.surprise.height) pen.fillText(narrow ? 'surprise' : 'surprise (0–5 nats)', 4, middle(g.surprise))
  if (!g.track.height) return
  pen.fillStyle = scene.palette.theme.accent
  pen.fillText(fitText(pen, scene.track?.title ?? '…', g.label - 10), 4, g.track.y + g.track.height / 2 + 2)
}
