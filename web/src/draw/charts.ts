// Draws numbers over the strips: curves, their estimates, the fan of a forecast, and the heat strip.
import { text } from '../messages/text'
import type { Chart } from '../model/charts'
import { estimateAt } from '../model/predictions'
import { tickText } from '../model/scale'
import { drawCellBlock } from './cells'
import { fitText } from './fit-text'
import { type Band, SANS } from './geometry'
import type { Scene, Visible } from './scene'

type Pen = CanvasRenderingContext2D

/** Return the value at a height of a chart. */
export const valueAt = (chart: Chart, band: Band, y: number): number =>
  chart.high - ((y - band.y) / band.height) * (chart.high - chart.low)

/** Return the height of values in a chart. */
export function valueToY(chart: Chart, band: Band): (value: number) => number {
  const span = chart.high - chart.low || 1
  return (value) => band.y + Math.max(-0.03, Math.min(1.03, (chart.high - value) / span)) * band.height
}

/** Draw a line through values, `shift` steps later, broken at missing ones and where a sequence starts. */
export function drawLine(
  pen: Pen,
  scene: Scene,
  v: Visible,
  values: Float32Array,
  shift: number,
  toY: (value: number) => number,
): void {
  const { cell } = scene.geometry
  pen.beginPath()
  let drawing = false
  for (let t = Math.max(0, v.firstStep - 1 - shift); t < Math.min(values.length, v.endStep + 1); t++) {
    const value = values[t]!
    const x = v.x(t + shift) + cell / 2
    // Forecasts beyond the end of a sequence are not drawn over the next sequence.
    const pastEnd = shift > 0 && t + shift < values.length && scene.start[t + shift]
    if (Number.isNaN(value) || pastEnd) drawing = false
    else if (drawing && !scene.start[t]) pen.lineTo(x, toY(value))
    else {
      pen.moveTo(x, toY(value))
      pen.lineTo(x + 0.5, toY(value))
      drawing = true
    }
  }
  pen.stroke()
}

function drawBand(
  pen: Pen,
  scene: Scene,
  v: Visible,
  estimates: NonNullable<Chart['estimates']>,
  toY: (value: number) => number,
): void {
  const { cell } = scene.geometry
  const { low, high, shift } = estimates
  for (let t = Math.max(0, v.firstStep - shift); t < Math.min(low.length, v.endStep); t++) {
    const place = t + shift
    if (Number.isNaN(low[t]!) || (shift > 0 && place < low.length && scene.start[place])) continue
    const top = toY(high[t]!)
    pen.fillRect(v.x(place), top, cell, Math.max(1, toY(low[t]!) - top))
  }
}

function drawMarks(pen: Pen, scene: Scene, v: Visible, chart: Chart, band: Band): void {
  const width = Math.max(1, scene.geometry.cell - (scene.geometry.cell > 6 ? 1 : 0))
  pen.fillStyle = scene.palette.theme.accent
  for (let t = v.firstStep; t < v.endStep; t++)
    if (chart.values[t] === 1) pen.fillRect(v.x(t), band.y + 2, width, band.height - 4)
}

