// Draws numbers over the strips: curves, their estimates, the fan of a forecast, and the heat strip.
import { fitText } from './fit-text'
import { type Band, SANS } from './geometry'
import type { Scene, Visible } from './scene'
import type { Chart } from '../model/charts'
import { estimateAt } from '../model/predictions'
import { tickText } from '../model/scale'

type Pen = CanvasRenderingContext2D

function valueToY(chart: Chart, band: Band): (value: number) => number {
  const span = chart.high - chart.low || 1
  return (value) => band.y + Math.max(-0.03, Math.min(1.03, (chart.high - value) / span)) * band.height
}

/** A line through the values, broken where there are none and where a sequence starts. */
function drawLine(
  pen: Pen,
  scene: Scene,
  v: Visible,
  values: Float32Array,
  shift: number,
  at: (value: number) => number,
): void {
  const { cell } = scene.geometry
  pen.beginPath()
  let drawing = false
  for (let t = Math.max(0, v.firstStep - 1 - shift); t < Math.min(values.length, v.endStep + 1); t++) {
    const value = values[t]!
    const x = v.x(t + shift) + cell / 2
    // What is foretold for behind the end of a sequence has no place in the next one.
    const pastEnd = shift > 0 && t + shift < values.length && scene.start[t + shift]
    if (Number.isNaN(value) || pastEnd) drawing = false
    else if (drawing && !scene.start[t]) pen.lineTo(x, at(value))
    else {
      pen.moveTo(x, at(value))
      pen.lineTo(x + 0.5, at(value))
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
  at: (value: number) => number,
): void {
  const { cell } = scene.geometry
  const { low, high, shift } = estimates
  for (let t = Math.max(0, v.firstStep - shift); t < Math.min(low.length, v.endStep); t++) {
    const place = t + shift
    if (Number.isNaN(low[t]!) || (shift > 0 && place < low.length && scene.start[place])) continue
    const top = at(high[t]!)
    pen.fillRect(v.x(place), top, cell, Math.max(1, at(low[t]!) - top))
  }
}

function drawMarks(pen: Pen, scene: Scene, v: Visible, chart: Chart, band: Band): void {
  const width = Math.max(1, scene.geometry.cell - (scene.geometry.cell > 6 ? 1 : 0))
  pen.fillStyle = scene.palette.theme.accent
  for (let t = v.firstStep; t < v.endStep; t++)
    if (chart.values[t] === 1) pen.fillRect(v.x(t), band.y + 2, width, band.height - 4)
}

/** What is foretold at the cursor: the interval, its middle, and what came then. */
function drawFan(pen: Pen, scene: Scene, v: Visible, chart: Chart, at: (value: number) => number): void {
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
  const origin = { x: x(step), y: at(chart.values[step]!) }
  pen.fillStyle = theme.accent
  pen.globalAlpha = 0.24
  pen.beginPath()
  pen.moveTo(origin.x, origin.y)
  for (const point of points) pen.lineTo(x(point.step), at(point.high))
  for (const point of points.toReversed()) pen.lineTo(x(point.step), at(point.low))
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
    for (const point of points) pen.lineTo(x(point.step), at(point[side]))
    pen.stroke()
  }
  for (const point of points) {
    let sameSequence = point.step < start.length
    for (let t = step + 1; sameSequence && t <= point.step; t++) sameSequence = !start[t]
    if (!sameSequence) continue
    const actual = chart.values[point.step]!
    pen.fillStyle = actual < point.low || actual > point.high ? theme.warn : theme.ink
    pen.beginPath()
    pen.arc(x(point.step), at(actual), Math.max(1.6, Math.min(3, cell / 3)), 0, 2 * Math.PI)
    pen.fill()
  }
}

export function drawCharts(pen: Pen, scene: Scene, v: Visible): void {
  const { theme } = scene.palette
  const g = scene.geometry
  scene.header.charts.forEach((chart, k) => {
    const band = g.charts[k]!
    const at = valueToY(chart, band)
    const right = v.x(v.endStep + (v.endStep === scene.labels.length ? scene.header.parts.ahead : 0))
    pen.fillStyle = theme.line
    for (const value of [chart.low, chart.high, ...(chart.low < 0 && chart.high > 0 ? [0] : [])])
      pen.fillRect(g.label, Math.round(at(value)), right - g.label, 1)
    if (chart.marks) return drawMarks(pen, scene, v, chart, band)
    pen.save()
    pen.beginPath()
    pen.rect(g.label - 2, band.y - 3, right - g.label + 4, band.height + 6)
    pen.clip()
    pen.lineJoin = 'round'
    const estimates = chart.estimates
    if (estimates) {
      pen.fillStyle = theme.accent
      pen.globalAlpha = 0.13
      if (scene.estimates.readout.quantiles.length > 1) drawBand(pen, scene, v, estimates, at)
      pen.globalAlpha = chart.isInput ? 0.5 : 1
      pen.strokeStyle = theme.accent
      pen.lineWidth = chart.isInput ? 1 : 1.8
      drawLine(pen, scene, v, estimates.middle, estimates.shift, at)
      pen.globalAlpha = 1
    }
    pen.strokeStyle = chart.isInput ? theme.ink : theme.good
    pen.lineWidth = chart.isInput ? 1.4 : 1.2
    if (!chart.isInput) pen.setLineDash([5, 3])
    drawLine(pen, scene, v, chart.values, 0, at)
    pen.setLineDash([])
    drawFan(pen, scene, v, chart, at)
    pen.restore()
  })
}

/** The names and the printed scale of each curve, in the column of labels. */
export function drawChartNames(pen: Pen, scene: Scene): void {
  const { geometry: g, header: above, palette } = scene
  const narrow = g.label < 100
  above.charts.forEach((chart, k) => {
    const band = g.charts[k]!
    const middle = band.y + band.height / 2
    pen.textAlign = 'left'
    pen.font = `12px ${SANS}`
    const lines = [above.scaled && chart.fan.length && !narrow ? `${chart.name} (scaled)` : chart.name]
    if (!narrow && chart.fan.length) lines.push('line: what came', 'blue: what was said')
    if (!narrow && !chart.isInput)
      lines.push(above.once ? 'line: said so far' : 'line: said', ...(chart.hasValues ? ['dashed: right'] : []))
    lines.forEach((text, row) => {
      pen.fillStyle = row === 0 ? palette.theme.ink : palette.theme.mute
      pen.font = `${row === 0 ? 12 : 11}px ${SANS}`
      const y = middle + (row - (lines.length - 1) / 2) * 15
      pen.fillText(fitText(pen, text, g.label - (narrow ? 26 : 42)), 4, y)
    })
    pen.fillStyle = palette.theme.mute
    pen.textAlign = 'right'
    pen.font = `10px ${SANS}`
    if (chart.marks) return
    pen.fillText(tickText(chart.high), g.label - 6, band.y + 3)
    pen.fillText(tickText(chart.low), g.label - 6, band.y + band.height - 2)
  })
}

let scratch: HTMLCanvasElement | undefined

/** Many numbers a step: a row of colours for each. */
export function drawHeat(pen: Pen, scene: Scene, v: Visible): void {
  const { heat } = scene.header
  const steps = v.endStep - v.firstStep
  if (!heat || steps <= 0) return
  const { width, data } = heat.columns
  const image = new ImageData(steps, width)
  const pixels = new Uint32Array(image.data.buffer)
  const { palette } = scene
  for (let k = 0; k < width; k++)
    for (let t = 0; t < steps; t++)
      pixels[k * steps + t] = palette.rgba[palette.level(heat.scale, data[(v.firstStep + t) * width + k]!)]!
  scratch ??= document.createElement('canvas')
  if (scratch.width < steps || scratch.height < width) {
    scratch.width = Math.max(scratch.width, steps)
    scratch.height = Math.max(scratch.height, width)
  }
  scratch.getContext('2d')?.putImageData(image, 0, 0)
  pen.imageSmoothingEnabled = false
  const { cell, heat: band } = scene.geometry
  pen.drawImage(scratch, 0, 0, steps, width, v.x(v.firstStep), band.y, steps * cell, band.height)
}

export function drawHeatName(pen: Pen, scene: Scene): void {
  const { geometry: g, header: above, palette } = scene
  if (!above.heat) return
  const { scale, columns } = above.heat
  const narrow = g.label < 100
  const middle = g.heat.y + g.heat.height / 2
  pen.textAlign = 'left'
  pen.font = `12px ${SANS}`
  pen.fillStyle = palette.theme.ink
  pen.fillText(
    fitText(pen, `${columns.width} numbers${narrow ? '' : above.scaled ? ', scaled' : ' read'}`, g.label - 10),
    4,
    middle - 7,
  )
  pen.fillStyle = palette.theme.mute
  pen.font = `11px ${SANS}`
  pen.fillText(fitText(pen, `colours ${tickText(scale.low)} to ${tickText(scale.high)}`, g.label - 10), 4, middle + 9)
}
