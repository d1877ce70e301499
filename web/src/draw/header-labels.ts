// The names of the parts of the header, in the column of labels.
import { type Code, text } from '../messages/text'
import { drawChartNames, drawHeatName } from './charts'
import { drawClassLegend } from './class-bands'
import { fitText } from './fit-text'
import { type Band, SANS } from './geometry'
import type { Header } from './header'
import type { Scene } from './scene'

/** Return the name of the text over the strips, or of the steps if the text is not shown. */
function rulerCode(reverse: boolean, narrow: boolean, what: 'text' | 'step'): Code {
  if (what === 'step') return reverse ? (narrow ? 'HEADER_STEP_REVERSE_NARROW' : 'HEADER_STEP_REVERSE') : 'HEADER_STEP'
  if (reverse) return narrow ? 'HEADER_TEXT_REVERSE_NARROW' : 'HEADER_TEXT_REVERSE'
  return narrow ? 'HEADER_TEXT_NARROW' : 'HEADER_TEXT'
}

function predictedCode({ classes, silent }: Header, narrow: boolean): Code {
  if (narrow) return 'HEADER_PREDICTED_NARROW'
  if (!classes?.once) return 'HEADER_PREDICTED'
  return silent ? 'HEADER_PREDICTED_AT_END' : 'HEADER_PREDICTED_SO_FAR'
}

function predictionsCode({ classes }: Header, narrow: boolean): Code {
  if (classes) return narrow ? 'HEADER_PROBABILITY_NARROW' : 'HEADER_PROBABILITY'
  return narrow ? 'HEADER_NEXT_NARROW' : 'HEADER_NEXT'
}

/** Draw the name of each part of the header beside it. */
export function drawHeaderLabels(pen: CanvasRenderingContext2D, scene: Scene): void {
  const { geometry: g, header, reverse } = scene
  const { theme } = scene.palette
  pen.fillStyle = theme.paper
  pen.fillRect(0, 0, g.label - 1, g.header)
  pen.fillStyle = theme.mute
  pen.textAlign = 'left'
  pen.textBaseline = 'middle'
  pen.font = `12px ${SANS}`
  const narrow = g.label < 100
  const middle = (band: Band): number => band.y + band.height / 2
  const write = (code: Code, y: number): void => pen.fillText(text(code), 4, y)
  if (scene.editable) write(rulerCode(reverse, narrow, 'step'), 8)
  else if (g.ruler.height)
    write(rulerCode(reverse, narrow, 'text'), g.slanted ? g.ruler.y + g.ruler.height - 10 : middle(g.ruler))
  else if (g.font || header.parts.text === 'none') write(rulerCode(reverse, narrow, 'step'), 8)
  drawChartNames(pen, scene)
  drawHeatName(pen, scene)
  pen.fillStyle = theme.mute
  pen.textAlign = 'left'
  pen.font = `12px ${SANS}`
  if (g.predicted.height) write(predictedCode(header, narrow), middle(g.predicted))
  if (g.target.height) write('HEADER_TARGET', middle(g.target))
  if (g.predictions.height && !drawClassLegend(pen, scene))
    write(predictionsCode(header, narrow), middle(g.predictions))
  pen.font = `12px ${SANS}`
  pen.fillStyle = theme.mute
  const { predicted, predictions, surprise } = g.original
  const before = [predicted, predictions, surprise].filter((band) => band.height >= 10)
  pen.font = `11px ${SANS}`
  const name = scene.original?.name ?? null
  const code = narrow ? 'HEADER_ORIGINAL_NARROW' : 'HEADER_ORIGINAL'
  for (const band of before)
    pen.fillText(fitText(pen, name === null ? text(code) : text('HEADER_SET', { name }), g.label - 8), 4, middle(band))
  pen.font = `12px ${SANS}`
  if (g.surprise.height) write(narrow ? 'HEADER_SURPRISE_NARROW' : 'HEADER_SURPRISE', middle(g.surprise))
  if (!g.track.height) return
  pen.fillStyle = theme.accent
  const title = scene.track?.title ?? text('HEADER_TRACK_LOADING')
  pen.fillText(fitText(pen, title, g.label - 10), 4, g.track.y + g.track.height / 2 + 2)
}