/** Draw the forecast at the cursor: the interval, its median, and the actual values. */
function drawFan(pen: Pen, scene: Scene, v: Visible, chart: Chart, toY: (value: number) => number): void {
  const { readout, estimate, start } = scene.estimates
  const step = scene.cursor.step
  if (step === null || !estimate || !chart.fan.length) return
  const { theme } = scene.palette
  const { cell } = scene.geometry
  const points = chart.fan.map((output) => ({
    ...estimateAt(readout, estimate, step, output.index),
    step: step + output.ahead,
  }))
  if (points.some((point) => Number.isNaN(point.middle))) return
  const x = (place: number): number => v.x(place) + cell / 2
  const origin = { x: x(step), y: toY(chart.values[step]!) }
  pen.fillStyle = theme.accent
  pen.globalAlpha = 0.24
  pen.beginPath()
  pen.moveTo(origin.x, origin.y)
  for (const point of points) pen.lineTo(x(point.step), toY(point.high))
  for (const point of points.toReversed()) pen.lineTo(x(point.step), toY(point.low))
  pen.closePath()
  pen.fill()
  pen.globalAlpha = 1
  pen.strokeStyle = theme.accent
  for (const [side, width] of [
    ['high', 0.8],
    ['low', 0.8],
    ['middle', 2],
  ] as const) {
    pen.lineWidth = width
    pen.beginPath()
    pen.moveTo(origin.x, origin.y)
    for (const point of points) pen.lineTo(x(point.step), toY(point[side]))
    pen.stroke()
  }
  for (const point of points) {
    let sameSequence = point.step < start.length
    for (let t = step + 1; sameSequence && t <= point.step; t++) sameSequence = !start[t]
    if (!sameSequence) continue
    const actual = chart.values[point.step]!
    pen.fillStyle = actual < point.low || actual > point.high ? theme.warn : theme.ink
    pen.beginPath()
    pen.arc(x(point.step), toY(actual), Math.max(1.6, Math.min(3, cell / 3)), 0, 2 * Math.PI)
    pen.fill()
  }
}

/** Draw the estimates without the holds: a quiet line under that of the held network. */
function drawOriginal(pen: Pen, scene: Scene, v: Visible, k: number, toY: (value: number) => number): void {
  const estimates = scene.original?.header.charts[k]?.estimates
  if (!estimates) return
  pen.strokeStyle = scene.palette.theme.mute
  pen.lineWidth = 1.2
  pen.setLineDash([2, 2])
  drawLine(pen, scene, v, estimates.middle, estimates.shift, toY)
  pen.setLineDash([])
}

export function drawCharts(pen: Pen, scene: Scene, v: Visible): void {
  const { theme } = scene.palette
  const g = scene.geometry
  scene.header.charts.forEach((chart, k) => {
    const band = g.charts[k]!
    const toY = valueToY(chart, band)
    const right = v.x(v.endStep + (v.endStep === scene.labels.length ? scene.header.parts.ahead : 0))
    pen.fillStyle = theme.line
    for (const value of [chart.low, chart.high, ...(chart.low < 0 && chart.high > 0 ? [0] : [])])
      pen.fillRect(g.label, Math.round(toY(value)), right - g.label, 1)
    if (chart.marks) return drawMarks(pen, scene, v, chart, band)
    pen.save()
    pen.beginPath()
    pen.rect(g.label - 2, band.y - 3, right - g.label + 4, band.height + 6)
    pen.clip()
    pen.lineJoin = 'round'
    drawOriginal(pen, scene, v, k, toY)
    const estimates = chart.estimates
    if (estimates) {
      pen.fillStyle = theme.accent
      pen.globalAlpha = 0.13
      const isQuiet = chart.isInput && !chart.isPair
      if (scene.estimates.readout.quantiles.length > 1 && !chart.isPair) drawBand(pen, scene, v, estimates, toY)
      pen.globalAlpha = isQuiet ? 0.5 : 1
      pen.strokeStyle = theme.accent
      // Where two networks agree, the line of A lies on that of B.
      pen.lineWidth = isQuiet ? 1 : chart.isPair ? 3.2 : 1.8
      drawLine(pen, scene, v, estimates.middle, estimates.shift, toY)
      pen.globalAlpha = 1
    }
    pen.strokeStyle = chart.isInput ? theme.ink : theme.good
    pen.lineWidth = chart.isInput ? 1.4 : 1.2
    if (!chart.isInput) pen.setLineDash([5, 3])
    drawLine(pen, scene, v, chart.values, 0, toY)
    pen.setLineDash([])
    drawFan(pen, scene, v, chart, toY)
    pen.restore()
  })
}

