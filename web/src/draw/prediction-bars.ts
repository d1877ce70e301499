// Bars of the likeliest predictions, and the surprise under them.
import { glyph } from '../model/characters'
import { fitText } from './fit-text'
import { type Band, SANS } from './geometry'
import { pixelMeans } from './pixel-means'
import { type Predicted, type Scene, SURPRISE_LIMIT, type Visible } from './scene'
import { drawGlyph } from './sprites'

type Pen = CanvasRenderingContext2D

/** A kind of predictions and its place: those of the strips, or those without the holds. */
interface Part {
  predicted: Predicted
  bars: Band
  surprise: Band
}

function partsOf({ geometry: g, predicted, original }: Scene): Part[] {
  const own = { predicted, bars: g.predictions, surprise: g.surprise }
  if (!original) return [own]
  return [own, { predicted: original.predicted, bars: g.original.predictions, surprise: g.original.surprise }]
}

/** Return the rank of the predicted symbol whose bar lies at a height of the canvas; null where there is none. */
export function barAt(
  band: Band,
  probabilities: ArrayLike<number>,
  first: number,
  top: number,
  y: number,
): number | null {
  let base = band.y + band.height
  for (let k = 0; k < top; k++) {
    const height = Math.round((probabilities[first + k] ?? NaN) * band.height)
    if (!(height >= 1)) return null
    base -= height
    if (y >= base) return y < band.y + band.height ? k : null
  }
  return null
}

const barWidth = (cell: number): number => Math.max(1, cell - (cell > 6 ? 2 : cell > 3 ? 1 : 0))

export function drawPredictionBars(pen: Pen, scene: Scene, v: Visible): void {
  for (const part of partsOf(scene)) {
    if (part.bars.height && !scene.header.probabilities) drawBars(pen, scene, v, part)
    if (part.surprise.height) drawSurprise(pen, scene, v, part)
  }
}

function drawBars(pen: Pen, scene: Scene, v: Visible, { predicted, bars }: Part): void {
  const { geometry: g } = scene
  const { theme } = scene.palette
  const { top, topToken, topProbability } = predicted
  const width = barWidth(g.cell)
  for (let t = v.firstStep; t < v.endStep; t++) {
    let base = bars.y + bars.height
    for (let k = 0; k < top; k++) {
      const height = Math.round(topProbability[t * top + k]! * bars.height)
      if (!(height >= 1)) break
      base -= height
      pen.fillStyle = k === 0 ? theme.bar : theme.barQuiet
      pen.fillRect(v.x(t), base, width, Math.max(1, height - 1))
      if (g.font && height >= 11)
        drawName(pen, scene, scene.topLabels(topToken[t * top + k]!), {
          x: v.x(t),
          width,
          y: base + (height - 1) / 2,
          size: Math.min(g.font - 1, height - 1),
          ink: k === 0 ? theme.ink : theme.mute,
        })
    }
  }
}

interface Place {
  x: number
  width: number
  y: number
  size: number
  ink: string
}

/** Draw the name of a prediction on its bar. */
function drawName(pen: Pen, scene: Scene, label: string, { x, width, y, size, ink }: Place): void {
  if (scene.header.classes === null && scene.header.parts.text !== 'words')
    return drawGlyph(pen, label, x + width / 2, y, size, scene.geometry.cell, ink)
  pen.font = `10px ${SANS}`
  pen.fillStyle = ink
  pen.textAlign = 'center'
  pen.textBaseline = 'middle'
  const shown = fitText(pen, glyph(label).text, width)
  if (shown.length > 1 || label.length === 1) pen.fillText(shown, x + width / 2, y)
}

function drawSurprise(pen: Pen, scene: Scene, v: Visible, { predicted, surprise: band }: Part): void {
  const width = barWidth(scene.geometry.cell)
  pen.fillStyle = scene.palette.theme.mute
  for (let t = v.firstStep; t < v.endStep; t++) {
    const height = Math.min(1, -predicted.logProbability[t]! / SURPRISE_LIMIT) * band.height
    if (height > 0.3) pen.fillRect(v.x(t), band.y, width, height)
  }
}

/** Draw the mean surprise of the steps of each pixel, where a pixel has several. */
export function drawMeanSurprise(pen: Pen, scene: Scene, v: Visible): void {
  const { geometry: g } = scene
  pen.fillStyle = scene.palette.theme.mute
  for (const { predicted, surprise: band } of partsOf(scene)) {
    if (!band.height) continue
    const means = pixelMeans(predicted.logProbability, Math.round(scene.labels.length * g.cell))
    means.forEach((mean, pixel) => {
      const height = Math.min(1, -mean / SURPRISE_LIMIT) * band.height
      if (height > 0) pen.fillRect(v.x(0) + pixel, band.y, 1, height)
    })
  }
}