/** Return the name of a chart and the key to its lines. */
function chartLines(scene: Scene, chart: Chart, narrow: boolean): string[] {
  const { header } = scene
  if (narrow) return [chart.name]
  if (chart.isPair) return [chart.name, 'A', 'B']
  const isForecast = chart.fan.length > 0
  const name = header.scaled && isForecast ? text('HEADER_CHART_SCALED', { name: chart.name }) : chart.name
  if (isForecast) return [name, text('HEADER_CHART_ACTUAL'), text('HEADER_CHART_FORECAST')]
  if (chart.isInput) return [name]
  const prediction = header.once ? text('HEADER_CHART_PREDICTED_SO_FAR') : text('HEADER_CHART_PREDICTED')
  return [name, prediction, ...(chart.hasValues ? [text('HEADER_CHART_TARGET')] : [])]
}

/** Draw the name and the printed scale of each chart, in the column of labels. */
export function drawChartNames(pen: Pen, scene: Scene): void {
  const { geometry: g, header, palette } = scene
  const narrow = g.label < 100
  header.charts.forEach((chart, k) => {
    const band = g.charts[k]!
    const middle = band.y + band.height / 2
    pen.textAlign = 'left'
    pen.font = `12px ${SANS}`
    const lines = chartLines(scene, chart, narrow)
    lines.forEach((line, row) => {
      const { ink, mute, accent } = palette.theme
      // The key to two lines has their colours.
      pen.fillStyle = row === 0 || (chart.isPair && row === 1) ? ink : chart.isPair ? accent : mute
      pen.font = `${row === 0 ? 12 : 11}px ${SANS}`
      const y = middle + (row - (lines.length - 1) / 2) * 15
      pen.fillText(fitText(pen, line, g.label - (narrow ? 26 : 42)), 4, y)
    })
    pen.fillStyle = palette.theme.mute
    pen.textAlign = 'right'
    pen.font = `10px ${SANS}`
    if (chart.marks) return
    pen.fillText(tickText(chart.high), g.label - 6, band.y + 3)
    pen.fillText(tickText(chart.low), g.label - 6, band.y + band.height - 2)
  })
}

/** Draw the heat strip: a row of colours for each input number. */
export function drawHeat(pen: Pen, scene: Scene, v: Visible): void {
  const { heat } = scene.header
  const steps = v.endStep - v.firstStep
  if (!heat || steps <= 0) return
  const { width, data } = heat.columns
  const colours = new Uint32Array(steps * width)
  const { palette } = scene
  for (let k = 0; k < width; k++)
    for (let t = 0; t < steps; t++)
      colours[k * steps + t] = palette.rgba[palette.level(heat.scale, data[(v.firstStep + t) * width + k]!)]!
  const { cell, heat: band } = scene.geometry
  const height = band.height / width
  const place = { x: v.x(v.firstStep), y: band.y, cell, height, pitch: height }
  drawCellBlock(pen, { columns: steps, rows: width, colours, ...place, gap: null })
}

/** Draw the name and the scale of the heat strip, in the column of labels. */
export function drawHeatName(pen: Pen, scene: Scene): void {
  const { geometry: g, header, palette } = scene
  if (!header.heat) return
  const { scale, columns } = header.heat
  const narrow = g.label < 100
  const count = columns.width
  const middle = g.heat.y + g.heat.height / 2
  const name = narrow
    ? text('HEADER_HEAT_NARROW', { count })
    : header.scaled
      ? text('HEADER_HEAT_SCALED', { count })
      : text('HEADER_HEAT', { count })
  pen.textAlign = 'left'
  pen.font = `12px ${SANS}`
  pen.fillStyle = palette.theme.ink
  pen.fillText(fitText(pen, name, g.label - 10), 4, middle - 7)
  pen.fillStyle = palette.theme.mute
  pen.font = `11px ${SANS}`
  const ends = text('HEADER_HEAT_COLOURS', { low: tickText(scale.low), high: tickText(scale.high) })
  pen.fillText(fitText(pen, ends, g.label - 10), 4, middle + 9)
}
